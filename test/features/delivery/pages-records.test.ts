import assert from "node:assert/strict";
import { test } from "node:test";
import { PrismError } from "../../../src/core/errors.ts";
import { eventually } from "../../helpers/eventually.ts";
import { IncidentWorld } from "../alerts/incidents/support.ts";
import { httpServer } from "../channels/presets/http.ts";
import { startStandIn } from "../channels/support/stand-in.ts";

test("a page is sent while nothing can be stored, once, and its outcome is stored later", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, projectId, clock } = world;
  const pager = await startStandIn(t, httpServer());
  const made = await prism.post<{ id: string }>("/api/v1/channels", {
    ...{ name: "pager", preset: "http", projectId, fields: pager.service.fields(pager.url) },
  });
  assert.equal(made.status, 201, made.text);
  const steps = [{ type: "channel", id: made.body.id }];
  assert.equal((await prism.patch(`/api/v1/policies/${projectId}`, { steps })).status, 200);
  pager.next.push({ status: 503, body: "down" });
  await world.fire("A");
  await eventually("it is tried", () => pager.requests.length === 1);
  await prism.parts.services.pages.idle();

  const { database } = prism.parts.base;
  const write = database.write;
  Object.defineProperty(database, "write", {
    configurable: true,
    value: () => Promise.reject(new PrismError("STORAGE_FULL", "The disk is full")),
  });
  await eventually("it arrives all the same", async () => {
    clock.advance(1000);
    await prism.parts.services.pages.check();
    return pager.seen.length === 1;
  });
  const outcomes = () => world.db.read.selectFrom("pages").select("outcome").execute();
  assert.deepEqual(await outcomes(), [{ outcome: "trying" }]);
  Object.defineProperty(database, "write", { configurable: true, value: write });
  await eventually("the outcome is stored", async () => (await outcomes())[0]?.outcome === "delivered");
  assert.equal(pager.seen.length, 1, "it was sent once");
});

test("a 429 that names no time fails no way, and the page leaves at most 30 s after the service is well", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, projectId, clock } = world;
  const pager = await startStandIn(t, httpServer());
  const made = await prism.post<{ id: string }>("/api/v1/channels", {
    ...{ name: "pager", preset: "http", projectId, fields: pager.service.fields(pager.url) },
  });
  assert.equal(made.status, 201, made.text);
  const steps = [{ type: "channel", id: made.body.id }];
  assert.equal((await prism.patch(`/api/v1/policies/${projectId}`, { steps })).status, 200);
  for (let n = 0; n < 4; n++) pager.next.push({ status: 429, body: "slow down" });
  await world.fire("A");
  await eventually("it is tried", () => pager.requests.length === 1);
  await prism.parts.services.pages.idle();
  const startedAt = clock.now();
  await eventually("it arrives", async () => {
    clock.advance(1000);
    await prism.parts.services.pages.check();
    await prism.parts.services.pages.idle();
    return pager.seen.length === 1;
  });
  assert.ok(clock.now() - startedAt <= 30_000, `${clock.now() - startedAt} ms`);
  const page = await world.db.read.selectFrom("pages").select(["outcome", "failedAt"]).executeTakeFirst();
  assert.deepEqual(page, { outcome: "delivered", failedAt: null });
});
