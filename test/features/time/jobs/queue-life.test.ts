import assert from "node:assert/strict";
import test from "node:test";
import type { QueueName } from "../../../../src/core/limits/queues.ts";
import { deferred } from "../../../../src/core/promises.ts";
import {
  COMPLETED,
  PermanentError,
  RetryLater,
  type RunningJob,
} from "../../../../src/features/time/jobs/runner/job.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { steadyJitter } from "../../../helpers/steady-jitter.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { TestRunner } from "./support/test-runner.ts";

const HOUR_MS = 3_600_000;

test("Retry-After of the other side counts where it is longer than the back-off, and never shortens it", async (t) => {
  steadyJitter(t);
  const backoff = { backoffBaseMs: HOUR_MS, backoffCapMs: HOUR_MS };
  const helper = new TestRunner(t, { settingsOf: (queue) => (queue === "digest" ? backoff : {}) });
  helper.runner.handle("test", async ({ payload }: RunningJob) => {
    throw new RetryLater("busy", payload as number);
  });
  helper.runner.start();
  const waitOf = async (queue: QueueName, retryAfterMs: number): Promise<number> => {
    const id = await helper.add(retryAfterMs, { queue });
    await eventually("it waits", () => helper.stateOf(id) === "retrying");
    return helper.row(id).runAt - helper.clock.now();
  };
  assert.equal(await waitOf("timers", 30 * 60_000), 30 * 60_000, "far beyond a second, the base of timers");
  assert.ok((await waitOf("timers", 0)) <= 1000);
  const waits = await Promise.all(Array.from({ length: 20 }, () => waitOf("digest", 1)));
  assert.ok(
    waits.some((waitMs) => waitMs > 1),
    "full jitter of an hour",
  );
});

test("base and cap of the back-off are the queue's", async (t) => {
  steadyJitter(t, 0.9);
  const helper = new TestRunner(t, {
    maxAttempts: 10,
    concurrency: 50,
    settingsOf: (queue) => (queue === "digest" ? { backoffBaseMs: 60_000, backoffCapMs: 90_000 } : {}),
  });
  helper.runner.handle("test", async () => {
    throw new Error("again");
  });
  helper.runner.start();
  const ids = await Promise.all(Array.from({ length: 50 }, () => helper.add({}, { queue: "digest" })));
  const waits = () => ids.map((id) => helper.row(id).runAt - helper.clock.now());
  await eventually("all wait", () => helper.states().every((state) => state === "retrying"));
  assert.ok(
    waits().every((waitMs) => waitMs >= 0 && waitMs <= 60_000),
    "up to the base at first",
  );
  assert.ok(
    waits().some((waitMs) => waitMs > 1000),
    "beyond the base of other queues",
  );
  for (const attempts of [2, 3]) {
    await Promise.all(ids.map((id) => helper.control.promote(id)));
    await eventually("all wait again", () =>
      helper.rows().every((row) => row.state === "retrying" && row.attempts === attempts),
    );
    assert.ok(
      waits().every((waitMs) => waitMs <= 90_000),
      "never beyond the cap",
    );
  }
  assert.ok(
    waits().some((waitMs) => waitMs > 60_000),
    "beyond the base, for it doubles",
  );
});

test("S4-19 S4-20 S4-21 D31 a message's job goes from messages to messages-retry to messages-dead-letter, where nothing runs", async (t) => {
  keepsPromise(t, "S4-19");
  const attempts: Readonly<Record<string, number>> = { messages: 1, "messages-retry": 2 };
  const helper = new TestRunner(t, {
    // Long enough that no retry is near its time: those that are begin by themselves.
    settingsOf: (queue) => ({ maxAttempts: attempts[queue] ?? 1, backoffBaseMs: HOUR_MS, backoffCapMs: HOUR_MS }),
  });
  const seen: string[] = [];
  let queue = "";
  helper.runner.handle("test", async ({ claimed }: RunningJob) => {
    queue = claimed.queue;
    seen.push(claimed.queue);
    throw new Error(`failed in ${claimed.queue}`);
  });
  helper.runner.start();
  const id = await helper.add({}, { queue: "messages", dedupeKey: "m" });
  await eventually("it waits for a retry", () => helper.stateOf(id) === "retrying" && queue === "messages");
  assert.equal(helper.row(id).queue, "messages-retry");
  const next = await helper.add({}, { queue: "messages", dedupeKey: "m", runAt: helper.clock.now() + HOUR_MS });
  assert.notEqual(next, id, "its key was of the queue that it has left");
  for (let run = 2; helper.stateOf(id) !== "dead"; run++) {
    await helper.control.promote(id);
    await eventually("it has failed", () => seen.length === run && ["retrying", "dead"].includes(helper.stateOf(id)));
  }
  assert.deepEqual(seen, ["messages", "messages-retry", "messages-retry"]);
  assert.equal(helper.row(id).queue, "messages-dead-letter");
  assert.deepEqual(rowsWith(helper.attemptsOf(id), "attempt", "outcome", "error"), [
    [1, "retrying", "failed in messages"],
    [2, "retrying", "failed in messages-retry"],
    [3, "dead", "failed in messages-retry"],
  ]);
});

