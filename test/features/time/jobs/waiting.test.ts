import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { Database as Sqlite } from "better-sqlite3";
import { JobRunner } from "../../../../src/features/time/jobs/runner/runner.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { openTestStore } from "../../../helpers/store.ts";
import { queueSettings, TestRunner } from "./support/test-runner.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Waits without a timer: setTimeout is the test's own here. */
async function until(what: string, ask: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!ask()) {
    if (Date.now() > deadline) throw new Error(`not within 60 s: ${what}`);
    await new Promise(setImmediate);
  }
}

/** Gives whatever could follow from what has just happened the time to happen. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate);
}

/** A runner whose waits are the test's to end. */
function waitingRunner(t: TestContext): { helper: TestRunner; runs: unknown[]; pass(ms: number): Promise<void> } {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const helper = new TestRunner(t, { writer: "main" });
  const runs = helper.recordRuns();
  return {
    helper,
    runs,
    async pass(ms) {
      helper.clock.advance(ms);
      t.mock.timers.tick(ms);
      await quiet();
    },
  };
}

test("a job that is made for later runs when its time has come, and not before", async (t) => {
  const { helper, runs, pass } = waitingRunner(t);
  helper.runner.start();
  const id = await helper.add("later", { runAt: helper.clock.now() + 5000 });
  assert.equal(helper.stateOf(id), "scheduled");
  await pass(4500);
  assert.deepEqual([helper.stateOf(id), runs], ["scheduled", []]);
  // It is claimed a moment ahead, so as not to run a commit too late; it does not begin before its
  // time.
  await pass(499);
  assert.deepEqual(runs, []);
  await pass(1);
  await until("it has run", () => helper.stateOf(id) === "succeeded");
  assert.deepEqual(runs, ["later"]);
});

test("jobs that are due together become ready by one statement, those of later stay", async (t) => {
  const { helper, runs, pass } = waitingRunner(t);
  helper.runner.start();
  const now = helper.clock.now();
  for (const [name, inMs] of [
    ["c", 3000],
    ["a", 1000],
    ["b", 1000],
    ["d", 9000],
  ] as const)
    await helper.add(name, { runAt: now + inMs });
  await pass(1000);
  await until("two have run", () => runs.length === 2);
  assert.deepEqual([...runs].sort(), ["a", "b"]);
  await pass(2000);
  await until("three have run", () => runs.length === 3);
  await pass(6000);
  await until("all have run", () => helper.states().every((state) => state === "succeeded"));
  assert.deepEqual(runs.slice(2), ["c", "d"]);
});

test("one that is due sooner than the one that is waited for is not late", async (t) => {
  const { helper, runs, pass } = waitingRunner(t);
  helper.runner.start();
  await helper.add("far", { runAt: helper.clock.now() + HOUR });
  await helper.add("near", { runAt: helper.clock.now() + 1000 });
  await pass(1000);
  await until("it has run", () => runs.length === 1);
  assert.deepEqual(runs, ["near"]);
});

test("a wait of more than setTimeout can take is waited in parts", async (t) => {
  const { helper, runs, pass } = waitingRunner(t);
  helper.runner.start();
  await helper.add("in a year", { runAt: helper.clock.now() + 365 * DAY });
  for (let day = 1; day < 365; day++) {
    helper.clock.advance(DAY);
    t.mock.timers.tick(DAY);
  }
  await quiet();
  assert.deepEqual(runs, []);
  await pass(DAY);
  await until("it has run", () => runs.length === 1);
});

test("a clock that is set forward, as after a sleep of the machine, is noticed within a minute", async (t) => {
  const { helper, runs, pass } = waitingRunner(t);
  helper.runner.start();
  await helper.add("due at noon", { runAt: helper.clock.now() + 6 * HOUR });
  await pass(1000);
  helper.clock.advance(6 * HOUR);
  await pass(60_000);
  await until("it has run", () => runs.length === 1);
});

test("a clock that is set back does not make what was due wait again", async (t) => {
  const { helper, runs, pass } = waitingRunner(t);
  helper.runner.start();
  await helper.add("near", { runAt: helper.clock.now() + 1000 });
  await helper.add("next", { runAt: helper.clock.now() + 2000 });
  await pass(1500);
  await until("the first has run", () => runs.length === 1);
  helper.clock.set(-HOUR);
  await pass(500);
  await until("the second has run, when it was to", () => runs.length === 2);
  const id = await helper.add("by the clock as it is", { runAt: helper.clock.now() + 1000 });
  await pass(500);
  assert.equal(helper.stateOf(id), "scheduled");
  await pass(500);
  await until("all have run", () => runs.length === 3);
});

test("a job that became due while no server ran runs at the start", async (t) => {
  const { helper, runs } = waitingRunner(t);
  const id = await helper.add("past", { runAt: helper.clock.now() + 1000 });
  helper.clock.advance(DAY);
  await quiet();
  assert.equal(helper.stateOf(id), "scheduled");
  helper.runner.start();
  await until("it has run", () => runs.length === 1);
});

test("an idle runner asks the database nothing, whether or not something waits for its time", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const store = openTestStore(t, { writer: "main" });
  const clock = new FakeClock();
  let reads = 0;
  // The statement is better-sqlite3's own; only its calls are counted.
  const reader = {
    prepare(sql: string) {
      const statement = store.reader.prepare(sql);
      return {
        get(...parameters: unknown[]) {
          reads++;
          return statement.get(...parameters);
        },
        iterate(...parameters: unknown[]) {
          reads++;
          return statement.iterate(...parameters);
        },
      };
    },
  } as unknown as Sqlite;
  const runner = new JobRunner({
    committer: store.committer,
    reader,
    clock,
    log: store.log,
    settingsOf: () => queueSettings(),
    countWaiting: async () => [],
  });
  runner.handle("test", async () => undefined);
  t.after(() => runner.stop(0));
  const helper = new TestRunner(t, { store, clock });
  runner.start();
  const id = await helper.add("now");
  runner.enqueued([{ queue: "timers", state: "ready", runAt: 0 }]);
  await until("it has run", () => helper.stateOf(id) === "succeeded");
  const waiting = { runAt: clock.now() + 2 * DAY };
  await helper.add("later", waiting);
  runner.enqueued([{ queue: "timers", state: "scheduled", ...waiting }]);
  await quiet();
  const [before, commits] = [reads, store.commits.length];
  for (let hour = 0; hour < 47; hour++) {
    clock.advance(HOUR);
    t.mock.timers.tick(HOUR);
    await quiet();
  }
  assert.deepEqual([reads - before, store.commits.length - commits], [0, 0]);
});

test("jobs of many priorities that are due together all run, also when the claim takes those that wait longest", async (t) => {
  const { helper, runs, pass } = waitingRunner(t);
  helper.runner.start();
  // Each round ends with another claim, so one of them meets the tenth.
  for (let round = 1; round <= 12; round++) {
    const runAt = helper.clock.now() + 1000;
    for (let priority = 1; priority <= 5; priority++) await helper.add("due", { runAt: runAt + priority, priority });
    await pass(2000);
    await until(`round ${round} has run`, () => runs.length === round * 5);
  }
});
