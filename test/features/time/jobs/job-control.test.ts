import assert from "node:assert/strict";
import test from "node:test";
import { PrismError } from "../../../../src/core/errors.ts";
import type { MovedJob } from "../../../../src/features/time/jobs/moved-jobs.ts";
import { PermanentError, type RunningJob } from "../../../../src/features/time/jobs/runner/job.ts";
import { JOB_STATES } from "../../../../src/store/schema.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { steadyJitter } from "../../../helpers/steady-jitter.ts";
import { openTestStore } from "../../../helpers/store.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";
import { jobIn, operatorActs } from "./support/job-in-state.ts";
import { TestRunner } from "./support/test-runner.ts";

const HOUR_MS = 3_600_000;
const NO_JOB = "0198c0de-0000-7000-8000-000000000000";

type Action = "cancel" | "retry" | "promote" | "delete";

/**
 * What each action makes of a job in each state: the state it is in then, or the code of the
 * refusal.
 */
const TABLE: Readonly<Record<Action, Readonly<Record<(typeof JOB_STATES)[number], string>>>> = {
  cancel: {
    scheduled: "cancelled",
    ready: "cancelled",
    retrying: "cancelled",
    running: "JOB_NOT_CANCELLABLE",
    succeeded: "INVALID_STATE",
    dead: "INVALID_STATE",
    cancelled: "INVALID_STATE",
  },
  retry: {
    dead: "ready",
    cancelled: "ready",
    scheduled: "INVALID_STATE",
    ready: "INVALID_STATE",
    running: "INVALID_STATE",
    retrying: "INVALID_STATE",
    succeeded: "INVALID_STATE",
  },
  promote: {
    scheduled: "ready",
    retrying: "ready",
    ready: "INVALID_STATE",
    running: "INVALID_STATE",
    succeeded: "INVALID_STATE",
    dead: "INVALID_STATE",
    cancelled: "INVALID_STATE",
  },
  delete: {
    succeeded: "gone",
    dead: "gone",
    cancelled: "gone",
    scheduled: "INVALID_STATE",
    ready: "INVALID_STATE",
    running: "INVALID_STATE",
    retrying: "INVALID_STATE",
  },
};

for (const [action, ends] of Object.entries(TABLE) as [Action, (typeof TABLE)[Action]][])
  test(`S0-04 ${action}: each state of 8.2 goes where the table says, audited, or is refused and stays`, async (t) => {
    for (const state of JOB_STATES)
      await t.test(`a ${state} job`, async (t) => {
        const { helper, id } = await jobIn(t, state);
        const before = operatorActs(helper).length;
        const end = ends[state];
        const outcome = await helper.control[action](id).then(
          () => helper.rows().find((row) => row.id === id)?.state ?? "gone",
          (error: PrismError) => error.code,
        );
        assert.equal(outcome, end);
        const isRefused = end === end.toUpperCase();
        if (isRefused) assert.equal(helper.stateOf(id), state);
        const metadata = { queue: "timers", kind: "test", from: state };
        const acts = operatorActs(helper).slice(before);
        assert.deepEqual(acts, isRefused ? [] : [{ action: `job.${action}`, resourceId: id, metadata }]);
      });
  });

test("an unknown job is not found, for every operation", async (t) => {
  const { control } = new TestRunner(t);
  for (const act of [control.cancel, control.retry, control.promote, control.delete])
    for (const id of [NO_JOB, "x", ""]) await assert.rejects(act.call(control, id), { code: "JOB_NOT_FOUND" });
});

test("a retried job has all attempts again, and its history is kept and continued", async (t) => {
  steadyJitter(t);
  const helper = new TestRunner(t, { maxAttempts: 2 });
  let failures = 0;
  helper.runner.handle("test", async ({ attempt }: RunningJob) => {
    throw new Error(`failure ${++failures} in attempt ${attempt}`);
  });
  helper.runner.start();
  const id = await helper.add({}, { maxAttempts: 1 });
  await eventually("it is dead", () => helper.stateOf(id) === "dead");
  await helper.control.retry(id);
  await eventually("it failed again", () => helper.stateOf(id) === "retrying");
  await helper.control.promote(id);
  await eventually("it is dead again", () => helper.stateOf(id) === "dead");
  assert.equal(helper.row(id).attempts, 2, "of the queue's two");
  assert.deepEqual(rowsWith(helper.attemptsOf(id), "attempt", "outcome", "error"), [
    [1, "dead", "failure 1 in attempt 1"],
    [2, "retrying", "failure 2 in attempt 1"],
    [3, "dead", "failure 3 in attempt 2"],
  ]);
  await helper.control.delete(id);
  assert.deepEqual(helper.attemptsOf(id), [], "the history goes with the job");
});

test("S4-20 a message's job is dead in messages-dead-letter, and a retry begins again in messages", async (t) => {
  const helper = new TestRunner(t);
  helper.runner.handle("test", async () => {
    throw new PermanentError("no such recipient");
  });
  helper.runner.start();
  const id = await helper.add({}, { queue: "messages", dedupeKey: "m" });
  await eventually("it is dead", () => helper.stateOf(id) === "dead");
  assert.equal(helper.row(id).queue, "messages-dead-letter");
  helper.runner.pause("messages");
  await helper.control.retry(id);
  assert.deepEqual([helper.row(id).queue, helper.stateOf(id), helper.row(id).attempts], ["messages", "ready", 0]);
});

test("a job is not retried if an unfinished job has its dedupe key", async (t) => {
  const helper = new TestRunner(t);
  const job = { dedupeKey: "k", runAt: helper.clock.now() + HOUR_MS };
  const first = await helper.add(1, job);
  await helper.control.cancel(first);
  const second = await helper.add(2, job);
  await assert.rejects(helper.control.retry(first), { code: "INVALID_STATE", message: new RegExp(second) });
  assert.equal(helper.stateOf(first), "cancelled");
  await helper.control.cancel(second);
  await helper.control.retry(first);
  assert.equal(helper.stateOf(first), "ready");
});

