import assert from "node:assert/strict";
import test from "node:test";
import { uuidv7 } from "../../../../../src/core/ids.ts";
import { eventually } from "../../../../helpers/eventually.ts";
import { makeProject, makeUser } from "../../../../helpers/people.ts";
import { rowsOf } from "../../../../helpers/tables.ts";
import { rowsWith, valuesOf } from "../../../../helpers/values.ts";
import { addJob, attemptsOf, jobRow, makeWorker, outcomeOf, QUEUE, startWithWorker } from "./support.ts";

const NO_JOB = "0198c0de-0000-7000-8000-000000000000";

test("a claimed job has what its handler needs and nothing more, and ends with a result", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const labelled = await addJob(prism, { n: 1 }, { label: "nightly", correlationId: "c-1", createdBy: "somebody" });
  const plain = await addJob(prism, [null, "2"]);
  const before = prism.parts.base.clock.now();
  const [first, second] = await worker.claimed();
  assert.ok(first && second);
  const { leaseUntil, runAt, ...rest } = first;
  assert.ok(Date.parse(runAt) <= before);
  assert.deepEqual(rest, {
    id: labelled,
    queue: QUEUE,
    kind: "work",
    payload: { n: 1 },
    attempt: 1,
    maxAttempts: 5,
    fence: 1,
    label: "nightly",
    correlationId: "c-1",
  });
  const lasts = Date.parse(leaseUntil) - before;
  assert.ok(lasts >= 60_000 && lasts <= 60_000 + (prism.parts.base.clock.now() - before), `${lasts} ms`);
  assert.deepEqual(
    [second.id, second.payload, "label" in second, second.correlationId],
    [plain, [null, "2"], false, plain],
  );
  assert.deepEqual(await worker.claimed(), [], "each once");
  assert.equal(await outcomeOf(worker.complete(first, { result: { sent: true } })), "200");
  assert.equal(await outcomeOf(worker.complete(second)), "200");
  const { state, result, workerId } = jobRow(prism, labelled);
  assert.deepEqual([state, result, workerId], ["succeeded", '{"sent":true}', worker.id]);
  const shown = await prism.get<{ history: { worker: string; outcome: string }[] }>(`/api/v1/jobs/${plain}`);
  assert.deepEqual(rowsWith(shown.body.history, "outcome", "worker"), [["succeeded", worker.id]]);
  const { text } = await prism.get("/metrics");
  assert.match(text, /prism_job_attempts_total\{queue="module:outside",outcome="succeeded"\} 2/);
});

test("workers elsewhere claim from outside channels and modules only", async (t) => {
  const { worker } = await startWithWorker(t);
  for (const queues of [
    ["digest"],
    ["messages"],
    [QUEUE, "timers"],
    ["module:Bad"],
    ["none"],
    [],
    Array(51).fill(QUEUE),
  ])
    assert.equal(await outcomeOf(worker.claim({ queues })), "400 VALIDATION_FAILED", JSON.stringify(queues));
  for (const body of [{ max: 0 }, { max: 101 }, { waitMs: 30_001 }, { workerId: "me" }, { host: "" }])
    assert.equal(await outcomeOf(worker.claim(body)), "400 VALIDATION_FAILED", JSON.stringify(body));
  const queues = ["notification-delivery-queue", "push-notification", QUEUE, QUEUE];
  assert.deepEqual(await worker.claimed({ queues }), []);
});

test("a worker needs a service token that may work: no login, no key, no other token", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const body = { workerId: uuidv7(), host: "h", queues: [QUEUE] };
  const { apiKey } = await makeProject(prism);
  const user = await makeUser(prism, "operator", ["Operator"]);
  assert.equal(await outcomeOf(prism.post("/api/v1/workers/claim", body)), "403 FORBIDDEN", "an Admin who logged in");
  assert.equal(await outcomeOf(prism.post("/api/v1/workers/claim", body, { apiKey })), "403 FORBIDDEN");
  assert.equal(await outcomeOf(prism.post("/api/v1/workers/claim", body, user)), "403 UNAUTHORIZED_ROLE");
  await addJob(prism);
  const job = await worker.one();
  const stranger = await makeWorker(prism, "stranger");
  assert.equal(await outcomeOf(stranger.claim({ workerId: worker.id })), "403 FORBIDDEN");
  assert.equal(await outcomeOf(stranger.complete(job)), "403 FORBIDDEN");
  assert.equal(await outcomeOf(stranger.fail(job)), "403 FORBIDDEN");
  const renewal = prism.post<{ error?: { code: string } }>("/api/v1/workers/renew", { workerId: worker.id }, stranger);
  assert.equal(await outcomeOf(renewal), "403 FORBIDDEN");
  assert.equal(await outcomeOf(worker.complete(job)), "200", "it is still its own");
});

