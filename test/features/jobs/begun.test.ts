import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { deferred } from "../../../src/core/promises.ts";
import type { JobHandler } from "../../../src/features/jobs/runner/job.ts";
import { BegunJobs } from "../../../src/features/jobs/runner/job-execution.ts";
import { eventually } from "../../helpers/eventually.ts";
import { openTestStore, temporaryDir } from "../../helpers/store.ts";
import { type RunnerOptions, TestRunner } from "./support/test-runner.ts";

/** Processes that use one store after the other; each dies without a stop. */
function world(t: TestContext) {
  const store = openTestStore(t);
  const path = join(temporaryDir(t), "jobs.begun");
  return (options: RunnerOptions = {}) => new TestRunner(t, { ...options, store, begun: new BegunJobs(path) });
}

const never = deferred<void>();
const hang: JobHandler = () => never.promise;

test("attempts that were claimed and had not begun when the process died do not count, however often it dies", async (t) => {
  const nextProcess = world(t);
  const first = nextProcess({ concurrency: 1, maxAttempts: 2 });
  first.runner.handle("test", hang);
  const begun = await first.add("begun");
  const waiting = [await first.add("ahead 1"), await first.add("ahead 2")];
  first.runner.start();
  await eventually(
    "the next one is claimed ahead",
    () => first.rows().filter(({ state }) => state === "running").length >= 2,
  );
  const second = nextProcess({ concurrency: 1, maxAttempts: 2 });
  await second.jobs.reclaim();
  const attempts = (of: TestRunner) => [begun, ...waiting].map((id) => of.row(id).attempts);
  assert.deepEqual(attempts(second), [1, 0, 0]);
  second.runner.handle("test", hang);
  second.runner.start();
  await eventually("one is claimed ahead", () => attempts(second)[1] === 1);
  const third = nextProcess({ concurrency: 1, maxAttempts: 2 });
  await third.jobs.reclaim();
  assert.deepEqual([third.stateOf(begun), ...attempts(third)], ["dead", 2, 0, 0]);
  assert.deepEqual(third.attemptsOf(waiting[0] ?? ""), []);
});

test("an attempt whose handler only writes rows never counts when the process dies in it", async (t) => {
  const nextProcess = world(t);
  let process = nextProcess({ maxAttempts: 2 });
  const id = await process.add({});
  for (let crash = 1; crash <= 6; crash++) {
    process.runner.handle("test", hang, { notesBegin: true });
    process.runner.start();
    await eventually("it runs", () => process.stateOf(id) === "running");
    process = nextProcess({ maxAttempts: 2 });
    await process.jobs.reclaim();
    assert.deepEqual([process.stateOf(id), process.row(id).attempts, process.attemptsOf(id)], ["ready", 0, []]);
  }
  const runs = process.recordRuns();
  process.runner.start();
  await eventually("it is done", () => process.stateOf(id) === "succeeded");
  assert.equal(runs.length, 1);
});

test("an attempt that says itself when it begins counts from then on", async (t) => {
  const nextProcess = world(t);
  const first = nextProcess({ maxAttempts: 1 });
  const hasBegun = deferred<void>();
  first.runner.handle(
    "test",
    async (job) => {
      job.begun();
      hasBegun.resolve();
      await never.promise;
    },
    { notesBegin: true },
  );
  const id = await first.add({});
  first.runner.start();
  await hasBegun.promise;
  const second = nextProcess({ maxAttempts: 1 });
  await second.jobs.reclaim();
  assert.deepEqual([second.stateOf(id), second.row(id).attempts], ["dead", 1]);
});

test("notes of attempts that have ended say nothing of later ones", (t) => {
  const path = join(temporaryDir(t), "jobs.begun");
  const first = new BegunJobs(path);
  const note = first.noteOf({ seq: 7, fence: 1 });
  note.begin();
  note.end();
  const second = new BegunJobs(path);
  assert.equal(second.hadBegun({ seq: 7, fence: 2 }), false);
  first.close();
  second.close();
  second.close();
  assert.equal(new BegunJobs(path).hadBegun({ seq: 7, fence: 1 }), false, "the next process begins with none");
});
