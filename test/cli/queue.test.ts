import assert from "node:assert/strict";
import test from "node:test";
import { jobOf, makeJob, queueOf } from "../features/time/jobs/support/make-jobs.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { rowsWith, valuesOf } from "../helpers/values.ts";
import { eachCase, runCli, runJson } from "./run-cli.ts";

const NO_JOB = "0198c0de-0000-7000-8000-000000000000";

const NOT_ALLOWED = /^prism: This needs the permission jobs:read \(UNAUTHORIZED_ROLE\)\n$/;

interface Queues {
  readonly queues: readonly { readonly name: string; readonly dead: number; readonly scheduled: number }[];
}

interface Jobs {
  readonly jobs: readonly { readonly id: string; readonly state: string; readonly lastError: string | null }[];
}

test("S4-44 S1-12 prism queue", async (t) => {
  keepsPromise(t, "S4-44");
  const prism = await startPrism(t);
  const cwd = prism.dir;
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };
  const run = (...args: string[]) => runCli(["queue", ...args], { cwd, env });
  const json = <T>(...args: string[]) => runJson<T>(["queue", ...args], { cwd, env });
  const dead = await makeJob(prism, { kind: "unknown", delayMs: 0, label: "broken \u001b[31m" });
  await eventually("one is dead", async () => (await jobOf(prism, dead)).state === "dead");
  const waiting = await makeJob(prism, { label: "tomorrow" });

  await t.test("status shows every queue, or one by any of its names", async () => {
    const { status, stdout } = await run("status");
    assert.equal(status, 0);
    assert.match(stdout, /^QUEUE +READY +OLDEST +SCHEDULED +RUNNING +RETRYING +DEAD +STATE\n/);
    assert.match(stdout, /^digest +0 +- +1 +0\/1 +0 +1 +open$/m);
    const { queues } = await json<Queues>("status");
    assert.ok(queues.length >= 12);
    const one = await json<Queues>("status", "--queue", "event-processing-queue");
    assert.deepEqual(valuesOf(one.queues, "name"), ["event-processing"]);
  });

  await t.test("list shows jobs, newest first, by queue and state", async () => {
    const { jobs } = await json<Jobs>("list");
    assert.deepEqual(rowsWith(jobs, "id", "state"), [
      [waiting, "scheduled"],
      [dead, "dead"],
    ]);
    assert.equal((await json<Jobs>("list", "--limit", "1")).jobs.length, 1);
    assert.equal((await json<Jobs>("list", "--queue", "digest", "--state", "dead,cancelled")).jobs[0]?.id, dead);
    const { stdout } = await run("list", "--state", "scheduled");
    assert.match(stdout, new RegExp(`^${waiting} +digest +test +scheduled +0/3 +\\S+Z +tomorrow$`, "m"));
    assert.equal((await run("list", "--queue", "alert")).stdout, "no jobs\n");
  });

  await t.test("list --id shows a job with its attempts", async () => {
    const { stdout } = await run("list", "--id", dead);
    assert.match(stdout, /^state +dead$/m);
    assert.match(stdout, /^1 +\S+Z +\S+Z +dead +no handler for jobs of kind unknown$/m);
    const job = await json<{ id: string; history: unknown[] }>("list", "--id", dead);
    assert.deepEqual([job.id, job.history.length], [dead, 1]);
  });

  await t.test("dead shows what failed for good and why, and nothing that a terminal would obey", async () => {
    const { stdout } = await run("dead");
    assert.match(stdout, new RegExp(`^${dead} +digest +unknown +1/3 .*no handler for jobs of kind unknown$`, "m"));
    assert.ok(!stdout.includes("\u001b") && !stdout.includes("tomorrow"), stdout);
    assert.deepEqual(valuesOf((await json<Jobs>("dead", "--queue", "digest")).jobs, "id"), [dead]);
    assert.equal((await run("dead", "--queue", "alert")).stdout, "no dead jobs\n");
  });

  await t.test("cancel, retry, pause, resume and drain change what they name", async () => {
    assert.match((await run("cancel", "--id", waiting)).stdout, new RegExp(`^${waiting}  digest  test  cancelled\n$`));
    assert.equal((await json<{ paused: boolean }>("pause", "--queue", "digest")).paused, true);
    assert.equal((await queueOf(prism, "digest")).paused, true);
    assert.match((await run("retry", "--id", waiting)).stdout, / {2}ready\n$/);
    assert.deepEqual(await json("retry", "--queue", "digest"), { requeued: 1 });
    assert.equal((await jobOf(prism, dead)).state, "ready");
    assert.equal((await run("drain", "--queue", "digest", "--yes")).stdout, "2 cancelled\n");
    assert.match((await run("resume", "--queue", "digest")).stdout, /^digest .* open$/m);
    assert.equal((await queueOf(prism, "digest")).paused, false);
  });

  const { token } = await makeUser(prism, "ursula", ["User"]);
  await eachCase(
    t,
    "what cannot be done ends with its code",
    [
      { name: "status of no queue", args: ["status", "--queue", "nothing"], status: 6, says: /QUEUE_NOT_FOUND/ },
      { name: "retry of no job", args: ["retry", "--id", NO_JOB], status: 6, says: /JOB_NOT_FOUND/ },
      { name: "retry of nothing", args: ["retry"], status: 2, says: /give either --id or --queue/ },
      {
        name: "retry of two",
        args: ["retry", "--id", NO_JOB, "--queue", "digest"],
        status: 2,
        says: /give either --id/,
      },
      { name: "cancel of what has ended", args: ["cancel", "--id", dead], status: 7, says: /is cancelled; only/ },
      { name: "pause of nothing", args: ["pause"], status: 2, says: /--queue/ },
      { name: "an unknown state", args: ["list", "--state", "ded"], status: 2, says: /did you mean dead/ },
      {
        name: "a job among others",
        args: ["list", "--id", dead, "--queue", "digest"],
        status: 2,
        says: /cannot be used/,
      },
      { name: "drain without a yes", args: ["drain", "--queue", "digest"], status: 2, says: /nothing was cancelled/ },
      { name: "a user who may not", args: ["status", "--token", token], status: 5, says: NOT_ALLOWED },
      { name: "no server", args: ["status", "--url", "http://127.0.0.1:1"], status: 4, says: /cannot reach/ },
      {
        name: "a path that is not the server's",
        args: ["status", "--url", `${prism.url}/elsewhere`],
        status: 6,
        says: /^prism: No such route; is \S+\/elsewhere the URL of a Prism server of this version\? \(NOT_FOUND\)\n$/,
      },
      {
        name: "TLS to a server without TLS",
        args: ["status", "--url", prism.url.replace("http", "https")],
        status: 4,
        says: /^prism: cannot reach \S+: it does not speak TLS; is it running there\? .*\n$/,
      },
    ],
    async ({ args, status, says }) => {
      const result = await run(...args);
      assert.equal(result.status, status, result.stderr);
      assert.match(result.stderr, says);
      assert.equal(result.stdout, "");
    },
  );
});