test("an end counts only with the fence of the attempt, and only once", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const id = await addJob(prism);
  const waiting = await addJob(prism, {}, { queue: "digest", runAt: prism.parts.base.clock.now() + 1e9 });
  const job = await worker.one();
  for (const fence of [job.fence - 1, job.fence + 1].filter((each) => each > 0))
    assert.equal(await outcomeOf(worker.complete({ id, fence })), "409 INVALID_STATE");
  assert.equal(await outcomeOf(worker.complete({ id: waiting, fence: 1 })), "409 INVALID_STATE", "it is not claimed");
  assert.equal(await outcomeOf(worker.complete({ id: NO_JOB, fence: 1 })), "404 JOB_NOT_FOUND");
  assert.equal(await outcomeOf(worker.complete({ id: "none", fence: 1 })), "404 JOB_NOT_FOUND");
  assert.equal(await outcomeOf(worker.complete(job, { result: "x".repeat(16_383) })), "400 VALIDATION_FAILED");
  assert.equal(await outcomeOf(worker.complete(job, { result: "x".repeat(16_382) })), "200");
  assert.equal(await outcomeOf(worker.complete(job)), "409 INVALID_STATE");
  assert.equal(await outcomeOf(worker.fail(job)), "409 INVALID_STATE");
  assert.equal(jobRow(prism, id).state, "succeeded");
});

test("a job that the server itself runs cannot be completed by a worker", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const { runner } = prism.parts.offers;
  let finish = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    finish = resolve;
  });
  t.after(() => finish());
  runner.handle("work", () => gate);
  runner.serve(QUEUE);
  const id = await addJob(prism);
  await eventually("it runs here", () => jobRow(prism, id).state === "running");
  assert.equal(await outcomeOf(worker.complete({ id, fence: 1 })), "409 INVALID_STATE");
  await addJob(prism, {}, { queue: "module:other" });
  const asRunner = worker.claim({ workerId: runner.workerId, queues: ["module:other"] });
  assert.equal(await outcomeOf(asRunner), "403 FORBIDDEN", "nor can anybody stand for the server");
  finish();
  await eventually("it has ended", () => jobRow(prism, id).state === "succeeded");
});

test("a failed attempt is tried again, not before the other side's time, until none is left or trying cannot help", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const dead: unknown[] = [];
  prism.services.events.on("job:dead", (job) => {
    dead.push((job as { id: string }).id);
  });
  const id = await addJob(prism, {}, { maxAttempts: 2 });
  const before = prism.parts.base.clock.now();
  const job = await worker.one();
  assert.equal(await outcomeOf(worker.fail(job, { error: "busy", retryAfterMs: 3_600_000 })), "200");
  const failed = jobRow(prism, id);
  assert.deepEqual([failed.state, failed.lastError], ["retrying", "busy"]);
  assert.ok(failed.runAt >= before + 3_600_000);
  assert.deepEqual(await worker.claimed(), []);
  assert.equal((await prism.post(`/api/v1/jobs/${id}/promote`)).status, 200);
  const again = await worker.one();
  assert.deepEqual([again.attempt, again.fence], [2, 2]);
  assert.equal(await outcomeOf(worker.complete(job)), "409 INVALID_STATE", "the first attempt is over");
  assert.equal(await outcomeOf(worker.fail(again, { error: "still" })), "200");
  assert.equal(jobRow(prism, id).state, "dead");
  assert.deepEqual(attemptsOf(prism, id), [
    { outcome: "retrying", error: "busy", worker: worker.id },
    { outcome: "dead", error: "still", worker: worker.id },
  ]);
  const hopeless = await addJob(prism);
  assert.equal(await outcomeOf(worker.fail(await worker.one(), { permanent: true })), "200");
  assert.equal(jobRow(prism, hopeless).state, "dead");
  await eventually("who listens is told", () => dead.length === 2);
  assert.deepEqual(dead, [id, hopeless]);
  for (const body of [{ error: "" }, { error: "e".repeat(4001) }, { retryAfterMs: -1 }, { fence: 0 }])
    assert.equal(await outcomeOf(worker.fail(again, body)), "400 VALIDATION_FAILED", JSON.stringify(body));
});