test("a handler that ends its own attempt as failed, in its transaction, gets what a throw would have got", async (t) => {
  steadyJitter(t);
  const helper = new TestRunner(t, { maxAttempts: 2 });
  const errors = [new Error("first"), new PermanentError("second")];
  helper.runner.handle("test", async (job: RunningJob) => {
    await helper.store.database.write((trx) => helper.jobs.fail(job, trx, errors.shift()));
    return COMPLETED;
  });
  helper.runner.start();
  const id = await helper.add({});
  await eventually("it is to be tried again", () => helper.stateOf(id) === "retrying");
  await helper.control.promote(id);
  await eventually("it is dead", () => helper.stateOf(id) === "dead");
  assert.deepEqual(rowsWith(helper.attemptsOf(id), "attempt", "outcome", "error"), [
    [1, "retrying", "first"],
    [2, "dead", "second"],
  ]);
});

test("the last word on its progress stays with a job that has failed, and a retry begins without", async (t) => {
  const helper = new TestRunner(t);
  const gate = deferred<void>();
  helper.runner.handle("test", async ({ progress }: RunningJob) => {
    for (let done = 1; done <= 100; done++) progress({ done });
    await gate.promise;
    throw new PermanentError("stuck");
  });
  helper.runner.start();
  const id = await helper.add({});
  const progressOf = () =>
    helper.store.reader.prepare<[string], string>("select progress from jobs where id = ?").pluck().get(id);
  await eventually("its progress is stored", () => progressOf() === '{"done":100}');
  gate.resolve();
  await eventually("it is dead", () => helper.stateOf(id) === "dead");
  assert.equal(progressOf(), '{"done":100}');
  helper.runner.pause("timers");
  await helper.control.retry(id);
  assert.equal(progressOf(), null);
});

test("a module's jobs wait until it is loaded, run while it is, and wait again when it is gone", async (t) => {
  const helper = new TestRunner(t, { concurrency: 1 });
  const gate = deferred<void>();
  const runs: unknown[] = [];
  helper.runner.handle("test", async ({ payload }: RunningJob) => {
    runs.push(payload);
    if (payload === "slow") await gate.promise;
  });
  helper.runner.start();
  const queue = "module:weather" as const;
  const slow = await helper.add("slow", { queue });
  const other = await helper.add("of another queue");
  await eventually("the other has run", () => helper.stateOf(other) === "succeeded");
  assert.equal(helper.stateOf(slow), "ready");
  helper.runner.serve(queue);
  await eventually("it runs", () => runs.includes("slow"));
  const claimed = await helper.add("claimed", { queue });
  const left = await helper.add("left", { queue });
  helper.runner.withdraw(queue);
  gate.resolve();
  await eventually("what ran has come to its end", () => helper.stateOf(slow) === "succeeded");
  await eventually("what had not begun is back", () => helper.stateOf(claimed) === "ready");
  const after = await helper.add("after");
  await eventually("another queue goes on", () => helper.stateOf(after) === "succeeded");
  assert.deepEqual([helper.stateOf(left), helper.row(claimed).attempts], ["ready", 0]);
  assert.deepEqual(runs, ["of another queue", "slow", "after"]);
  helper.runner.serve(queue);
  await eventually("the new one runs them", () => runs.length === 5);
});

test("a queue of concurrency 0 parks its jobs until a reload gives it workers", async (t) => {
  let concurrency = 0;
  const helper = new TestRunner(t, { settingsOf: () => ({ concurrency }) });
  const runs = helper.recordRuns();
  helper.runner.start();
  const id = await helper.add("parked");
  await helper.store.committer.settled();
  assert.deepEqual([helper.stateOf(id), runs], ["ready", []]);
  concurrency = 1;
  helper.runner.reload();
  await eventually("it has run", () => helper.stateOf(id) === "succeeded");
});
