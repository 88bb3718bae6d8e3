import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { IncidentWorld, MINUTE } from "../../alerts/incidents/support.ts";
import { Way } from "../../alerts/promise-ways.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { startStandIn } from "../../channels/support/stand-in.ts";
import { webhookReceiver } from "./support.ts";

test("an incident that reaches no one for afterMs is called once, and no more when a page arrives", async (t) => {
  const hook = await webhookReceiver(t);
  const world = await IncidentWorld.start(t, {
    "emergency.webhook": hook.url,
    "emergency.afterMs": String(5 * MINUTE),
    "escalation.toAdministrators": "false",
    "webhooks.allowPrivateCidrs": "127.0.0.0/8",
  });
  const { prism, clock } = world;
  const pager = await startStandIn(t, httpServer());
  pager.next.push(...Array.from({ length: 100 }, () => ({ status: 503, body: "down" })));
  const made = await prism.post<{ id: string }>("/api/v1/channels", {
    ...{ name: "pager", preset: "http", projectId: world.projectId, fields: pager.service.fields(pager.url) },
  });
  assert.equal(made.status, 201, made.text);
  const steps = [{ type: "channel", id: made.body.id }];
  assert.equal((await prism.patch(`/api/v1/policies/${world.projectId}`, { steps })).status, 200);
  const { emergencyWatch } = prism.parts.offers;
  const look = async (): Promise<void> => {
    await emergencyWatch.check();
    await prism.parts.base.emergency.check();
  };
  await world.fire("A");
  await eventually("it is tried", () => pager.requests.length > 0);
  await world.pass(4 * MINUTE);
  await look();
  assert.equal(hook.calls.length, 0, "not long enough");
  await world.pass(MINUTE);
  await look();
  await look();
  assert.deepEqual(valuesOf(hook.calls, "reason"), ["page-undelivered"]);
  assert.match(hook.calls[0]?.what ?? "", /^An incident has reached no one\. The oldest is incident 1\.$/);

  pager.next.length = 0;
  clock.advance(MINUTE);
  await eventually("the page arrives", async () => {
    await prism.parts.offers.pages.check();
    return pager.seen.length === 1;
  });
  await prism.parts.offers.pages.idle();
  await look();
  assert.equal(prism.parts.base.emergency.raised.size, 0);
});

test("after a restart pages that wait behind the first call to their target are no emergency", async (t) => {
  const hook = await webhookReceiver(t);
  const world = await IncidentWorld.start(t, {
    "emergency.webhook": hook.url,
    "emergency.afterMs": String(60 * MINUTE),
    "webhooks.allowPrivateCidrs": "127.0.0.0/8",
  });
  const { prism, clock } = world;
  const pager = await Way.start(t, () => clock.elapsed());
  pager.set("down");
  const steps = [{ type: "webhook", url: `${pager.url}/pager` }];
  assert.equal((await prism.patch(`/api/v1/policies/${world.projectId}`, { steps })).status, 200);
  await world.fire("A");
  await world.fire("B");
  await eventually("both wait", () => prism.parts.offers.pages.waiting === 2);
  await prism.parts.offers.pages.idle();
  // Each has been the first of the target at some time.
  await world.db.write((trx) => trx.updateTable("pages").set({ firstAttemptAt: clock.now() }).execute());
  clock.advance(2 * MINUTE);
  pager.set("hanging");
  await prism.restart();
  await eventually("the first is tried", () => pager.holds);
  await prism.parts.offers.emergencyWatch.check();
  await prism.parts.base.emergency.check();
  assert.deepEqual(hook.calls, []);
  pager.set("well");
});
