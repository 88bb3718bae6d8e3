import assert from "node:assert/strict";
import test from "node:test";
import { currentCaller } from "../../../../src/core/caller.ts";
import { deferred } from "../../../../src/core/promises.ts";
import { PermanentError, type RunningJob } from "../../../../src/features/time/jobs/runner/job.ts";
import { retryDelayMs } from "../../../../src/features/time/jobs/runner/job-execution.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { steadyJitter } from "../../../helpers/steady-jitter.ts";
import { openBeside, openTestStore } from "../../../helpers/store.ts";
import { testBothWriters } from "../../../store/support/both-writers.ts";
import { TestRunner } from "./support/test-runner.ts";

testBothWriters("S1-04: a job that is due runs once, and its result is kept", async (t, writer) => {
  const { runner, jobs, clock, ...helper } = new TestRunner(t, { writer });
  const seen: RunningJob[] = [];
  runner.handle("test", async (job) => {
    seen.push(job);
    return { n: 1 };
  });
  runner.start();
  const { jobId, state } = await jobs.enqueue({
    queue: "timers",
    kind: "test",
    payload: { a: [1, "ü"] },
    runAt: clock.now(),
    label: "l",
    createdBy: "u",
    correlationId: "c",
  });
  assert.equal(state, "ready");
  const row = () => helper.store.reader.prepare<[], Record<string, unknown>>("select * from jobs").get();
  await eventually("it has succeeded", () => row()?.["state"] === "succeeded");
  const { claimed, progress: _progress, begun: _begun, ...shown } = seen[0] as RunningJob;
  assert.deepEqual(shown, {
    id: jobId,
    kind: "test",
    payload: { a: [1, "ü"] },
    attempt: 1,
    label: "l",
    createdBy: "u",
    correlationId: "c",
  });
  assert.equal(seen.length, 1);
  const { attempts, fence, result, finishedAt, startedAt, workerId, lastError } = row() ?? {};
  assert.deepEqual(
    { attempts, fence, result, finishedAt, startedAt, workerId, lastError },
    {
      attempts: 1,
      fence: 1,
      result: '{"n":1}',
      finishedAt: clock.now(),
      startedAt: clock.now(),
      workerId: runner.workerId,
      lastError: null,
    },
  );
  assert.equal(claimed.fence, 1);
  assert.deepEqual(
    helper.store.reader.prepare("select * from job_attempts").all(),
    [],
    "only attempts that failed are noted",
  );
});

test("a handler runs as a job, under the correlation id of its creator", async (t) => {
  const prism = new TestRunner(t);
  const callers: unknown[] = [];
  prism.runner.handle("test", async () => {
    const { principal, process, correlationId } = currentCaller();
    callers.push({ principal, process, correlationId });
  });
  prism.runner.start();
  await prism.add({}, { correlationId: "c-1" });
  await eventually("it has run", () => callers.length === 1);
  assert.deepEqual(callers, [{ principal: null, process: "job", correlationId: "c-1" }]);
});

test("of a queue no more run at a time than its concurrency says, and all run in the end", async (t) => {
  const prism = new TestRunner(t, { concurrency: 3 });
  let running = 0;
  let most = 0;
  prism.runner.handle("test", async () => {
    most = Math.max(most, ++running);
    await new Promise(setImmediate);
    running--;
  });
  await Promise.all(Array.from({ length: 50 }, (_, n) => prism.add(n)));
  prism.runner.start();
  await eventually("all have run", () => prism.states().every((state) => state === "succeeded"));
  assert.equal(most, 3);
});

test("a queue with blocked handlers delays no other queue", async (t) => {
  const prism = new TestRunner(t, { concurrency: 1 });
  const stuck = deferred<void>();
  prism.runner.handle("stuck", () => stuck.promise);
  const runs = prism.recordRuns();
  prism.runner.start();
  for (let i = 0; i < 5; i++) await prism.add(i, { kind: "stuck" });
  await prism.add("through", { queue: "retention" });
  await eventually("the other queue goes on", () => runs.length === 1);
  stuck.resolve();
  await eventually("and the stuck one after it", () => prism.states().every((state) => state === "succeeded"));
});

