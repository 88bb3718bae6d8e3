/**
 * A hundred thousand jobs without work: enqueued one by one, then drained. Compared with plainjob,
 * a queue on the same SQLite binding, and with BullMQ where Redis is installed.
 */
import "../scripts/node-version.mjs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import { better, defineQueue, defineWorker, JobStatus } from "plainjob";
import { bullmq, hasBullmq } from "./lib/bullmq.ts";
import { startEmbedded } from "./lib/embedded.ts";
import { median, ROUNDS, type Row, report, round } from "./lib/report.ts";

const JOBS = Number(process.env["BENCH_JOBS"] ?? 100_000);
const PAYLOAD = { to: "user-0001", subject: "hello", note: "nothing happens" };
/** Concurrent enqueue calls, each waiting for its commit. */
const CALLERS = 500;

interface Rates {
  readonly enqueued: number;
  readonly drained: number;
}

const runs: Record<string, Rates[]> = {};
for (let i = 0; i < ROUNDS; i++) {
  await add("prism, 8 at a time (default)", () => prism(8));
  await add("prism, 50 at a time", () => prism(50));
  await add("plainjob, every commit on disk", () => plainjob("FULL"));
  if (hasBullmq()) {
    await add("BullMQ, 50 at a time, every write on disk", () => bull(true));
    await add("BullMQ, 50 at a time, not durable", () => bull(false));
  }
  await add("plainjob as it comes, not durable", () => plainjob("NORMAL"));
}
const rows: Row[] = Object.entries(runs).map(([program, rates]) => ({
  program,
  "enqueued/s": round(median(rates.map(({ enqueued }) => enqueued))),
  "drained/s": round(median(rates.map(({ drained }) => drained))),
}));
report("job-drain", `${JOBS} no-op jobs of 60 bytes, ${CALLERS} callers, ${ROUNDS} rounds, medians`, rows);

async function add(name: string, run: () => Promise<Rates>): Promise<void> {
  runs[name] = [...(runs[name] ?? []), await run()];
}

async function prism(concurrency: number): Promise<Rates> {
  const server = await startEmbedded({ "queues.timers.concurrency": String(concurrency) });
  const { jobs, runner } = server.parts.offers;
  const { store, clock } = server.parts.base;
  let done = 0;
  let finished = (): void => undefined;
  runner.handle("bench", async () => {
    if (++done === JOBS) finished();
  });
  runner.pause("timers");
  const enqueued = await rate(async () => {
    let next = 0;
    const caller = async (): Promise<void> => {
      while (next++ < JOBS)
        await jobs.enqueue({ queue: "timers", kind: "bench", payload: PAYLOAD, runAt: clock.now() });
    };
    await Promise.all(Array.from({ length: CALLERS }, caller));
  });
  const drained = await rate(async () => {
    const all = new Promise<void>((resolve) => {
      finished = resolve;
    });
    runner.resume("timers");
    await all;
    // Until the last completion is on disk.
    await store.committer.settled();
  });
  await server.stop();
  return { enqueued, drained };
}

function bull(isDurable: boolean): Promise<Rates> {
  return bullmq({ jobs: JOBS, callers: CALLERS, concurrency: 50, payload: PAYLOAD, isDurable, rate });
}

async function plainjob(synchronous: "FULL" | "NORMAL"): Promise<Rates> {
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const db = new SqliteDatabase(join(dir, "jobs.db"));
  const logger = { error: () => undefined, warn: () => undefined, info: () => undefined, debug: () => undefined };
  const queue = defineQueue({ connection: better(db), logger });
  db.pragma(`synchronous = ${synchronous}`);
  const enqueued = await rate(async () => {
    for (let i = 0; i < JOBS; i++) queue.add("bench", PAYLOAD);
  });
  let done = 0;
  let worker: ReturnType<typeof defineWorker> | undefined;
  const drained = await rate(
    () =>
      new Promise<void>((resolve) => {
        const onCompleted = (): void => {
          if (++done === JOBS) resolve();
        };
        worker = defineWorker("bench", async () => undefined, { queue, logger, onCompleted });
        void worker.start();
      }),
  );
  await worker?.stop();
  if (queue.countJobs({ status: JobStatus.Pending }) > 0) throw new Error("jobs are left");
  queue.close();
  rmSync(dir, { recursive: true, force: true });
  return { enqueued, drained };
}

async function rate(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (JOBS / (performance.now() - startedAt)) * 1000;
}
