import assert from "node:assert/strict";
import test from "node:test";
import { QUEUES } from "../../../../src/core/limits/queues.ts";
import { deferred } from "../../../../src/core/promises.ts";
import { PermanentError, RetryLater } from "../../../../src/features/time/jobs/runner/job.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { type JobPage, jobOf, makeJob, type QueueBody, queueOf } from "./support/make-jobs.ts";

/** Contract 8.3. */
const SETTINGS: readonly (readonly [name: string, alias: string | null, concurrency: number, maxAttempts: number])[] = [
  ["event-processing", "event-processing-queue", 4, 8],
  ["notification-delivery", "notification-delivery-queue", 16, 8],
  ["push-notification", "push-notification-queue", 16, 8],
  ["bucket-monitoring", "bucket-monitoring-queue", 1, 3],
  ["alert-suppression", "alert-suppression-queue", 2, 5],
  // 8 there; on a slow disk that decided the rate (docs/decisions/group-commit.md).
  ["messages", null, 64, 1],
  ["messages-retry", null, 4, 5],
  ["messages-dead-letter", null, 0, 1],
  ["alert", null, 2, 5],
  ["digest", null, 1, 3],
  ["retention", null, 1, 3],
  ["timers", null, 8, 5],
];

test("S2-76 S2-77 S2-78 S2-79 S2-80 S1-12 D31 D32: every queue of 8.3 is there, set as the contract says, and known by S2's name", async (t) => {
  keepsPromise(t, ["S2-76", "S2-77", "S2-78", "S2-80"]);
  const prism = await startPrism(t);
  const { body } = await prism.get<{ queues: QueueBody[] }>("/api/v1/queues");
  assert.deepEqual(
    body.queues.map(({ name, concurrency, maxAttempts }) => [name, concurrency, maxAttempts]),
    SETTINGS.map(([name, , concurrency, maxAttempts]) => [name, concurrency, maxAttempts]),
  );
  for (const [name, alias] of SETTINGS) {
    const idle = { ready: 0, scheduled: 0, running: 0, retrying: 0, dead: 0, paused: false, oldestReadyAgeMs: null };
    const { concurrency: _, maxAttempts: __, ...counts } = await queueOf(prism, name);
    assert.deepEqual(counts, { name, ...idle });
    if (alias !== null) assert.equal((await queueOf(prism, alias)).name, name);
  }
  await makeJob(prism, { queue: "push-notification" });
  const list = await prism.get<JobPage>("/api/v1/jobs?queue=push-notification-queue");
  assert.equal(list.body.data[0]?.queue, "push-notification");
});

test("how many jobs of a queue run at a time and how often they are tried is set by the configuration", async (t) => {
  const prism = await startPrism(t, {
    settings: { "queues.digest.concurrency": "3", "queues.digest.maxAttempts": "7" },
  });
  const { concurrency, maxAttempts } = await queueOf(prism, "digest");
  assert.deepEqual([concurrency, maxAttempts], [3, 7]);
});

test("an unknown queue is not found", async (t) => {
  const prism = await startPrism(t);
  for (const name of ["nothing", "Digest", "digest-queue-queue", "module:weather", "module:", "%20", "..%2Fjobs"])
    for (const [method, action] of [
      ["GET", ""],
      ["POST", "/pause"],
      ["POST", "/resume"],
      ["POST", "/requeue-dead"],
      ["POST", "/drain"],
    ] as const) {
      const { status, body } = await prism.request<{ error: { code: string } }>(
        method,
        `/api/v1/queues/${name}${action}`,
      );
      assert.deepEqual([status, body.error.code], [404, "QUEUE_NOT_FOUND"], `${method} ${name}${action}`);
    }
});

test("S2-135 a queue's counts by state, the age of what is ready, and a pause show in /queues and in /status alike", async (t) => {
  keepsPromise(t, "S2-135");
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { runner } = prism.parts.offers;
  const gate = deferred<void>();
  t.after(() => gate.resolve());
  runner.handle("test", async ({ payload }) => {
    const { ends } = payload as { ends?: string };
    if (ends === "dead") throw new PermanentError("never");
    // Hours away: by chance alone a retry may be due at once.
    if (ends === "retrying") throw new RetryLater("not yet", 3_600_000);
    await gate.promise;
  });
  for (const ends of ["dead", "retrying", "running"]) {
    const id = await makeJob(prism, { payload: { ends }, delayMs: 0 });
    await eventually(ends, async () => (await jobOf(prism, id)).state === ends);
  }
  assert.equal((await prism.post<QueueBody>("/api/v1/queues/digest/pause")).body.paused, true);
  await makeJob(prism);
  await makeJob(prism, { delayMs: 0 });
  await makeJob(prism, { queue: "module:weather", delayMs: 0 });
  clock.advance(5000);
  const expected = {
    name: "digest",
    ready: 1,
    scheduled: 1,
    running: 1,
    retrying: 1,
    dead: 1,
    paused: true,
    oldestReadyAgeMs: 5000,
    concurrency: 1,
    maxAttempts: 3,
  };
  assert.deepEqual(await queueOf(prism, "digest"), expected);
  const status = await prism.get<{ queues: QueueBody[] }>("/api/v1/status");
  const found = status.body.queues.find(({ name }) => name === "digest");
  assert.deepEqual(found, expected);
  assert.deepEqual(
    valuesOf(status.body.queues, "name"),
    [...QUEUES, "module:weather"],
    "also the queue of a module that is not loaded, while it has jobs",
  );
  assert.equal((await queueOf(prism, "module:weather")).ready, 1);
});

test("a pause holds over a restart, and a resume lets the jobs go", async (t) => {
  const prism = await startPrism(t);
  const serve = () => prism.parts.offers.runner.handle("test", async () => "done");
  await prism.post("/api/v1/queues/digest/pause", {});
  await prism.restart();
  serve();
  assert.equal((await queueOf(prism, "digest")).paused, true);
  const id = await makeJob(prism, { delayMs: 0 });
  const other = await makeJob(prism, { queue: "timers", delayMs: 0 });
  await eventually("the other queue's has run", async () => (await jobOf(prism, other)).state === "succeeded");
  assert.equal((await jobOf(prism, id)).state, "ready");
  const { status, body } = await prism.post<QueueBody>("/api/v1/queues/digest/resume");
  assert.deepEqual([status, body.paused], [200, false]);
  await eventually("it has run", async () => (await jobOf(prism, id)).state === "succeeded");
  await prism.restart();
  assert.equal((await queueOf(prism, "digest")).paused, false);
});

test("the dead of a queue are requeued, and what waits is cancelled by a drain", async (t) => {
  const prism = await startPrism(t);
  const ids = await Promise.all([1, 2, 3].map(() => makeJob(prism, { kind: "unknown", delayMs: 0 })));
  await eventually("all are dead", async () => (await queueOf(prism, "digest")).dead === 3);
  prism.parts.offers.runner.handle("unknown", async () => undefined);
  const requeued = await prism.post("/api/v1/queues/digest/requeue-dead");
  assert.deepEqual([requeued.status, requeued.body], [200, { requeued: 3 }]);
  for (const id of ids) await eventually("done", async () => (await jobOf(prism, id)).state === "succeeded");
  await makeJob(prism);
  await makeJob(prism);
  const drained = await prism.post("/api/v1/queues/digest/drain");
  assert.deepEqual([drained.status, drained.body], [200, { cancelled: 2 }]);
  const { body } = await prism.get<JobPage>("/api/v1/jobs?queue=digest&state=cancelled&page=1");
  assert.equal(body.total, 2);
});