test("within a queue the order is priority, then when due, then when made; every tenth claim takes what waits longest", async (t) => {
  const prism = new TestRunner(t, { concurrency: 1 });
  const runs = prism.recordRuns();
  const now = prism.clock.now();
  await prism.add("late", { priority: 5, runAt: now });
  await prism.add("early", { priority: 5, runAt: now - 10 });
  await prism.add("early, made second", { priority: 5, runAt: now - 10 });
  await prism.add("first", { priority: 9, runAt: now });
  prism.runner.start();
  await eventually("all have run", () => runs.length === 4);
  assert.deepEqual(runs, ["first", "early", "early, made second", "late"]);

  const starved = await prism.add("starved", { priority: 0, runAt: now - 1000, queue: "retention" });
  for (let n = 0; n < 60; n++) await prism.add(n, { priority: 1, queue: "retention" });
  await eventually("all have run", () => runs.length === 65);
  await eventually("it has ended", () => prism.stateOf(starved) === "succeeded");
});

test("what waits longest is not starved by an unending stream of what is more urgent", async (t) => {
  const prism = new TestRunner(t, { concurrency: 1 });
  let isFed = true;
  let urgent = 0;
  const feeding: Promise<string>[] = [];
  prism.runner.handle("urgent", async () => {
    urgent++;
    // There are always some more of these than a claim takes.
    if (isFed) for (let i = 0; i < 2; i++) feeding.push(prism.add(urgent, { kind: "urgent", priority: 1000 }));
  });
  prism.runner.handle("test", async () => {
    isFed = false;
  });
  for (let i = 0; i < 10; i++) await prism.add(i, { kind: "urgent", priority: 1000 });
  await prism.add("old", { runAt: prism.clock.now() - 60_000 });
  prism.runner.start();
  await eventually("it has had its turn", () => !isFed);
  assert.ok(urgent >= 10, "the urgent ones were first all the same");
  // The store must not close on one that is still being made.
  await Promise.all(feeding);
});

testBothWriters("two workers on one table never run a job twice", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const runs = new Map<unknown, number>();
  const clock = new FakeClock();
  const workers = [1, 2].map(() => new TestRunner(t, { store, clock, concurrency: 4 }));
  for (const { runner } of workers) {
    runner.handle("test", async ({ payload }) => {
      runs.set(payload, (runs.get(payload) ?? 0) + 1);
    });
    runner.start();
  }
  const [first, second] = workers as [TestRunner, TestRunner];
  await Promise.all(Array.from({ length: 200 }, (_, n) => (n % 2 ? first : second).add(n)));
  await eventually("all are done", () => first.states().every((state) => state === "succeeded"));
  assert.equal(runs.size, 200);
  assert.deepEqual(new Set(runs.values()), new Set([1]));
  assert.deepEqual(new Set(first.rows().map(({ workerId }) => workerId)).size, 2, "both took part");
});

test("an attempt that fails is noted and comes again after its back-off, until none is left", async (t) => {
  steadyJitter(t);
  const prism = new TestRunner(t, { maxAttempts: 3 });
  let runs = 0;
  prism.runner.handle("test", async () => {
    throw new Error(`failure ${++runs}`);
  });
  prism.runner.start();
  const id = await prism.add({});
  for (const attempt of [1, 2]) {
    await eventually("it waits", () => prism.stateOf(id) === "retrying" && runs === attempt);
    const { runAt, lastError, attempts } = prism.row(id);
    assert.deepEqual([lastError, attempts], [`failure ${attempt}`, attempt]);
    const waitMs = runAt - prism.clock.now();
    assert.ok(waitMs >= 0 && waitMs <= retryDelayMs(attempt), `full jitter: ${waitMs} of ${retryDelayMs(attempt)} ms`);
    prism.clock.advance(retryDelayMs(attempt));
    await prism.add("a nudge: the runner waits by the real clock", { kind: "nudge" });
  }
  await eventually("it is dead", () => prism.stateOf(id) === "dead");
  const { finishedAt, lastError, attempts } = prism.row(id);
  assert.deepEqual([finishedAt, lastError, attempts, runs], [prism.clock.now(), "failure 3", 3, 3]);
  const worker = prism.runner.workerId;
  assert.deepEqual(prism.attemptsOf(id), [
    { attempt: 1, outcome: "retrying", error: "failure 1", worker },
    { attempt: 2, outcome: "retrying", error: "failure 2", worker },
    { attempt: 3, outcome: "dead", error: "failure 3", worker },
  ]);
});

