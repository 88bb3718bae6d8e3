import assert from "node:assert/strict";
import test from "node:test";
import { jobOf, makeJob } from "../features/time/jobs/support/make-jobs.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { runJson } from "./run-cli.ts";

interface Report {
  readonly checks: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly remedy?: string;
  }[];
  readonly ok: boolean;
}

const HOUR_MS = 3_600_000;

/** What doctor finds in the queues of a data directory. */
async function queuesOf(dir: string): Promise<string[]> {
  const { checks, ok } = await runJson<Report>(["doctor", "--db", "--data-dir", dir], { cwd: dir });
  assert.equal(ok, true, "a WARN is no failure");
  return checks
    .filter(({ name }) => name === "queues")
    .map(({ status, message, remedy }) => [status, message, remedy].filter((part) => part !== undefined).join(" | "));
}

test("S4-42 doctor finds nothing in queues that are in order", async (t) => {
  const dir = temporaryDir(t);
  const prism = await startPrism(t, { dir });
  await makeJob(prism);
  await prism.stop();
  assert.deepEqual(await queuesOf(dir), ["PASS | 1 waiting, none dead, none overdue; no queue is paused"]);
});

test("doctor reports dead jobs, paused queues and overdue jobs per queue, with and without a running server", async (t) => {
  const dir = temporaryDir(t);
  const clock = new FakeClock(Date.now() - 3 * HOUR_MS);
  const prism = await startPrism(t, { dir, clock });
  for (const queue of ["digest", "alert"] as const) {
    const id = await makeJob(prism, { queue, kind: "unknown", delayMs: 0 });
    await eventually("it is dead", async () => (await jobOf(prism, id)).state === "dead");
  }
  await prism.post("/api/v1/queues/retention/pause");
  await makeJob(prism, { queue: "retention", delayMs: 0 });
  await makeJob(prism, { queue: "module:weather", delayMs: 0 });
  const dead =
    "WARN | dead jobs: 1 in alert, 1 in digest | prism queue dead lists them, prism queue retry --queue <name> retries them";
  const paused = "WARN | paused: retention | prism queue resume --all runs their jobs";
  const late = "WARN | jobs are overdue in module:weather for 3 h";
  assert.deepEqual(await queuesOf(dir), [
    dead,
    paused,
    `${late}; the server does not keep up, or no worker serves the queue`,
  ]);
  await prism.stop();
  assert.deepEqual(await queuesOf(dir), [dead, paused, `${late}; they run when a server starts`]);
});
