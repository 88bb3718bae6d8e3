import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { eventually } from "../../helpers/eventually.ts";
import { answered } from "../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import { WebSocketClient } from "../../live/support/web-socket-client.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";
import { type LeasedJob, makeWorker, outcomeOf, type TestWorker } from "../time/jobs/workers/support.ts";

interface World {
  readonly world: IncidentWorld;
  readonly worker: TestWorker;
  readonly ann: { readonly id: string; readonly token: string };
  /** The only attempt that a claim gives. */
  one(): Promise<LeasedJob>;
  /** Attempts that a worker may make now. */
  now(): Promise<LeasedJob[]>;
  /** Time passes, and jobs that are due become ready. */
  pass(ms: number): void;
}

const QUEUES = ["push-notification"];

/** A server whose policy pages ann by push, which remote workers send. */
async function start(t: TestContext, more: Record<string, string> = {}): Promise<World> {
  const settings = { "delivery.workers": "fcm", "rateLimit.enabled": "false", ...more };
  const world = await IncidentWorld.start(t, settings);
  const { prism, projectId } = world;
  const worker = await makeWorker(prism);
  const ann = await world.member("ann");
  await answered(200, prism.put("/api/v1/users/me/push-tokens", { fcm: "the-phone" }, ann));
  const steps = [{ type: "notify", users: ["ann"] }];
  await answered(200, prism.patch(`/api/v1/policies/${projectId}`, { steps }));
  return {
    ...{ world, worker, ann },
    one: () => worker.one({ queues: QUEUES, waitMs: 10_000 }),
    now: () => worker.claimed({ queues: QUEUES }),
    pass(ms) {
      world.clock.advance(ms);
      prism.parts.offers.runner.enqueued([]);
    },
  };
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

test("full queues refuse no page to a worker, nor the job of a later contact rule", async (t) => {
  const { world, worker, ann, one, pass } = await start(t);
  const rules = [
    { afterMs: 0, channels: ["push"] },
    { afterMs: 5 * MINUTE, channels: ["push"] },
  ];
  await answered(200, world.prism.put("/api/v1/users/me/contact-rules", { high: rules, low: rules }, ann));
  t.mock.method(world.prism.parts.offers.runner, "isFull", () => true);
  await world.fire("A");
  assert.equal(await outcomeOf(worker.complete(await one())), "200");
  pass(5 * MINUTE);
  assert.equal(await outcomeOf(worker.complete(await one())), "200");
  await eventually("both have arrived", () => outcomes(world).length === 2);
});

const outcomes = ({ prism }: IncidentWorld) => rowsOf(prism, "select outcome, lastError from pages order by createdAt");

for (const { name, failure, withinMs } of [
  { name: "an error", failure: { error: "502" }, withinMs: 30_000 },
  { name: "a refusal", failure: { error: "400", permanent: true }, withinMs: 5 * MINUTE },
])
  test(`a page is given to a worker again ${withinMs / 1000} s after ${name} at most, however often it failed`, async (t) => {
    const { world, worker, one, pass } = await start(t, { "queues.push-notification.maxAttempts": "1" });
    await world.fire("A");
    for (let n = 0; n < 4; n++) {
      assert.equal(await outcomeOf(worker.fail(await one(), failure)), "200");
      pass(withinMs);
    }
    let passedMs = 0;
    await eventually("the page says why", async () => {
      // Later the incident pages again, and that page would overtake this one.
      if (passedMs < 5 * MINUTE) pass(10_000);
      passedMs += 10_000;
      await world.prism.parts.offers.pages.check();
      return isDeepStrictEqual(outcomes(world), [{ outcome: "failed", lastError: failure.error }]);
    });
    assert.equal(await outcomeOf(worker.complete(await one())), "200");
    assert.deepEqual(outcomes(world), [{ outcome: "delivered", lastError: failure.error }]);
  });

test("a page whose workers were lost is given to the next one, however often", async (t) => {
  const { world, worker, one, pass } = await start(t, { "queues.push-notification.maxAttempts": "1" });
  await world.fire("A");
  for (let n = 0; n < 3; n++) {
    await one();
    pass(MINUTE);
  }
  assert.equal(await outcomeOf(worker.complete(await one())), "200");
});

test("a page is the trial of a provider that other messages have paused for minutes", async (t) => {
  const { world, worker, ann, one, now, pass } = await start(t);
  const message = { recipients: [ann.id], channels: ["fcm"], title: "Door open", message: "The door is open" };
  await answered(201, world.prism.post("/api/v1/notifications", message));
  for (const pauseMs of [30_000, 60_000, 0]) {
    assert.equal(await outcomeOf(worker.fail(await one(), { error: "401", fault: "provider" })), "200");
    pass(pauseMs);
  }
  await world.fire("A");
  await world.fire("B");
  assert.deepEqual(await now(), [], "the provider is paused for two minutes");
  pass(28_000);
  const trial = await one();
  assert.deepEqual(await now(), [], "one page tries it");
  assert.equal(await outcomeOf(worker.fail(trial, { error: "401", fault: "provider" })), "200");
  pass(28_000);
  assert.equal(await outcomeOf(worker.complete(await one())), "200");
  pass(28_000);
  assert.equal((await now()).length, 1, "it is well: what waits follows");
});

test("a page that was acknowledged while a worker tried it is not given to one again", async (t) => {
  const { world, worker, ann, one, now, pass } = await start(t);
  await world.fire("A");
  const job = await one();
  const { id } = await world.only();
  await answered(200, world.prism.post(`/api/v1/incidents/${id}/acknowledge`, {}, ann));
  assert.equal(await outcomeOf(worker.fail(job, { error: "502" })), "200");
  pass(30_000);
  assert.deepEqual(await now(), []);
  assert.deepEqual(rowsOf(world.prism, "select state, reason from deliveries"), [
    { state: "skipped", reason: "overtaken" },
  ]);
});

test("when a worker is back after an outage, the next page has its full time to be sent", async (t) => {
  const { world, worker, one, pass } = await start(t);
  const { pages } = world.prism.parts.offers;
  await world.fire("A");
  await eventually("the way has failed", async () => {
    pass(5000);
    await pages.check();
    return rowsOf(world.prism, "select 1 from pages where failedAt is not null").length === 1;
  });
  assert.equal(await outcomeOf(worker.complete(await one())), "200");
  await world.fire("B");
  await pages.check();
  await pages.idle();
  assert.equal(rowsOf(world.prism, "select 1 from pages where endedAt is null and failedAt is not null").length, 0);
  assert.deepEqual(pages.troubles, []);
});
