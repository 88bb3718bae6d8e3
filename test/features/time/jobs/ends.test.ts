import assert from "node:assert/strict";
import test from "node:test";
import { deferred } from "../../../../src/core/promises.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { openTestStore } from "../../../helpers/store.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { testBothWriters } from "../../../store/support/both-writers.ts";
import { TestRunner } from "./support/test-runner.ts";

test("a stop waits for what runs, hands it its signal, and gives back what has not begun; no attempt is lost by it", async (t) => {
  const store = openTestStore(t);
  const prism = new TestRunner(t, { store, concurrency: 1 });
  const begun = deferred<void>();
  const gate = deferred<void>();
  const runs: unknown[] = [];
  const signals: AbortSignal[] = [];
  prism.runner.handle("test", async ({ payload }, signal) => {
    runs.push(payload);
    signals.push(signal);
    begun.resolve();
    await gate.promise;
  });
  const ids = [await prism.add("running"), await prism.add("claimed"), await prism.add("waiting")] as const;
  prism.runner.start();
  await begun.promise;
  await eventually("the second is claimed", () => prism.stateOf(ids[1]) === "running");
  const stopped = prism.runner.stop(60_000);
  assert.equal(signals[0]?.aborted, true);
  gate.resolve();
  await stopped;
  await store.committer.settled();
  const rows = ids.map((id) => [prism.stateOf(id), prism.row(id).attempts]);
  assert.deepEqual(rows, [
    ["succeeded", 1],
    ["ready", 0],
    ["ready", 0],
  ]);
  assert.deepEqual(runs, ["running"]);

  const next = new TestRunner(t, { store });
  const later = next.recordRuns();
  next.runner.start();
  await eventually("the next start runs the rest", () => later.length === 2);
});

test("what runs on beyond the patience of a stop is given back, and what it does later counts for nothing", async (t) => {
  const prism = new TestRunner(t);
  const gate = deferred<void>();
  prism.runner.handle("test", () => gate.promise);
  const id = await prism.add({});
  prism.runner.start();
  await eventually("it runs", () => prism.stateOf(id) === "running");
  await prism.runner.stop(1);
  await prism.store.committer.settled();
  assert.deepEqual([prism.stateOf(id), prism.row(id).attempts, prism.row(id).workerId], ["ready", 0, null]);
  gate.resolve();
  await new Promise(setImmediate);
  await prism.store.committer.settled();
  assert.equal(prism.stateOf(id), "ready");
});

test("a handler that gives up because of the stop has not used an attempt", async (t) => {
  const prism = new TestRunner(t, { maxAttempts: 1 });
  prism.runner.handle(
    "test",
    (_job, signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
  );
  const id = await prism.add({});
  prism.runner.start();
  await eventually("it runs", () => prism.stateOf(id) === "running");
  await prism.runner.stop(60_000);
  await prism.store.committer.settled();
  assert.deepEqual([prism.stateOf(id), prism.row(id).attempts, prism.attemptsOf(id)], ["ready", 0, []]);
});

testBothWriters("a claim that is on its way to disk when the stop comes is given back unrun", async (t, writer) => {
  const prism = new TestRunner(t, { writer });
  const runs = prism.recordRuns();
  const ids = [await prism.add("one"), await prism.add("two")];
  const { runner } = prism;
  const stopped = deferred<void>();
  const seal = runner.seal.bind(runner);
  runner.seal = () => {
    const sealed = seal();
    if (sealed && sealed.content.jobs?.claim.length !== 0) void runner.stop(60_000).then(stopped.resolve);
    return sealed;
  };
  runner.start();
  await stopped.promise;
  await prism.store.committer.settled();
  assert.deepEqual(runs, []);
  const rows = ids.map((id) => [prism.stateOf(id), prism.row(id).attempts]);
  assert.deepEqual(rows, [
    ["ready", 0],
    ["ready", 0],
  ]);
});

test("nothing is claimed after a stop, whatever is made", async (t) => {
  const prism = new TestRunner(t);
  const runs = prism.recordRuns();
  prism.runner.start();
  await prism.runner.stop(0);
  const id = await prism.add("late");
  const later = await prism.add("later", { runAt: prism.clock.now() + 1 });
  await prism.store.committer.settled();
  assert.deepEqual([prism.stateOf(id), prism.stateOf(later), runs], ["ready", "scheduled", []]);
});

test("what a process that is gone left running is taken over at once: the attempt counts, and the last one is the end", async (t) => {
  const store = openTestStore(t);
  const gone = new TestRunner(t, { store, maxAttempts: 2 });
  const never = deferred<void>();
  gone.runner.handle("test", () => never.promise);
  const id = await gone.add({});
  gone.runner.start();
  await eventually("it runs", () => gone.stateOf(id) === "running");

  const second = new TestRunner(t, { store });
  assert.equal(await second.jobs.reclaim(), 1);
  assert.deepEqual([second.stateOf(id), second.row(id).attempts, second.row(id).workerId], ["ready", 1, null]);
  second.runner.handle("test", () => never.promise);
  second.runner.start();
  await eventually("it runs again", () => second.stateOf(id) === "running");

  const third = new TestRunner(t, { store });
  assert.equal(await third.jobs.reclaim(), 1);
  assert.deepEqual(
    [third.stateOf(id), third.row(id).attempts, third.row(id).lastError],
    ["dead", 2, "the process ended during the last attempt"],
  );
  assert.deepEqual(rowsWith(third.attemptsOf(id), "attempt", "outcome", "worker"), [
    [1, "lost", gone.runner.workerId],
    [2, "lost", second.runner.workerId],
  ]);
  assert.equal(await third.jobs.reclaim(), 0);
});