test("what cannot get better is dead at once", async (t) => {
  const prism = new TestRunner(t);
  prism.runner.handle("test", async () => {
    throw new PermanentError("never");
  });
  prism.runner.start();
  const refused = await prism.add({});
  const unknown = await prism.add({}, { kind: "nobody" });
  for (const [id, error] of [
    [refused, "never"],
    [unknown, "no handler for jobs of kind nobody"],
  ] as const) {
    await eventually("it is dead", () => prism.stateOf(id) === "dead");
    assert.deepEqual([prism.row(id).attempts, prism.row(id).lastError], [1, error]);
  }
});

test("an error is kept to 4000 characters, and a result to 16 KiB", async (t) => {
  const prism = new TestRunner(t, { maxAttempts: 1 });
  prism.runner.handle("test", async ({ payload }) => {
    if (payload === "fails") throw new Error("x".repeat(10_000));
    return "x".repeat(payload === "long" ? 16_383 : 16_382);
  });
  prism.runner.start();
  const ids = [await prism.add("fails"), await prism.add("long"), await prism.add("fits")] as const;
  await eventually("all have ended", () => prism.rows().every(({ finishedAt }) => finishedAt !== null));
  assert.equal(prism.row(ids[0]).lastError?.length, 4000);
  assert.deepEqual([prism.stateOf(ids[1]), prism.row(ids[1]).result], ["succeeded", null]);
  assert.equal(prism.row(ids[2]).result?.length, 16_384);
});

test("a worker with an outdated fence writes nothing", async (t) => {
  for (const end of ["succeeds", "fails"] as const) {
    await t.test(`and its attempt ${end}`, async (t) => {
      const prism = new TestRunner(t);
      const gate = deferred<void>();
      let ended = 0;
      prism.runner.handle("test", async () => {
        await gate.promise;
        ended++;
        if (end === "fails") throw new Error("late");
      });
      prism.runner.start();
      const id = await prism.add({});
      await eventually("it runs", () => prism.stateOf(id) === "running");
      await prism.store.database.write((trx) =>
        trx.updateTable("jobs").set({ fence: 2, workerId: "another" }).where("id", "=", id).execute(),
      );
      gate.resolve();
      await eventually("the old worker is done", () => ended === 1);
      await prism.add("behind it", { kind: "nobody" });
      await eventually("what it wrote is on disk", () => prism.states()[1] === "dead");
      const { state, workerId, fence, lastError } = prism.row(id);
      assert.deepEqual([state, workerId, fence, lastError], ["running", "another", 2, null]);
      assert.deepEqual(prism.attemptsOf(id), []);
    });
  }
});

test("while the table cannot be written nothing is lost: claims and ends are written when it can be again", async (t) => {
  const prism = new TestRunner(t);
  const runs = prism.recordRuns();
  prism.runner.start();
  const { file, log } = prism.store;
  const beside = openBeside(t, file);
  beside.exec("create trigger refuse before update on jobs begin select raise(abort, 'refused'); end");
  const id = await prism.add("one");
  await eventually("the claim was refused", () =>
    log.lines.some(({ message }) => message.startsWith("claiming or completing jobs failed")),
  );
  assert.deepEqual([prism.stateOf(id), runs], ["ready", []]);
  beside.exec("drop trigger refuse");
  await eventually("it has run", () => prism.stateOf(id) === "succeeded");
  assert.deepEqual(runs, ["one"]);
});

test("a kind of job has one handler", (t) => {
  const { runner } = new TestRunner(t);
  runner.handle("test", async () => undefined);
  assert.throws(() => runner.handle("test", async () => undefined), {
    name: "TypeError",
    message: "jobs of kind test have a handler already",
  });
});
