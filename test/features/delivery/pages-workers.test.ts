import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { answered } from "../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import { WebSocketClient } from "../../live/support/web-socket-client.ts";
import { IncidentWorld } from "../alerts/incidents/support.ts";
import { type LeasedJob, makeWorker, outcomeOf, type TestWorker } from "../time/jobs/workers/support.ts";

interface World {
  readonly world: IncidentWorld;
  readonly worker: TestWorker;
  readonly ann: { readonly id: string; readonly token: string };
  /** The only attempt that a claim gives. */
  one(): Promise<LeasedJob>;
}

/** A server whose policy pages ann by push, which remote workers send. */
async function start(t: TestContext): Promise<World> {
  const world = await IncidentWorld.start(t, { "delivery.workers": "fcm", "rateLimit.enabled": "false" });
  const { prism, projectId } = world;
  const worker = await makeWorker(prism);
  const ann = await world.member("ann");
  await answered(200, prism.put("/api/v1/users/me/push-tokens", { fcm: "the-phone" }, ann));
  const steps = [{ type: "notify", users: ["ann"] }];
  await answered(200, prism.patch(`/api/v1/policies/${projectId}`, { steps }));
  return { world, worker, ann, one: () => worker.one({ queues: ["push-notification"], waitMs: 10_000 }) };
}

test("a page that a remote worker sends goes to the phone although a browser tab has it live", async (t) => {
  const { world, worker, ann, one } = await start(t);
  const client = await WebSocketClient.welcomed(t, world.prism.wsUrl, ann.token);
  await client.ask({ op: "subscribe", id: "s", stream: "user:me" });
  await world.fire("A");
  const live = "select count(*) from notification_recipients where delivered = 1";
  await eventually("the tab has it", () => scalarOf(world.prism, live) === 1);
  assert.equal(await outcomeOf(worker.complete(await one())), "200");
  assert.deepEqual(rowsOf(world.prism, "select outcome from pages"), [{ outcome: "delivered" }]);
});
