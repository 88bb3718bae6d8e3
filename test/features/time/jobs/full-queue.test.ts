import assert from "node:assert/strict";
import test from "node:test";
import { JobService } from "../../../../src/features/time/jobs/job-service.ts";
import { JobHooks } from "../../../../src/features/time/jobs/moved-jobs.ts";
import { JobRunner } from "../../../../src/features/time/jobs/runner/runner.ts";
import { countWaitingJobs } from "../../../../src/features/time/jobs/runner/runner-queue.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { steadyJitter } from "../../../helpers/steady-jitter.ts";
import { openTestStore } from "../../../helpers/store.ts";
import { applyJobEffects } from "./support/job-effects.ts";
import { queueSettings, TestRunner } from "./support/test-runner.ts";

const HOUR = 3_600_000;
const OVERLOADED = { code: "OVERLOADED" };

test("a full queue refuses new jobs with OVERLOADED; other queues accept them", async (t) => {
  const helper = new TestRunner(t, { writer: "main", maxWaiting: 3 });
  helper.recordRuns();
  helper.runner.start();
  const later = () => ({ runAt: helper.clock.now() + HOUR });
  const first = await helper.add("a", { ...later(), dedupeKey: "k" });
  await helper.add("b", later());
  await helper.add("c", later());
  await assert.rejects(helper.add("d", later()), OVERLOADED);
  await assert.rejects(helper.add("now"), OVERLOADED);
  assert.equal(await helper.add("again", { ...later(), dedupeKey: "k" }), first, "one that waits may be named again");
  await helper.add("elsewhere", { queue: "retention" });
  assert.equal(helper.rows().length, 4);
  helper.clock.advance(HOUR);
  helper.runner.enqueued([]);
  await eventually("they have run", () => helper.states().every((state) => state === "succeeded"));
  await helper.add("e", later());
});

test("a starting server knows what waits in the table, and a job that comes back waits again", async (t) => {
  steadyJitter(t);
  const store = openTestStore(t, { writer: "main" });
  const clock = new FakeClock();
  const before = new TestRunner(t, { store, clock });
  await before.add("a", { runAt: clock.now() + HOUR });
  await before.add("b", { runAt: clock.now() + HOUR });
  const { committer, reader, database, log } = store;
  const settingsOf = () => queueSettings({ concurrency: 1, maxAttempts: 8 });
  const runner = new JobRunner({
    committer,
    reader,
    clock,
    log,
    settingsOf,
    countWaiting: () => countWaitingJobs(database.read, database.scan),
    maxWaiting: 3,
  });
  applyJobEffects(database, runner);
  t.after(() => runner.stop(0));
  runner.handle("test", async () => {
    throw new Error("again");
  });
  runner.start();
  await eventually("they are counted", () => runner.waitingIn("timers") === 2);
  const jobs = new JobService({ db: database, committer, runner, clock, hooks: new JobHooks(), settingsOf });
  const job = { queue: "timers", kind: "test", payload: null, runAt: clock.now() } as const;
  const { jobId } = await jobs.enqueue(job);
  await eventually("it waits for its retry", () => before.stateOf(jobId) === "retrying");
  await assert.rejects(jobs.enqueue({ ...job, runAt: clock.now() + HOUR }), OVERLOADED);
});

test("a queue that only looks full is counted again", async (t) => {
  const helper = new TestRunner(t, { writer: "main", maxWaiting: 2 });
  helper.recordRuns();
  helper.runner.start();
  const later = () => ({ runAt: helper.clock.now() + HOUR });
  await helper.add("a", later());
  // As of a job that was not inserted, for another one held its key.
  helper.runner.enqueued([{ queue: "timers", state: "scheduled", runAt: helper.clock.now() + HOUR }]);
  await assert.rejects(helper.add("b", later()), OVERLOADED);
  helper.clock.advance(60_000);
  // A refusal triggers a recount, once the count of the start has ended.
  await eventually("it is counted", () => !helper.runner.isFull("timers"));
  await helper.add("c", later());
  await assert.rejects(helper.add("d", later()), OVERLOADED);
});
