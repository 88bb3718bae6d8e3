import assert from "node:assert/strict";
import test from "node:test";
import { deferred } from "../../../../src/core/promises.ts";
import { PermanentError, RetryLater } from "../../../../src/features/time/jobs/runner/job.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { type JobBody, jobOf, makeJob } from "./support/make-jobs.ts";

interface Refused {
  readonly error: { readonly code: string; readonly message: string };
}

test("S2-06 a job with its progress while it runs, and with its attempts and result when it is done", async (t) => {
  keepsPromise(t, ["S1-04", "S2-06"]);
  const prism = await startPrism(t);
  const begun = deferred<void>();
  const gate = deferred<void>();
  t.after(() => gate.resolve());
  prism.parts.offers.runner.handle("test", async ({ attempt, progress }) => {
    // Hours away: by chance alone a retry may be due at once.
    if (attempt === 1) throw new RetryLater("the host is away", 3_600_000);
    progress({ done: 3, of: 7 });
    begun.resolve();
    await gate.promise;
    return { sent: 7 };
  });
  const id = await makeJob(prism, { delayMs: 0, label: "seven letters" });
  await eventually("it is to be tried again", async () => (await jobOf(prism, id)).state === "retrying");
  await prism.post(`/api/v1/jobs/${id}/promote`);
  await begun.promise;
  const running = await eventually("its progress is stored", async () => {
    const job = await jobOf(prism, id);
    return job.progress === null ? null : job;
  });
  assert.deepEqual([running.state, running.progress, running.result], ["running", { done: 3, of: 7 }, null]);
  const outcomes = ({ history }: JobBody) => history.map(({ attempt, outcome, error }) => [attempt, outcome, error]);
  assert.deepEqual(outcomes(running), [
    [1, "retrying", "the host is away"],
    [2, "running", null],
  ]);
  gate.resolve();
  await eventually("it is done", async () => (await jobOf(prism, id)).state === "succeeded");
  const done = await jobOf(prism, id);
  assert.deepEqual(
    [done.label, done.result, done.lastError, done.attempts, done.maxAttempts],
    ["seven letters", { sent: 7 }, null, 2, 3],
  );
  assert.deepEqual(outcomes(done), [
    [1, "retrying", "the host is away"],
    [2, "succeeded", null],
  ]);
  const { workerId } = prism.parts.offers.runner;
  assert.ok(done.history.every(({ endedAt, worker }) => endedAt !== null && worker === workerId));
  assert.match(done.finishedAt ?? "", /^\d{4}-\d\d-\d\dT/);
});

test("cancel, retry, promote and delete answer with the job as it is then", async (t) => {
  const prism = await startPrism(t);
  const runs: unknown[] = [];
  prism.parts.offers.runner.handle("test", async ({ id }) => void runs.push(id));
  await prism.post("/api/v1/queues/digest/pause");
  const id = await makeJob(prism);
  for (const [action, state] of [
    ["cancel", "cancelled"],
    ["retry", "ready"],
    ["cancel", "cancelled"],
  ] as const) {
    const { status, body } = await prism.post<JobBody>(`/api/v1/jobs/${id}/${action}`, {});
    assert.deepEqual([status, body.id, body.state], [200, id, state], action);
  }
  const other = await makeJob(prism);
  assert.equal((await prism.post<JobBody>(`/api/v1/jobs/${other}/promote`)).body.state, "ready");
  assert.deepEqual(runs, [], "paused");
  await prism.post("/api/v1/queues/digest/resume");
  await eventually("it has run", () => runs.length > 0);
  assert.deepEqual(runs, [other]);
  assert.equal((await prism.delete(`/api/v1/jobs/${id}`)).status, 204);
  for (const reply of [
    await prism.delete<Refused>(`/api/v1/jobs/${id}`),
    await prism.get<Refused>(`/api/v1/jobs/${id}`),
  ])
    assert.deepEqual([reply.status, reply.body.error.code], [404, "JOB_NOT_FOUND"]);
});

test("what cannot be done to a job is refused with its code, and says why", async (t) => {
  const prism = await startPrism(t);
  const gate = deferred<void>();
  t.after(() => gate.resolve());
  prism.parts.offers.runner.handle("test", () => gate.promise);
  prism.parts.offers.runner.handle("dies", async () => {
    throw new PermanentError("no");
  });
  const running = await makeJob(prism, { delayMs: 0 });
  const dead = await makeJob(prism, { kind: "dies", delayMs: 0, queue: "alert", dedupeKey: "k" });
  const waiting = await makeJob(prism);
  await eventually("one runs", async () => (await jobOf(prism, running)).state === "running");
  await eventually("one is dead", async () => (await jobOf(prism, dead)).state === "dead");
  const holder = await makeJob(prism, { queue: "alert", dedupeKey: "k" });
  for (const { what, id, status, code, says } of [
    { what: "cancel", id: running, status: 409, code: "JOB_NOT_CANCELLABLE", says: /running/ },
    { what: "cancel", id: dead, status: 409, code: "INVALID_STATE", says: /is dead; only scheduled, ready, retrying/ },
    { what: "retry", id: waiting, status: 409, code: "INVALID_STATE", says: /is scheduled; only dead, cancelled/ },
    {
      what: "retry",
      id: dead,
      status: 409,
      code: "INVALID_STATE",
      says: new RegExp(`Job ${holder} has the same dedupe`),
    },
    { what: "promote", id: dead, status: 409, code: "INVALID_STATE", says: /only scheduled, retrying/ },
    { what: "cancel", id: "x", status: 404, code: "JOB_NOT_FOUND", says: /No such job/ },
  ]) {
    const { body, ...reply } = await prism.post<Refused>(`/api/v1/jobs/${id}/${what}`);
    assert.deepEqual([reply.status, body.error.code], [status, code], `${what} ${says}`);
    assert.match(body.error.message, says);
  }
  const { status, body } = await prism.delete<Refused>(`/api/v1/jobs/${waiting}`);
  assert.deepEqual([status, body.error.code], [409, "INVALID_STATE"]);
});

test("what is named or looks like a secret is masked wherever a job shows it", async (t) => {
  const prism = await startPrism(t);
  const bearer = "Bearer abcdefghijklmnop";
  prism.parts.offers.runner.handle("test", async () => {
    throw new PermanentError(`the host refused ${bearer}`);
  });
  const payload = {
    url: "https://a.example/?token=hunter2",
    headers: { "x-api-key": "hunter2" },
    list: [{ password: "hunter2" }],
    n: 1,
  };
  const id = await makeJob(prism, { payload, delayMs: 0 });
  await eventually("it is dead", async () => (await jobOf(prism, id)).state === "dead");
  const job = await jobOf(prism, id);
  assert.deepEqual(job.payload, {
    url: "https://a.example/?token=***",
    headers: { "x-api-key": "***" },
    list: [{ password: "***" }],
    n: 1,
  });
  const list = await prism.get("/api/v1/jobs");
  for (const text of [JSON.stringify(job), list.text]) assert.doesNotMatch(text, /hunter2|abcdefgh/);
  assert.equal(job.payloadBytes, JSON.stringify(payload).length);
});
