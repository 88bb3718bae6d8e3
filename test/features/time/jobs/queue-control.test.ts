import assert from "node:assert/strict";
import test from "node:test";
import { deferred } from "../../../../src/core/promises.ts";
import { pausedQueues } from "../../../../src/features/time/jobs/operator.ts";
import { PermanentError } from "../../../../src/features/time/jobs/runner/job.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { openTestStore } from "../../../helpers/store.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { operatorActs } from "./support/job-in-state.ts";
import { TestRunner } from "./support/test-runner.ts";

const HOUR_MS = 3_600_000;
/** More than go in one transaction. */
const MANY = 1100;

const addMany = (helper: TestRunner, n: number, job: Parameters<TestRunner["add"]>[1] = {}): Promise<string[]> =>
  Promise.all(Array.from({ length: n }, (_, i) => helper.add(i, job)));

const countsOf = (helper: TestRunner): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { queue, state } of helper.rows()) {
    const name = `${queue} ${state}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
};

test("D31 S0-04 of a paused queue nothing begins, also after a restart, until it is resumed; other queues go on", async (t) => {
  keepsPromise(t, "S0-04");
  const store = openTestStore(t);
  const before = new TestRunner(t, { store, concurrency: 1 });
  const gate = deferred<void>();
  before.runner.handle("test", () => gate.promise);
  const first = await before.add("first");
  before.runner.start();
  await eventually("it runs", () => before.stateOf(first) === "running");
  await before.add("claimed");
  await before.queues.pause("timers");
  await before.queues.pause("timers");
  await before.add("made in the pause");
  gate.resolve();
  await eventually("what ran went on to its end", () => before.stateOf(first) === "succeeded");
  await before.runner.stop(0);
  await store.committer.settled();
  assert.deepEqual(before.states(), ["succeeded", "ready", "ready"]);
  assert.deepEqual(valuesOf(before.rows(), "attempts"), [1, 0, 0], "what was given back has not used an attempt");

  const after = new TestRunner(t, { store, concurrency: 1 });
  const runs = after.recordRuns();
  assert.deepEqual([after.runner.isPaused("timers"), pausedQueues(store.reader)], [true, ["timers"]]);
  after.runner.start();
  const other = await after.add("of another queue", { queue: "retention" });
  await eventually("it has run", () => after.stateOf(other) === "succeeded");
  assert.deepEqual(runs, ["of another queue"]);
  await after.queues.resume("timers");
  await after.queues.resume("timers");
  await eventually("the others have run", () => runs.length === 3);
  assert.deepEqual(runs.slice(1), ["claimed", "made in the pause"]);
  const act = (action: string) => ({ action, resourceId: "timers", metadata: {} });
  assert.deepEqual(operatorActs(after), [act("job.pause"), act("job.resume")], "once each");
  const third = new TestRunner(t, { store });
  assert.equal(third.runner.isPaused("timers"), false);
});

test("the queue of a module that is not loaded can be paused, and stays so when the module comes", async (t) => {
  const helper = new TestRunner(t);
  const runs = helper.recordRuns();
  helper.runner.start();
  await helper.queues.pause("module:weather");
  const id = await helper.add("rain", { queue: "module:weather" });
  helper.runner.serve("module:weather");
  const other = await helper.add("other");
  await eventually("the other has run", () => helper.stateOf(other) === "succeeded");
  assert.deepEqual([helper.stateOf(id), runs], ["ready", ["other"]]);
  await helper.queues.resume("module:weather");
  await eventually("it has run", () => helper.stateOf(id) === "succeeded");
});

test("all dead jobs of a queue are retried, once each, in slices that are audited", async (t) => {
  const helper = new TestRunner(t, { concurrency: 8 });
  let isBroken = true;
  helper.runner.handle("test", async () => {
    if (isBroken) throw new PermanentError("broken");
  });
  helper.runner.start();
  await addMany(helper, MANY);
  await helper.add("of another queue", { queue: "retention" });
  await eventually("all are dead", () => helper.states().every((state) => state === "dead"));
  assert.equal(await helper.queues.requeueDead("timers"), MANY, "those that die again meanwhile are not met twice");
  await eventually("all have been tried", () =>
    helper.rows().every(({ state, fence, queue }) => state === "dead" && fence === (queue === "timers" ? 2 : 1)),
  );
  isBroken = false;
  await helper.queues.requeueDead("timers");
  await eventually("all are done", () => countsOf(helper)["timers succeeded"] === MANY);
  assert.equal(countsOf(helper)["retention dead"], 1);
  assert.equal(await helper.queues.requeueDead("timers"), 0);
  const acts = operatorActs(helper) as { action: string; metadata: { requeued: number } }[];
  const total = acts.reduce((sum, { metadata }) => sum + metadata.requeued, 0);
  assert.equal(total, 2 * MANY);
  assert.ok(acts.length > 2 && acts.every(({ action }) => action === "job.requeue_dead"));
});

test("S4-20 the dead letters of messages go back to messages", async (t) => {
  keepsPromise(t, "S4-20");
  const helper = new TestRunner(t);
  helper.runner.handle("test", async () => {
    throw new PermanentError("broken");
  });
  helper.runner.start();
  await addMany(helper, 3, { queue: "messages" });
  await eventually("all are dead", () => countsOf(helper)["messages-dead-letter dead"] === 3);
  helper.runner.pause("messages");
  assert.equal(await helper.queues.requeueDead("messages-dead-letter"), 3);
  assert.deepEqual(countsOf(helper), { "messages ready": 3 });
});

test("of dead jobs with one dedupe key the first is requeued, and none while an unfinished job holds it", async (t) => {
  const helper = new TestRunner(t);
  helper.runner.handle("test", async () => {
    throw new PermanentError("broken");
  });
  helper.runner.start();
  const die = async (dedupeKey: string): Promise<string> => {
    const id = await helper.add({}, { dedupeKey });
    await eventually("it is dead", () => helper.stateOf(id) === "dead");
    return id;
  };
  const [a1, a2, b] = [await die("a"), await die("a"), await die("b")];
  helper.runner.pause("timers");
  await helper.add({}, { dedupeKey: "b" });
  assert.equal(await helper.queues.requeueDead("timers"), 1);
  const shown = [a1, a2, b].map((id) => helper.stateOf(id));
  assert.deepEqual(shown, ["ready", "dead", "dead"]);
});

test("to requeue the dead of a full queue is refused", async (t) => {
  const store = openTestStore(t);
  const before = new TestRunner(t, { store });
  before.runner.start();
  const id = await before.add({});
  await eventually("it is dead without a handler", () => before.stateOf(id) === "dead");
  await before.runner.stop(0);
  const full = new TestRunner(t, { store, maxWaiting: 1 });
  await full.add({});
  await assert.rejects(full.queues.requeueDead("timers"), { code: "OVERLOADED" });
  assert.equal(full.stateOf(id), "dead");
});

test("what is drained makes room", async (t) => {
  const helper = new TestRunner(t, { maxWaiting: 2 });
  const later = { runAt: helper.clock.now() + HOUR_MS };
  await helper.add("now");
  await helper.add("later", later);
  await assert.rejects(helper.add("one more"), { code: "OVERLOADED" });
  assert.equal(await helper.queues.drain("timers"), 2);
  assert.equal(helper.runner.waitingIn("timers"), 0);
  await helper.add("one more");
});

test("a drain cancels all that waits in the queue and nothing else", async (t) => {
  const helper = new TestRunner(t, { concurrency: 1 });
  const gate = deferred<void>();
  t.after(() => gate.resolve());
  helper.runner.handle("test", () => gate.promise);
  helper.runner.start();
  const running = await helper.add("running");
  await eventually("it runs", () => helper.stateOf(running) === "running");
  await helper.queues.pause("timers");
  const later = helper.clock.now() + HOUR_MS;
  await addMany(helper, MANY);
  await addMany(helper, MANY, { runAt: later });
  await helper.add("of another queue", { queue: "retention", runAt: later });
  const heard: string[] = [];
  helper.control.whenEnded("test", async (_trx, { state }) => void heard.push(state));
  assert.equal(await helper.queues.drain("timers"), 2 * MANY);
  assert.deepEqual(countsOf(helper), {
    "timers running": 1,
    "timers cancelled": 2 * MANY,
    "retention scheduled": 1,
  });
  assert.deepEqual([heard.length, new Set(heard)], [2 * MANY, new Set(["cancelled"])]);
  const cancelled = operatorActs(helper).filter(({ action }) => action === "job.drain") as unknown as {
    metadata: { cancelled: number };
  }[];
  assert.ok(cancelled.length > 3, "in slices");
  const total = cancelled.reduce((sum, { metadata }) => sum + metadata.cancelled, 0);
  assert.equal(total, 2 * MANY);
  assert.equal(await helper.queues.drain("timers"), 0);
  assert.equal(await helper.queues.drain("messages-dead-letter"), 0);
});
