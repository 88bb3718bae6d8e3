import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { silentLogger } from "../../../../../src/core/log.ts";
import type { MovedJob } from "../../../../../src/features/time/jobs/moved-jobs.ts";
import { sweepAll } from "../../../../../src/store/retention.ts";
import { eventually } from "../../../../helpers/eventually.ts";
import { FakeClock } from "../../../../helpers/fake-clock.ts";
import { column, temporaryDir } from "../../../../helpers/store.ts";
import { addJob, attemptsOf, jobRow, outcomeOf, startWithWorker } from "./support.ts";

const LEASE_MS = 60_000;
const HOUR_MS = 3_600_000;

async function start(t: TestContext, dir?: string) {
  const clock = new FakeClock();
  const started = await startWithWorker(t, { clock, ...(dir === undefined ? {} : { dir }) });
  return { ...started, clock };
}

test("who renews keeps its jobs; who does not loses them, and cannot end them any more", async (t) => {
  const { prism, worker, clock } = await start(t);
  const id = await addJob(prism);
  const job = await worker.one();
  for (let times = 0; times < 3; times++) {
    clock.advance(LEASE_MS - 1);
    const { status, body } = await worker.renew();
    assert.deepEqual([status, Date.parse(body.leaseUntil ?? "")], [200, clock.now() + LEASE_MS]);
  }
  assert.equal(jobRow(prism, id).state, "running");
  clock.advance(LEASE_MS);
  assert.equal(await outcomeOf(worker.renew()), "409 INVALID_STATE");
  const { state, attempts, workerId } = jobRow(prism, id);
  assert.deepEqual([state, attempts, workerId], ["ready", 1, null], "the attempt counts");
  assert.deepEqual(attemptsOf(prism, id), [{ outcome: "lost", error: null, worker: worker.id }]);
  assert.equal(await outcomeOf(worker.complete(job)), "409 INVALID_STATE");
  const again = await worker.one();
  assert.deepEqual([again.id, again.attempt, again.fence], [id, 2, 2], "and it may go on with a new lease");
  assert.equal(
    await outcomeOf(worker.complete(job)),
    "409 INVALID_STATE",
    "its own first attempt is over all the same",
  );
  assert.equal(await outcomeOf(worker.complete(again)), "200");
});

test("a worker that is gone loses its jobs to those that wait", async (t) => {
  const { prism, worker, clock } = await start(t);
  const ids = [await addJob(prism, 1), await addJob(prism, 2)];
  assert.equal((await worker.claimed()).length, 2);
  clock.advance(LEASE_MS / 2);
  const second = worker.twin();
  const waiting = second.claimed({ waitMs: 30_000 });
  await eventually("it waits", () => prism.parts.core.kernel.requests.count === 1);
  clock.advance(LEASE_MS / 2);
  assert.deepEqual(await worker.twin().claimed({ queues: ["module:other"] }), []);
  assert.deepEqual(
    (await waiting).map(({ id, attempt }) => [id, attempt]),
    ids.map((id) => [id, 2]),
  );
});

test("with the last attempt lost a job is dead, and its feature and listeners are notified", async (t) => {
  const { prism, worker, clock } = await start(t);
  const moved: MovedJob[] = [];
  t.after(prism.parts.offers.jobControl.whenEnded("work", async (_trx, job) => void moved.push(job)));
  const dead: unknown[] = [];
  prism.parts.base.bus.on("job:dead", (job) => {
    dead.push(job);
  });
  const id = await addJob(prism, {}, { maxAttempts: 1, label: "once" });
  await worker.one();
  clock.advance(LEASE_MS);
  await worker.twin().claimed();
  const { state, lastError } = jobRow(prism, id);
  assert.equal(state, "dead");
  assert.deepEqual(moved, [{ jobId: id, state: "dead", error: lastError }]);
  await eventually("it is told", () => dead.length === 1);
  assert.deepEqual(dead, [{ id, queue: "module:outside", kind: "work", label: "once", error: lastError }]);
});