test("a worker that stops hands back what it has not ended, and the attempt does not count", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const id = await addJob(prism);
  const job = await worker.one();
  const handBack = { error: undefined, handBack: true };
  assert.equal(await outcomeOf(worker.fail(job, { handBack: true })), "400 VALIDATION_FAILED", "one or the other");
  assert.equal(await outcomeOf(worker.fail(job, { error: undefined })), "400 VALIDATION_FAILED");
  assert.equal(await outcomeOf(worker.fail({ id, fence: 7 }, handBack)), "409 INVALID_STATE");
  assert.equal(await outcomeOf(worker.fail(job, handBack)), "200");
  const { state, attempts } = jobRow(prism, id);
  assert.deepEqual([state, attempts, attemptsOf(prism, id)], ["ready", 0, []]);
  assert.equal(await outcomeOf(worker.fail(job, handBack)), "409 INVALID_STATE");
  const again = await worker.twin().one();
  assert.deepEqual([again.attempt, again.fence], [1, 2]);
});

test("claims go by priority and age, and every tenth takes what waits longest", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const now = prism.parts.base.clock.now();
  await addJob(prism, "old", { runAt: now - 5000 });
  for (let n = 0; n < 10; n++) await addJob(prism, `high ${n}`, { priority: 10, runAt: now - 1000 + n });
  const order: unknown[] = [];
  for (let claim = 1; claim <= 11; claim++) order.push((await worker.one({ max: 1 })).payload);
  const high = Array.from({ length: 10 }, (_, n) => `high ${n}`);
  assert.deepEqual(order, [...high.slice(0, 9), "old", high[9]]);
});

test("a claim takes no more than its most, and queues in their order", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  for (const queue of ["module:one", "module:two", "module:one"] as const) await addJob(prism, queue, { queue });
  const queues = ["module:two", "module:one"];
  const payloads = async (max: number) => (await worker.claimed({ queues, max })).map(({ payload }) => payload);
  assert.deepEqual(await payloads(2), ["module:two", "module:one"]);
  assert.deepEqual(await payloads(2), ["module:one"]);
});

test("of large jobs a claim gives a megabyte, and leaves the rest unclaimed", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const large = "x".repeat(250_000);
  for (let n = 0; n < 6; n++) await addJob(prism, large);
  assert.equal((await worker.claimed()).length, 4);
  const rest = rowsOf<{ attempts: number; workerId: null }>(
    prism,
    "select attempts, workerId from jobs where state = 'ready'",
  );
  assert.deepEqual(rest, [
    { attempts: 0, workerId: null },
    { attempts: 0, workerId: null },
  ]);
  assert.deepEqual(valuesOf(await worker.claimed(), "attempt"), [1, 1]);
});

test("of a paused queue nothing is claimed until it is resumed", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  await prism.parts.offers.queueControl.pause(QUEUE);
  const id = await addJob(prism);
  assert.deepEqual(await worker.claimed(), []);
  const waiting = worker.one({ waitMs: 30_000 });
  await prism.parts.offers.queueControl.resume(QUEUE);
  assert.equal((await waiting).id, id, "who waits is told at once");
});

test("two workers elsewhere and the server's own on one queue never run a job twice", async (t) => {
  const { prism, worker } = await startWithWorker(t, { settings: { "store.writer": "thread" } });
  const JOBS = 300;
  const runs = new Map<unknown, number>();
  const run = (payload: unknown): void => void runs.set(payload, (runs.get(payload) ?? 0) + 1);
  const by: Record<string, number> = { here: 0 };
  const { runner } = prism.parts.offers;
  runner.handle("work", async ({ payload }) => {
    run(payload);
    by["here"] = (by["here"] ?? 0) + 1;
  });
  const work = async (each: typeof worker): Promise<void> => {
    while (runs.size < JOBS) {
      const jobs = await each.claimed({ max: 5, waitMs: 50 });
      for (const job of jobs) {
        run(job.payload);
        by[each.id] = (by[each.id] ?? 0) + 1;
        assert.equal(await outcomeOf(each.complete(job)), "200");
      }
    }
  };
  await Promise.all(Array.from({ length: JOBS / 2 }, (_, n) => addJob(prism, n)));
  const workers = Promise.all([work(worker), work(worker.twin())]);
  await eventually("workers elsewhere have begun", () => runs.size > 0);
  runner.serve(QUEUE);
  await Promise.all(Array.from({ length: JOBS / 2 }, (_, n) => addJob(prism, JOBS / 2 + n)));
  await workers;
  await eventually("all have ended", () => rowsOf(prism, "select 1 from jobs where state <> 'succeeded'").length === 0);
  assert.deepEqual([runs.size, Math.max(...runs.values())], [JOBS, 1]);
  assert.equal(Object.keys(by).length, 3, JSON.stringify(by));
});
