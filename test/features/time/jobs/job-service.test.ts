import assert from "node:assert/strict";
import test from "node:test";
import { deferred } from "../../../../src/core/promises.ts";
import { LostLease } from "../../../../src/features/time/jobs/job-service.ts";
import { RetryLater, type RunningJob } from "../../../../src/features/time/jobs/runner/job.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { TestRunner } from "./support/test-runner.ts";

const settings = (helper: TestRunner): unknown[] =>
  helper.store.reader.prepare("select key from settings where key like 'test.%'").pluck().all();

const effect = { key: "test.effect", value: 1, updatedAt: 0 };

test("a job is made in the transaction of what causes it, or not at all", async (t) => {
  const helper = new TestRunner(t);
  const runs = helper.recordRuns();
  helper.runner.start();
  const job = { queue: "timers", kind: "test", payload: {}, runAt: helper.clock.now() } as const;
  await assert.rejects(
    helper.store.database.write(async (trx) => {
      await helper.jobs.enqueue(job, { trx });
      throw new RangeError("changed its mind");
    }),
    RangeError,
  );
  assert.deepEqual([helper.rows(), runs], [[], []]);
  await helper.store.database.write(async (trx) => {
    await trx.insertInto("settings").values(effect).execute();
    await helper.jobs.enqueue(job, { trx });
  });
  await eventually("it has run", () => runs.length === 1);
  assert.deepEqual(settings(helper), ["test.effect"]);
});

test("while an unfinished job of the queue holds the dedupe key, it replaces the next; a finished one does not", async (t) => {
  const helper = new TestRunner(t);
  const gate = deferred<void>();
  helper.runner.handle("test", () => gate.promise);
  const add = (more: object = {}) =>
    helper.jobs.enqueue({
      queue: "timers",
      kind: "test",
      payload: { n: 1 },
      runAt: helper.clock.now(),
      dedupeKey: "k",
      label: "first",
      ...more,
    });
  const first = await add();
  const again = await add({ payload: { n: 2 }, label: "second" });
  assert.deepEqual(again, first, "as it stands in the table");
  const other = await add({ queue: "retention" });
  assert.notEqual(other.jobId, first.jobId, "keys are a queue's own");
  helper.runner.start();
  await eventually("both run", () => helper.states().every((state) => state === "running"));
  assert.equal((await add()).jobId, first.jobId, "also while it runs");
  gate.resolve();
  await eventually("both have ended", () => helper.states().every((state) => state === "succeeded"));
  const next = await add();
  assert.notEqual(next.jobId, first.jobId);
  // Neither has ended before the other is added.
  const waiting = { dedupeKey: "t", runAt: helper.clock.now() + 1000 };
  const together = await Promise.all([add(waiting), add(waiting)]);
  assert.equal(together[0]?.jobId, together[1]?.jobId);
});

test("a payload of more than 256 KiB is refused", async (t) => {
  const helper = new TestRunner(t);
  await assert.rejects(helper.add("x".repeat(262_143)), { code: "PAYLOAD_TOO_LARGE" });
  await helper.add("x".repeat(262_142));
  assert.equal(helper.rows().length, 1);
});

test("effect and completion are one transaction: a job whose claim was lost leaves no effect", async (t) => {
  const helper = new TestRunner(t);
  const begun = deferred<RunningJob>();
  const end = deferred<void>();
  helper.runner.handle("test", async (job) => {
    begun.resolve(job);
    await end.promise;
  });
  helper.runner.start();
  const id = await helper.add({});
  const job = await begun.promise;
  const finish = () =>
    helper.store.database.write(async (trx) => {
      await trx.insertInto("settings").values(effect).execute();
      await helper.jobs.complete(job, trx, { done: true });
    });
  const setFence = (fence: number) =>
    helper.store.database.write((trx) => trx.updateTable("jobs").set({ fence }).where("id", "=", id).execute());
  await setFence(2);
  await assert.rejects(finish(), LostLease);
  assert.deepEqual([settings(helper), helper.stateOf(id)], [[], "running"]);
  await setFence(1);
  await finish();
  assert.deepEqual([settings(helper), helper.stateOf(id)], [["test.effect"], "succeeded"]);
  assert.equal(helper.row(id).result, '{"done":true}');
  await assert.rejects(finish(), "not twice");
  end.resolve();
});

test("a due time with a fraction is refused by a TypeError, before any row is written", async (t) => {
  const helper = new TestRunner(t);
  const { jobs, store } = helper;
  const job = { queue: "timers", kind: "test", payload: {}, runAt: helper.clock.now() } as const;
  for (const runAt of [job.runAt + 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    await assert.rejects(jobs.enqueue({ ...job, runAt }), TypeError);
    await assert.rejects(jobs.enqueue({ ...job, runAt, dedupeKey: "k" }), TypeError);
    await assert.rejects(
      store.database.write((trx) => jobs.enqueueNew([{ ...job, runAt }], trx)),
      TypeError,
    );
  }
  assert.deepEqual(helper.rows(), []);
  const begun = deferred<RunningJob>();
  const end = deferred<void>();
  helper.runner.handle("test", async (running) => {
    begun.resolve(running);
    await end.promise;
  });
  helper.runner.start();
  const id = await helper.add({});
  const running = await begun.promise;
  await assert.rejects(
    store.database.write((trx) => jobs.postpone(running, trx, helper.clock.now() + 0.5)),
    TypeError,
  );
  assert.equal(helper.stateOf(id), "running");
  end.resolve();
  await eventually("it has ended", () => helper.stateOf(id) === "succeeded");
});

test("a handler's own waiting time is rounded up to whole milliseconds, and to a year at most", () => {
  assert.equal(new RetryLater("busy", 1000.2).retryAfterMs, 1001);
  assert.equal(new RetryLater("busy", 1e300).retryAfterMs, 365 * 86_400_000);
  assert.throws(() => new RetryLater("busy", Number.NaN), TypeError);
});
