import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { RunningJob } from "../../../../src/features/time/jobs/runner/job.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { steadyJitter } from "../../../helpers/steady-jitter.ts";
import { openTestStore } from "../../../helpers/store.ts";
import { TestRunner } from "./support/test-runner.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;

/** Lets the runner look at the clock, as any job that is made does. */
async function look({ runner, store }: TestRunner): Promise<void> {
  runner.enqueued([{ queue: "timers", state: "scheduled", runAt: Number.MAX_SAFE_INTEGER }]);
  await store.committer.settled();
}

function failingOnce(t: TestContext): { helper: TestRunner; runs: number[] } {
  steadyJitter(t);
  const helper = new TestRunner(t, { writer: "main" });
  const runs: number[] = [];
  helper.runner.handle("test", async (job: RunningJob) => {
    runs.push(job.attempt);
    if (job.attempt === 1) throw new Error("once");
  });
  helper.runner.start();
  return { helper, runs };
}

test("a clock that jumps an hour ahead and back does not make a retry wait for that hour", async (t) => {
  const { helper, runs } = failingOnce(t);
  helper.clock.set(HOUR);
  const id = await helper.add("a");
  await eventually("it waits for its retry", () => helper.stateOf(id) === "retrying");
  assert.ok(helper.row(id).runAt >= helper.clock.now());
  helper.clock.set(-HOUR);
  await look(helper);
  await eventually("the table follows", () => helper.row(id).runAt <= helper.clock.now() + 1000);
  helper.clock.advance(1000);
  await eventually("it has run again", async () => {
    await look(helper);
    return helper.stateOf(id) === "succeeded";
  });
  assert.deepEqual(runs, [1, 2]);
});

test("what was made before the clock went ahead keeps its instant, what was made meanwhile its delay", async (t) => {
  const { helper } = failingOnce(t);
  const start = helper.clock.now();
  const before = await helper.add("before", { runAt: start + 2 * HOUR });
  helper.clock.advance(10 * MINUTE);
  helper.clock.set(HOUR);
  const meanwhile = await helper.add("meanwhile", { runAt: helper.clock.now() + 5 * MINUTE });
  helper.clock.advance(MINUTE);
  helper.clock.set(-HOUR);
  await look(helper);
  assert.equal(helper.row(before).runAt, start + 2 * HOUR);
  assert.equal(helper.row(meanwhile).runAt, helper.clock.now() + 4 * MINUTE);
  await look(helper);
  assert.equal(helper.row(meanwhile).runAt, helper.clock.now() + 4 * MINUTE, "a step counts once");
});

test("a clock that is set back twice moves what waits twice, and what was due by then is ready", async (t) => {
  const helper = new TestRunner(t, { writer: "main" });
  const runs = helper.recordRuns();
  helper.runner.start();
  helper.clock.advance(3 * HOUR);
  const waits = await helper.add("waits", { runAt: helper.clock.now() + 30 * MINUTE });
  const due = await helper.add("due", { runAt: helper.clock.now() + MINUTE });
  helper.clock.set(-HOUR);
  await look(helper);
  assert.equal(helper.row(waits).runAt, helper.clock.now() + 30 * MINUTE);
  helper.clock.advance(2 * MINUTE);
  helper.clock.set(-HOUR);
  await look(helper);
  assert.equal(helper.row(waits).runAt, helper.clock.now() + 28 * MINUTE);
  await eventually("what was due has run", () => helper.stateOf(due) === "succeeded");
  assert.deepEqual(runs, ["due"]);
});

test("small corrections of the clock move nothing", async (t) => {
  const helper = new TestRunner(t, { writer: "main" });
  helper.runner.start();
  const runAt = helper.clock.now() + HOUR;
  const id = await helper.add("later", { runAt });
  for (let i = 0; i < 10; i++) {
    helper.clock.advance(MINUTE);
    helper.clock.set(-1000);
    await look(helper);
  }
  assert.equal(helper.row(id).runAt, runAt);
});

test("the first timer after a step back on an idle server fires at its time, not at once", async (t) => {
  const helper = new TestRunner(t, { writer: "main" });
  const runs = helper.recordRuns();
  helper.runner.start();
  await look(helper);
  helper.clock.advance(500);
  helper.clock.set(-10 * MINUTE);
  const id = await helper.add("timer", { runAt: helper.clock.now() + MINUTE / 2 });
  await look(helper);
  assert.deepEqual([helper.stateOf(id), runs], ["scheduled", []]);
  helper.clock.advance(MINUTE / 2);
  await look(helper);
  await eventually("it has run", () => helper.stateOf(id) === "succeeded");
});

test("the clock of a node that takes over may be behind: nothing moves", async (t) => {
  const store = openTestStore(t, { writer: "main" });
  const first = new TestRunner(t, { store });
  const runAt = first.clock.now() + 5000;
  const id = await first.add("timer", { runAt });
  await first.runner.stop(0);
  const clock = new FakeClock(first.clock.now() - 3000);
  const second = new TestRunner(t, { store, clock, isReplicated: true });
  const runs = second.recordRuns();
  second.runner.start();
  clock.advance(6000);
  await look(second);
  assert.deepEqual([second.row(id).runAt, second.stateOf(id), runs], [runAt, "scheduled", []]);
  clock.advance(2000);
  await look(second);
  await eventually("it has run", () => second.stateOf(id) === "succeeded");
});

test("a clock that is set back while the server is down does not hold up a timer for that hour", async (t) => {
  const store = openTestStore(t, { writer: "main" });
  const first = new TestRunner(t, { store });
  const id = await first.add("timer", { runAt: first.clock.now() + 5000 });
  const old = await first.add("old", { runAt: first.clock.now() + 2 * HOUR });
  await first.runner.stop(0);
  const clock = new FakeClock(first.clock.now() - HOUR);
  const second = new TestRunner(t, { store, clock });
  const runs = second.recordRuns();
  second.runner.start();
  await eventually("the table follows", () => second.row(id).runAt === clock.now() + 5000);
  assert.equal(second.row(old).runAt, clock.now() + 2 * HOUR);
  clock.advance(5000);
  await look(second);
  await eventually("it has run", () => second.stateOf(id) === "succeeded");
  assert.deepEqual(runs, ["timer"]);
});
