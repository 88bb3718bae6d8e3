import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../../helpers/eventually.ts";
import { addJob, jobRow, makeWorker, outcomeOf, QUEUE, startWithWorker } from "./support.ts";

const LONG = { waitMs: 30_000 };

/** The server knows the worker, so its claim has looked once and waits. */
async function waits(prism: Parameters<typeof addJob>[0], claims: number): Promise<void> {
  const { kernel } = prism.parts.core;
  await eventually(`${claims} claims are under way`, () => kernel.requests.count === claims);
}

test("a claim waits for a job, and the longest waiting claim gets it", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const first = worker.one({ ...LONG, max: 1 });
  await waits(prism, 1);
  const second = worker.twin().one({ ...LONG, max: 1 });
  await waits(prism, 2);
  const { db } = prism.services;
  const { jobs } = prism.parts.offers;
  const ids = [await addJob(prism, 1)];
  const inTransaction = { queue: QUEUE, kind: "work", payload: 2, runAt: 1 } as const;
  ids.push((await db.write((trx) => jobs.enqueue(inTransaction, { trx }))).jobId);
  assert.deepEqual([(await first).id, (await second).id], ids);
});

test("a claim of several queues is woken by any of them; jobs of others do not wake it", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const claim = worker.one({ ...LONG, queues: ["module:one", "module:two"] });
  await waits(prism, 1);
  await addJob(prism, "other", { queue: "module:three" });
  await addJob(prism, "mine", { queue: "module:two" });
  assert.equal((await claim).payload, "mine");
});

test("a job that becomes due reaches the worker that waits, and not before its time", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const claim = worker.one(LONG);
  await waits(prism, 1);
  const runAt = Date.now() + 150;
  const id = await addJob(prism, {}, { runAt });
  const job = await claim;
  assert.equal(job.id, id);
  assert.ok(Date.now() >= runAt, "it came early");
});

test("a job that a module here gives back when it is unloaded reaches the worker that waits", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const { runner } = prism.parts.offers;
  let finish = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    finish = resolve;
  });
  t.after(() => finish());
  runner.handle("work", () => gate);
  runner.serve(QUEUE);
  const ids: string[] = [];
  for (let n = 0; n < 3; n++) ids.push(await addJob(prism, n));
  await eventually("they are claimed here", () => ids.every((id) => jobRow(prism, id).state === "running"));
  const claim = worker.claimed({ ...LONG, max: 1 });
  await waits(prism, 1);
  runner.withdraw(QUEUE);
  assert.equal((await claim)[0]?.id, ids[2], "two run here, the third had not begun");
});

test("a claim that finds nothing returns at its timeout, and no waiter is left", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  assert.deepEqual(await worker.claimed({ waitMs: 20 }), []);
  const id = await addJob(prism);
  assert.equal(jobRow(prism, id).state, "ready");
  assert.equal((await worker.one()).id, id);
});

test("a stop answers those who wait, and the server that starts next knows the workers", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const claim = worker.claimed(LONG);
  await waits(prism, 1);
  await prism.restart();
  assert.deepEqual(await claim, []);
  assert.equal(await outcomeOf(worker.renew()), "200");
});

test("a worker that has gone away while it waited gets nothing", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const gone = new AbortController();
  const request = fetch(`${prism.url}/api/v1/workers/claim`, {
    method: "POST",
    headers: { Authorization: `Bearer ${worker.token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ workerId: worker.id, host: "h", queues: [QUEUE], ...LONG }),
    signal: gone.signal,
  });
  await waits(prism, 1);
  gone.abort();
  await assert.rejects(request, { name: "AbortError" });
  await waits(prism, 0);
  const id = await addJob(prism);
  const job = await worker.twin().one();
  assert.deepEqual([job.id, job.attempt, job.fence], [id, 1, 1], "it is the first attempt");
});

test("a token that is revoked while its claim waits gets no job", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const other = await makeWorker(prism, "other");
  const claim = outcomeOf(worker.claim(LONG));
  await waits(prism, 1);
  const revoked = await prism.delete(`/api/v1/users/me/tokens/${worker.tokenId}`, { token: worker.owner });
  assert.equal(revoked.status, 204);
  const id = await addJob(prism);
  assert.equal(await claim, "401 TOKEN_INVALID");
  assert.equal(await outcomeOf(worker.renew()), "401 TOKEN_INVALID");
  const job = await other.one();
  assert.deepEqual([job.id, job.attempt], [id, 1]);
});

test("an account that loses the right while its claim waits gets no job", async (t) => {
  const { prism, worker } = await startWithWorker(t);
  const claim = outcomeOf(worker.claim(LONG));
  await waits(prism, 1);
  const { db } = prism.services;
  const { rightsChanged } = prism;
  await db.write((trx) =>
    trx
      .deleteFrom("user_roles")
      .where("userId", "=", (e) => e.selectFrom("service_tokens").select("userId").where("id", "=", worker.tokenId))
      .execute(),
  );
  rightsChanged();
  const id = await addJob(prism);
  assert.equal(await claim, "403 UNAUTHORIZED_ROLE");
  assert.equal(jobRow(prism, id).state, "ready");
});
