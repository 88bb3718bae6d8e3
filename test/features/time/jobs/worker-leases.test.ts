import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { JobHooks } from "../../../../src/features/time/jobs/moved-jobs.ts";
import type { AttemptFacts } from "../../../../src/features/time/jobs/runner/job.ts";
import { type ClaimRequest, WorkerLeases } from "../../../../src/features/time/jobs/worker-leases.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { openBeside } from "../../../helpers/store.ts";
import { applyJobEffects } from "./support/job-effects.ts";
import { queueSettings, TestRunner } from "./support/test-runner.ts";

const QUEUE = "module:outside";
const job = { queue: QUEUE } as const;

function leasesOf(t: TestContext, helper: TestRunner, leaseMs = 60_000): WorkerLeases {
  const { store, clock, runner, jobs } = helper;
  const leases = new WorkerLeases({
    ...store,
    db: store.database,
    clock,
    runner,
    jobs,
    hooks: new JobHooks(),
    settingsOf: () => queueSettings(),
    onAttempt: (_attempt: AttemptFacts) => undefined,
    leaseMs,
  });
  applyJobEffects(store.database, runner, leases);
  leases.due.start();
  t.after(async () => {
    await leases.due.stop();
    leases.stop();
  });
  return leases;
}

function request(more: Partial<ClaimRequest> = {}): ClaimRequest {
  return {
    worker: { id: uuidv7(), host: "h", tokenId: "t" },
    queues: [QUEUE],
    max: 10,
    waitMs: 0,
    signal: new AbortController().signal,
    requireStill: () => undefined,
    ...more,
  };
}

test("a lease expires by itself, without a request", async (t) => {
  const helper = new TestRunner(t);
  const leases = leasesOf(t, helper, 20);
  const ids = [];
  for (let n = 0; n < 250; n++) ids.push(await helper.add(n, job));
  const request1 = request({ max: 100 });
  for (let claim = 0; claim < 3; claim++) await leases.claim(request1);
  assert.equal(helper.states().filter((state) => state === "running").length, 250);
  helper.clock.advance(20);
  await eventually("all are ready again", () => helper.states().every((state) => state === "ready"));
  assert.deepEqual(
    helper.rows().map(({ attempts }) => attempts),
    ids.map(() => 1),
  );
  assert.ok(helper.store.log.lines.some((line) => JSON.stringify(line).includes("lease of a remote worker expired")));
});

test("what cannot be written when a lease runs out is tried again", async (t) => {
  const helper = new TestRunner(t);
  const leases = leasesOf(t, helper, 20);
  const id = await helper.add({}, job);
  const { worker } = request();
  await leases.claim(request({ worker }));
  const beside = openBeside(t, helper.store.file);
  beside.exec("alter table job_attempts rename to away");
  helper.clock.advance(20);
  await assert.rejects(
    leases.renew(worker.id, worker.tokenId),
    { code: "INVALID_STATE" },
    "its lease is over all the same",
  );
  assert.equal(helper.stateOf(id), "running");
  beside.exec("alter table away rename to job_attempts");
  helper.clock.advance(1000);
  await eventually("it is ready again", () => helper.stateOf(id) === "ready");
});

test("jobs of a worker that disconnected before the response are requeued, and the attempt is not counted", async (t) => {
  const helper = new TestRunner(t);
  const leases = leasesOf(t, helper);
  const id = await helper.add({}, job);
  assert.deepEqual(await leases.claim(request({ signal: AbortSignal.abort() })), []);
  const { state, attempts, workerId } = helper.row(id);
  assert.deepEqual([state, attempts, workerId], ["ready", 0, null]);
  assert.equal(helper.runner.waitingIn(QUEUE), 1);
});

test("a thousand claims wait, the next is refused; a job wakes one of them", async (t) => {
  const helper = new TestRunner(t);
  const leases = leasesOf(t, helper);
  const { worker } = request();
  await leases.claim(request({ worker }));
  let attempts = 0;
  const requireStill = () => {
    attempts++;
  };
  const waiting = Array.from({ length: 1000 }, () => leases.claim(request({ worker, waitMs: 30_000, requireStill })));
  await eventually("all have looked once", () => attempts === 1000);
  await assert.rejects(leases.claim(request({ waitMs: 1 })), { code: "OVERLOADED" });
  await helper.add({}, job);
  leases.wake(QUEUE);
  assert.equal((await waiting[0])?.length, 1);
  leases.wake(null);
  assert.equal(attempts, 1001);
  leases.stop();
  const rest = await Promise.all(waiting.slice(1));
  assert.ok(rest.every((jobs) => jobs.length === 0));
});