test("a job that is promoted or retried runs at once; a cancelled one never", async (t) => {
  const helper = new TestRunner(t);
  const runs = helper.recordRuns();
  helper.runner.start();
  const later = { runAt: helper.clock.now() + HOUR_MS };
  const promoted = await helper.add("promoted", later);
  const retried = await helper.add("retried", later);
  const cancelled = await helper.add("cancelled", later);
  await helper.control.promote(promoted);
  await eventually("it has run", () => helper.stateOf(promoted) === "succeeded");
  await helper.control.cancel(retried);
  await helper.control.cancel(cancelled);
  await helper.control.retry(retried);
  await eventually("it has run", () => helper.stateOf(retried) === "succeeded");
  helper.clock.advance(2 * HOUR_MS);
  helper.runner.reload();
  const last = await helper.add("last");
  await eventually("the last has run", () => helper.stateOf(last) === "succeeded");
  assert.deepEqual(runs, ["promoted", "retried", "last"]);
});

test("what is cancelled makes room in a full queue, and a retry needs room", async (t) => {
  const helper = new TestRunner(t, { maxWaiting: 2 });
  const [first] = [await helper.add(1), await helper.add(2)];
  await assert.rejects(helper.add(3), { code: "OVERLOADED" });
  await helper.control.cancel(first);
  await helper.add(3);
  await assert.rejects(helper.control.retry(first), { code: "OVERLOADED" });
  assert.equal(helper.stateOf(first), "cancelled");
});

test("in a transaction of the caller's the job is cancelled with what else is done there, or not at all", async (t) => {
  const helper = new TestRunner(t);
  const id = await helper.add({});
  await assert.rejects(
    helper.store.database.write(async (trx) => {
      await helper.control.cancel(id, { trx });
      throw new RangeError("changed its mind");
    }),
    RangeError,
  );
  assert.deepEqual([helper.stateOf(id), operatorActs(helper)], ["ready", []]);
  await helper.store.database.write((trx) => helper.control.cancel(id, { trx }));
  assert.equal(helper.stateOf(id), "cancelled");
});

test("a feature is notified in the same transaction of operators' changes to its jobs, and can refuse them", async (t) => {
  const helper = new TestRunner(t);
  const heard: MovedJob[] = [];
  let refuses = false;
  const forget = helper.control.whenEnded("test", async (trx, job) => {
    if (refuses) throw new PrismError("INVALID_STATE", "not this one");
    heard.push(job);
    await trx
      .insertInto("settings")
      .values({ key: `test.${heard.length}`, value: job.state, updatedAt: 0 })
      .execute();
  });
  assert.throws(() => helper.control.whenEnded("test", async () => undefined), TypeError);
  const id = await helper.add({}, { runAt: helper.clock.now() + HOUR_MS });
  const other = await helper.add({}, { kind: "other" });
  await helper.control.cancel(other);
  await helper.control.cancel(id);
  await helper.control.retry(id);
  const moved = [
    { jobId: id, state: "cancelled", error: null },
    { jobId: id, state: "ready", error: null },
  ];
  assert.deepEqual(heard, moved);
  refuses = true;
  await assert.rejects(helper.control.cancel(id), { code: "INVALID_STATE", message: "not this one" });
  assert.equal(helper.stateOf(id), "ready", "rolled back");
  forget();
  await helper.control.cancel(id);
  assert.deepEqual(heard, moved);
});

test("a feature is notified which of its jobs died or moved on because a crash lost their last attempt", async (t) => {
  const store = openTestStore(t);
  const gone = new TestRunner(t, { store });
  gone.runner.handle("test", () => new Promise(() => undefined));
  const [dead, moved, again] = [
    await gone.add("dead", { maxAttempts: 1 }),
    await gone.add("moved", { queue: "messages", maxAttempts: 1, dedupeKey: "m" }),
    await gone.add("again", { queue: "retention" }),
  ];
  gone.runner.start();
  await eventually("all run", () => gone.states().every((state) => state === "running"));

  const next = new TestRunner(t, { store });
  const heard: MovedJob[] = [];
  next.control.whenEnded("test", async (_trx, job) => void heard.push(job));
  assert.equal(await next.jobs.reclaim(), 3);
  const error = "the process ended during the last attempt";
  assert.deepEqual(heard, [
    { jobId: dead, state: "dead", error },
    { jobId: moved, state: "retrying", error },
  ]);
  assert.deepEqual([next.row(moved).queue, next.stateOf(again)], ["messages-retry", "ready"]);
});

test("a worker that returns after its job was requeued to another changes nothing", async (t) => {
  const store = openTestStore(t);
  const stale = new TestRunner(t, { store, maxAttempts: 1 });
  let release = (): void => undefined;
  stale.runner.handle("test", () => new Promise((_, reject) => (release = () => reject(new Error("too late")))));
  stale.runner.start();
  const id = await stale.add({});
  await eventually("it runs", () => stale.stateOf(id) === "running");
  const next = new TestRunner(t, { store });
  await next.jobs.reclaim();
  await next.control.retry(id);
  const runs = next.recordRuns();
  next.runner.start();
  await eventually("it is done by another", () => next.stateOf(id) === "succeeded");
  const before = next.row(id);
  release();
  await eventually("the stale one has ended", () => store.log.lines.some(({ message }) => message === "job failed"));
  await store.committer.settled();
  assert.deepEqual([next.row(id), runs.length], [before, 1]);
  assert.deepEqual(valuesOf(next.attemptsOf(id), "outcome"), ["lost"]);
});