test("a job that never reached its worker is taken back when the worker names what it has", async (t) => {
  const { prism, worker, clock } = await start(t);
  const [known, unknown] = [await addJob(prism, 1), await addJob(prism, 2)];
  assert.equal((await worker.claimed()).length, 2);
  clock.advance(LEASE_MS / 2);
  assert.equal(await outcomeOf(worker.renew([known])), "200");
  assert.equal(jobRow(prism, unknown).state, "running", "the answer may still be on its way");
  clock.advance(LEASE_MS / 2);
  assert.equal(await outcomeOf(worker.renew([known])), "200");
  assert.deepEqual([jobRow(prism, known).state, jobRow(prism, unknown).state], ["running", "ready"]);
  assert.equal(attemptsOf(prism, unknown)[0]?.outcome, "lost");
  clock.advance(LEASE_MS / 2);
  assert.equal(await outcomeOf(worker.renew()), "200");
  assert.equal(jobRow(prism, known).state, "running", "who names nothing keeps all");
});

test("over a restart of the server a worker keeps its jobs, and ends them", async (t) => {
  const dir = temporaryDir(t);
  const { prism, worker, clock } = await start(t, dir);
  const id = await addJob(prism);
  const job = await worker.one();
  clock.advance(LEASE_MS - 1);
  await prism.restart();
  assert.equal(jobRow(prism, id).state, "running");
  assert.equal(await outcomeOf(worker.renew()), "200");
  clock.advance(LEASE_MS - 1);
  assert.equal(await outcomeOf(worker.complete(job, { result: 1 })), "200");
  assert.equal(jobRow(prism, id).state, "succeeded");
});

test("a server that starts after the lease has run out takes the jobs back", async (t) => {
  const dir = temporaryDir(t);
  const { prism, worker, clock } = await start(t, dir);
  const id = await addJob(prism);
  const job = await worker.one();
  await prism.stop();
  clock.advance(LEASE_MS);
  await prism.restart();
  const { state, attempts } = jobRow(prism, id);
  assert.deepEqual([state, attempts], ["ready", 1]);
  assert.equal(await outcomeOf(worker.renew()), "409 INVALID_STATE");
  assert.equal(await outcomeOf(worker.complete(job)), "409 INVALID_STATE");
});

test("a wall clock that is set neither ends a lease nor makes it longer", async (t) => {
  const { prism, worker, clock } = await start(t);
  const id = await addJob(prism);
  await worker.one();
  clock.set(2 * HOUR_MS);
  assert.equal(await outcomeOf(worker.renew()), "200");
  clock.set(-2 * HOUR_MS);
  clock.advance(LEASE_MS);
  assert.equal(await outcomeOf(worker.renew()), "409 INVALID_STATE");
  assert.equal(jobRow(prism, id).state, "ready");
});

test("a worker is forgotten an hour after its lease has run out, and its id is free again", async (t) => {
  const { prism, worker, clock } = await start(t);
  const sweep = () =>
    sweepAll({ database: prism.parts.base.database, clock, log: silentLogger }, prism.parts.offers.sweeps());
  const known = () => column(prism.parts.base.store.reader, "select id from workers order by id");
  const second = worker.twin();
  await addJob(prism);
  await worker.one();
  clock.advance(LEASE_MS / 2);
  assert.equal(await outcomeOf(worker.renew()), "200");
  await second.claimed();
  clock.advance(HOUR_MS + LEASE_MS - 1);
  await sweep();
  assert.deepEqual(known(), [worker.id, second.id].sort());
  clock.advance(1);
  await sweep();
  assert.deepEqual(known(), [worker.id], "not while a job is in its name");
  assert.equal(await outcomeOf(worker.renew()), "409 INVALID_STATE");
  await sweep();
  assert.deepEqual(known(), []);
});

test("a claim that finds nothing writes no more than a lease every twenty seconds", async (t) => {
  const { prism, worker, clock } = await start(t);
  const leaseUntil = () =>
    column<number>(prism.parts.base.store.reader, "select leaseUntil from workers where id = ?", worker.id)[0];
  await worker.claimed();
  const first = clock.now() + LEASE_MS;
  clock.advance(19_999);
  await worker.claimed();
  assert.equal(leaseUntil(), first);
  clock.advance(1);
  await worker.claimed();
  assert.equal(leaseUntil(), first + 20_000);
});
