/**
 * Ten thousand timers that are due within ten seconds: the lateness of each, compared with Node's
 * own setTimeout and plainjob, one after the other in the same process.
 */
import "../scripts/node-version.mjs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import { better, defineQueue, defineWorker } from "plainjob";
import { startEmbedded } from "./lib/embedded.ts";
import { median, ROUNDS, type Row, report, round } from "./lib/report.ts";

const TIMERS = Number(process.env["BENCH_TIMERS"] ?? 10_000);
const WITHIN_MS = 10_000;
/** All timers are created before the first one is due. */
const HEAD_START_MS = 5000;

interface Lateness {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const runs: Record<string, Lateness[]> = {};
for (let i = 0; i < ROUNDS; i++) {
  await add("prism", prism);
  await add("setTimeout, nothing stored", bare);
}
// Only one round: plainjob polls for due jobs once per second and takes them one by one.
await add("plainjob", plainjob);
const rows: Row[] = Object.entries(runs).map(([program, all]) => ({
  program,
  "p50 ms": round(median(all.map(({ p50 }) => p50)), 2),
  "p99 ms": round(median(all.map(({ p99 }) => p99)), 2),
  "max ms": round(median(all.map(({ max }) => max)), 2),
}));
report("timer-lateness", `${TIMERS} timers within ${WITHIN_MS / 1000} s, ${ROUNDS} rounds, medians`, rows);

async function add(name: string, run: () => Promise<number[]>): Promise<void> {
  const late = (await run()).sort((a, b) => a - b);
  const at = (share: number): number => late[Math.min(late.length - 1, Math.floor(late.length * share))] ?? Number.NaN;
  runs[name] = [...(runs[name] ?? []), { p50: at(0.5), p99: at(0.99), max: at(1) }];
}

/** Milliseconds since 1970 with fractions. */
function now(): number {
  return performance.timeOrigin + performance.now();
}

function dueTimes(): number[] {
  const from = Date.now() + HEAD_START_MS;
  return Array.from({ length: TIMERS }, () => Math.floor(from + Math.random() * WITHIN_MS));
}

async function prism(): Promise<number[]> {
  const server = await startEmbedded();
  const { jobs, runner } = server.parts.offers;
  const late = await collected((ran) => {
    runner.handle("bench", async ({ payload }) => ran(payload as number));
    for (const runAt of dueTimes()) void jobs.enqueue({ queue: "timers", kind: "bench", payload: runAt, runAt });
  });
  await server.stop();
  return late;
}

function bare(): Promise<number[]> {
  return collected((ran) => {
    for (const runAt of dueTimes()) setTimeout(() => ran(runAt), runAt - Date.now());
  });
}

async function plainjob(): Promise<number[]> {
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const db = new SqliteDatabase(join(dir, "jobs.db"));
  const logger = { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined };
  const queue = defineQueue({ connection: better(db), logger });
  let stop = (): Promise<void> => Promise.resolve();
  const late = await collected((ran) => {
    db.transaction(() => {
      for (const runAt of dueTimes()) queue.add("bench", runAt, { delay: runAt - Date.now() });
    })();
    const worker = defineWorker("bench", async ({ data }) => ran(Number(data)), { queue, logger });
    stop = worker.stop;
    void worker.start();
  });
  await stop();
  queue.close();
  rmSync(dir, { recursive: true, force: true });
  return late;
}

/** @param begin sets the timers and gets a callback to call as each runs. */
function collected(begin: (ran: (runAt: number) => void) => void): Promise<number[]> {
  const late: number[] = [];
  return new Promise((resolve) => {
    begin((runAt) => {
      if (late.push(now() - runAt) === TIMERS) resolve(late);
    });
  });
}
