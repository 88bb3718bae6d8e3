/**
 * Cost of a large job table: a million pending timers (start, memory), a million due jobs and ten
 * million finished ones (claims), compared with an empty table.
 */

import "../scripts/node-version.mjs";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DAY_MS } from "../src/core/time/clock.ts";
import { pausedKey } from "../src/features/time/jobs/operator.ts";
import { closing, openForWriting } from "../src/store/sqlite/connection.ts";
import { migrateFile } from "../src/store/sqlite/migrate.ts";
import { startEmbedded } from "./lib/embedded.ts";
import { fillJobs } from "./lib/fill-jobs.ts";
import { memoryMiB } from "./lib/process-figures.ts";
import { startPrism } from "./lib/processes.ts";
import { median, ROUNDS, type Row, report, round } from "./lib/report.ts";

const PENDING = Number(process.env["BENCH_PENDING"] ?? 1_000_000);
const FINISHED = Number(process.env["BENCH_FINISHED"] ?? 10_000_000);
const DRAINED = 20_000;
/** After a start so many of the jobs that were due are drained before those that are measured. */
const WARM_UP = 100_000;
const DRAINED_OF_MANY = 100_000;
const STARTS = 5;
const IDLE_MS = 5000;

const empty = directory(0, "scheduled");
const pending = directory(PENDING, "scheduled");
const starts: Row[] = [];
for (const [name, dir] of [
  ["empty", empty],
  [`${PENDING} pending timers`, pending],
] as const) {
  const times: number[] = [];
  let idle = 0;
  for (let i = 0; i < STARTS; i++) {
    const startedAt = performance.now();
    const server = await startPrism({ dir });
    times.push(performance.now() - startedAt);
    if (i === STARTS - 1) {
      await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
      idle = memoryMiB(server.pid).resident;
    }
    await server.stop();
  }
  starts.push({
    table: name,
    "file MiB": round(statSync(join(dir, "prism.db")).size / 1_048_576),
    "start ms": round(median(times)),
    "idle MiB": round(idle, 1),
  });
}
rmSync(pending, { recursive: true, force: true });
report(
  "pending-timers",
  `time from launch to the line that says it serves, ${STARTS} starts, median; memory after ${IDLE_MS / 1000} s`,
  starts,
);

const drained: Record<"few" | "many", number[]> = { few: [], many: [] };
for (let i = 0; i < ROUNDS; i++) {
  drained.few.push(await drainRateOf(WARM_UP + DRAINED_OF_MANY));
  drained.many.push(await drainRateOf(WARM_UP + DRAINED_OF_MANY + PENDING));
}
report("due-jobs", `${DRAINED_OF_MANY} no-op jobs drained, 50 at a time, ${ROUNDS} rounds, medians`, [
  { table: "no other job", "drained/s": round(median(drained.few)) },
  { table: `${PENDING} more due jobs`, "drained/s": round(median(drained.many)) },
]);

const finished = directory(FINISHED, "succeeded");
const rates: Record<"empty" | "full", number[]> = { empty: [], full: [] };
for (let i = 0; i < ROUNDS; i++) {
  rates.empty.push(await drainRate(empty));
  rates.full.push(await drainRate(finished));
}
rmSync(finished, { recursive: true, force: true });
rmSync(empty, { recursive: true, force: true });
report("finished-jobs", `${DRAINED} no-op jobs claimed and completed, ${ROUNDS} rounds, medians`, [
  { table: "empty", "drained/s": round(median(rates.empty)), ratio: 1 },
  {
    table: `${FINISHED} finished jobs`,
    "drained/s": round(median(rates.full)),
    ratio: round(median(rates.full.map((rate, i) => rate / (rates.empty[i] as number))), 3),
  },
]);

function directory(jobs: number, state: "scheduled" | "succeeded"): string {
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const file = join(dir, "prism.db");
  migrateFile(file);
  const now = Date.now();
  // Pending jobs are spread over a year from tomorrow. Finished ones are spread over the last six
  // days, so that retention removes none meanwhile.
  const runAt = (n: number): number =>
    state === "scheduled" ? now + DAY_MS + ((n * 7919) % 365) * DAY_MS + n : now - Math.floor((n / jobs) * 6 * DAY_MS);
  fillJobs(file, { count: jobs, state, runAt });
  return dir;
}

async function drainRate(dir: string): Promise<number> {
  const server = await startEmbedded({}, dir);
  const { jobs, runner } = server.parts.offers;
  const { store, clock } = server.parts.base;
  let done = 0;
  let finish = (): void => undefined;
  runner.handle("bench", async () => {
    if (++done === DRAINED) finish();
  });
  runner.pause("retention");
  const job = { queue: "retention", kind: "bench", payload: { n: 1 } } as const;
  await Promise.all(Array.from({ length: DRAINED }, () => jobs.enqueue({ ...job, runAt: clock.now() })));
  const startedAt = performance.now();
  const all = new Promise<void>((resolve) => {
    finish = resolve;
  });
  runner.resume("retention");
  await all;
  await store.committer.settled();
  const rate = (DRAINED / (performance.now() - startedAt)) * 1000;
  await server.stop();
  return rate;
}

/** The first ones of jobs that are all due. */
async function drainRateOf(due: number): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const file = join(dir, "prism.db");
  migrateFile(file);
  const first = Date.now() - due;
  fillJobs(file, { count: due, state: "scheduled", kind: "bench", runAt: (n) => first + n });
  pauseTimers(file);
  const server = await startEmbedded({ "queues.timers.concurrency": "50" }, dir);
  const { runner } = server.parts.offers;
  let done = 0;
  let startedAt = 0;
  let finish = (): void => undefined;
  const all = new Promise<void>((resolve) => {
    finish = resolve;
  });
  runner.handle("bench", async () => {
    if (++done === WARM_UP) startedAt = performance.now();
    else if (done === WARM_UP + DRAINED_OF_MANY) finish();
  });
  runner.resume("timers");
  await all;
  const rate = (DRAINED_OF_MANY / (performance.now() - startedAt)) * 1000;
  runner.pause("timers");
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
  return rate;
}

/** The next server starts with a paused queue, so that a handler can be added. */
function pauseTimers(file: string): void {
  const insert = "insert into settings (key, value, updatedAt) values (?, 'true', ?)";
  closing(openForWriting({ file, busyTimeoutMs: 5000 }), (connection) =>
    connection.prepare(insert).run(pausedKey("timers"), Date.now()),
  );
}
