import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { PrismError } from "../../../src/core/errors.ts";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { IncidentWorld } from "../alerts/incidents/support.ts";
import { httpServer } from "../channels/presets/http.ts";
import { type StandIn, startStandIn } from "../channels/support/stand-in.ts";
import { status, WebPeer } from "./support/web-peer.ts";

/** A policy that pages a room. */
async function pageRoom({ prism, projectId }: IncidentWorld, { service, url }: StandIn): Promise<void> {
  const made = await prism.post<{ id: string }>("/api/v1/channels", {
    ...{ name: "pager", preset: "http", projectId, fields: service.fields(url) },
  });
  assert.equal(made.status, 201, made.text);
  const steps = [{ type: "channel", id: made.body.id }];
  assert.equal((await prism.patch(`/api/v1/policies/${projectId}`, { steps })).status, 200);
}

/** A policy that pages a person by a channel of their own. */
async function pagePerson(world: IncidentWorld, { service, url }: StandIn): Promise<void> {
  const { prism, projectId } = world;
  const { token } = await world.member("ann");
  const made = await prism.post(
    "/api/v1/channels",
    { name: "pager", preset: "http", fields: service.fields(url) },
    { token },
  );
  assert.equal(made.status, 201, made.text);
  const steps = [{ type: "notify", users: ["ann"] }];
  assert.equal((await prism.patch(`/api/v1/policies/${projectId}`, { steps })).status, 200);
}

for (const { name, page } of [
  { name: "a room", page: pageRoom },
  { name: "a person's own channel", page: pagePerson },
])
  test(`${name}: a page is sent while nothing can be stored, once, and its outcome is stored later`, (t) =>
    sendWithoutStore(t, page));

async function sendWithoutStore(t: TestContext, page: typeof pageRoom): Promise<void> {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, clock } = world;
  const pager = await startStandIn(t, httpServer());
  await page(world, pager);
  pager.next.push({ status: 503, body: "down" });
  await world.fire("A");
  await eventually("it is tried", () => pager.requests.length === 1);
  await prism.parts.offers.pages.idle();

  const { database } = prism.parts.base;
  const write = database.write;
  Object.defineProperty(database, "write", {
    configurable: true,
    value: () => Promise.reject(new PrismError("STORAGE_FULL", "The disk is full")),
  });
  await eventually("it arrives all the same", async () => {
    clock.advance(1000);
    await prism.parts.offers.pages.check();
    return pager.seen.length === 1;
  });
  const outcomes = () => world.db.read.selectFrom("pages").select("outcome").execute();
  assert.deepEqual(await outcomes(), [{ outcome: "trying" }]);
  for (let seconds = 0; seconds < 40; seconds += 5) {
    clock.advance(5000);
    await prism.parts.offers.pages.check();
  }
  Object.defineProperty(database, "write", { configurable: true, value: write });
  await eventually("the outcome is stored", async () => (await outcomes())[0]?.outcome === "delivered");
  assert.equal(pager.requests.length, 2, "it was sent once after the failure");
}

test("a 429 that names no time fails no way, and the page leaves at most 30 s after the service is well", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, clock } = world;
  const pager = await startStandIn(t, httpServer());
  await pageRoom(world, pager);
  for (let n = 0; n < 4; n++) pager.next.push({ status: 429, body: "slow down" });
  await world.fire("A");
  await eventually("it is tried", () => pager.requests.length === 1);
  await prism.parts.offers.pages.idle();
  const startedAt = clock.now();
  await eventually("it arrives", async () => {
    clock.advance(1000);
    await prism.parts.offers.pages.check();
    await prism.parts.offers.pages.idle();
    return pager.seen.length === 1;
  });
  assert.ok(clock.now() - startedAt <= 30_000, `${clock.now() - startedAt} ms`);
  const page = await world.db.read.selectFrom("pages").select(["outcome", "failedAt"]).executeTakeFirst();
  assert.deepEqual(page, { outcome: "delivered", failedAt: null });
});

test("a person's own webhook that answers 403 is a failed way at once, and is tried again after 5 minutes", async (t) => {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, projectId, clock } = world;
  const peer = await WebPeer.start(t);
  peer.answer = status(403);
  const { token } = await makeUser(prism, "ann", ["RuleManager"]);
  const made = await prism.post("/api/v1/webhooks", { url: peer.url }, { token });
  assert.equal(made.status, 201, made.text);
  const steps = [{ type: "notify", users: ["ann"] }];
  assert.equal((await prism.patch(`/api/v1/policies/${projectId}`, { steps })).status, 200);
  await world.fire("A");
  const page = () =>
    world.db.read
      .selectFrom("pages")
      .select(["outcome", "lastError"])
      .where("userId", "is not", null)
      .executeTakeFirst();
  await eventually("the way has failed", async () => (await page())?.outcome === "failed");
  assert.equal((await page())?.lastError, "the webhook answered 403");
  const tried = peer.received.length;
  peer.answer = status(204);
  clock.advance(301_000);
  await prism.parts.offers.pages.check();
  await eventually("it arrives", async () => (await page())?.outcome === "delivered");
  assert.equal(peer.received.length, tried + 1);
});
