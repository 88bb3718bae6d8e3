import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { deferred } from "../../../../src/core/promises.ts";
import type { JobFunction } from "../../../../src/features/time/jobs/runner/job.ts";
import { BegunJobs } from "../../../../src/features/time/jobs/runner/job-execution.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { openTestStore, temporaryDir } from "../../../helpers/store.ts";
import { type RunnerOptions, TestRunner } from "./support/test-runner.ts";

/** Processes that use one store after the other; each dies without a stop. */
function world(t: TestContext) {
  const store = openTestStore(t);
  const path = join(temporaryDir(t), "jobs.begun");
  return (options: RunnerOptions = {}) => new TestRunner(t, { ...options, store, begun: new BegunJobs(path) });
}

const never = deferred<void>();
const hang: JobFunction = () => never.promise;

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

/** Nodes that lead one after the other; each has a file of its own, and dies without a stop. */
function cluster(t: TestContext) {
  const store = openTestStore(t);
  return (options: RunnerOptions = {}) => {
    const begun = new BegunJobs(join(temporaryDir(t), "jobs.begun"));
    return new TestRunner(t, { ...options, store, begun, isReplicated: true });
  };
}

test("in a cluster an attempt counts at the next leader from its beginning, and those claimed ahead do not", async (t) => {
  const nextLeader = cluster(t);
  const options = { concurrency: 1, maxAttempts: 2 };
  let node = nextLeader(options);
  const killer = await node.add("begun");
  const waiting = await node.add("ahead");
  let begins = 0;
  const kill: JobFunction = (job) => {
    begins++;
    // What the next leader would read if the process died in this moment.
    assert.deepEqual([job.id, node.row(job.id).state], [killer, "running"]);
    assert.equal(begunFence(node, killer), node.row(killer).fence);
    return never.promise;
  };
  for (const leads of [1, 2]) {
    node.runner.handle("test", kill);
    node.runner.start();
    await eventually("the killer has begun", () => begins === leads);
    await eventually("the other is claimed ahead", () => node.stateOf(waiting) === "running");
    node = nextLeader(options);
    await node.jobs.reclaim();
  }
  assert.deepEqual([node.stateOf(killer), node.row(killer).attempts], ["dead", 2]);
  assert.deepEqual([node.stateOf(waiting), node.row(waiting).attempts, node.attemptsOf(waiting)], ["ready", 0, []]);
});

test("in a cluster a job with one attempt does not run at two nodes", async (t) => {
  const nextLeader = cluster(t);
  const first = nextLeader({ maxAttempts: 1 });
  let begins = 0;
  first.runner.handle(
    "test",
    async (job) => {
      await job.begun();
      begins++;
      await never.promise;
    },
    { notesBegin: true },
  );
  const id = await first.add({});
  first.runner.start();
  await eventually("it has begun", () => begins === 1);
  const second = nextLeader({ maxAttempts: 1 });
  await second.jobs.reclaim();
  assert.deepEqual([second.stateOf(id), second.row(id).attempts], ["dead", 1]);
});

test("in a cluster a stop releases attempts that wait for their beginning, and jobs end as elsewhere", async (t) => {
  const node = cluster(t)({ concurrency: 3 });
  const runs = node.recordRuns();
  for (const payload of [1, 2, 3, 4, 5]) await node.add(payload);
  node.runner.start();
  await eventually("all are done", () => node.states().every((state) => state === "succeeded"));
  assert.deepEqual(runs.sort(), [1, 2, 3, 4, 5]);
  const late = await node.add(6);
  await eventually("it is claimed", () => node.row(late).fence === 1);
  await node.runner.stop(0);
  await eventually("it is ready again, or done", () => ["ready", "succeeded"].includes(node.stateOf(late)));
});

function begunFence(node: TestRunner, id: string): number | null {
  return node.store.reader
    .prepare<[string], number | null>("select begunFence from jobs where id = ?")
    .pluck()
    .get(id) as number | null;
}
