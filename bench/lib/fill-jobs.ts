import { uuidv7 } from "../../src/core/ids.ts";
import { openForWriting } from "../../src/store/sqlite/connection.ts";

const ROWS_PER_COMMIT = 50_000;

export interface Filling {
  readonly count: number;
  readonly state: "scheduled" | "succeeded";
  /** Default: `timer`. */
  readonly kind?: string;
  /** Epoch ms of job n. */
  runAt(n: number): number;
}

/**
 * Inserts jobs into a data directory without a running server and without waiting for the disk;
 * only a benchmark may do that.
 */
export function fillJobs(file: string, { count, state, kind = "timer", runAt }: Filling): void {
  const db = openForWriting({ file, busyTimeoutMs: 5000 });
  db.pragma("synchronous = OFF");
  const insert = db.prepare(
    `insert into jobs (id, queue, kind, payload, state, runAt, maxAttempts, attempts, label, finishedAt, createdAt)
     values (?, 'timers', ?, ?, ?, ?, 5, ?, 'bench', ?, ?)`,
  );
  const payload = JSON.stringify({ action: { type: "event", event: "bench.due", payload: { n: 1 }, persist: false } });
  const now = Date.now();
  for (let from = 0; from < count; from += ROWS_PER_COMMIT) {
    db.transaction(() => {
      for (let n = from; n < Math.min(from + ROWS_PER_COMMIT, count); n++) {
        const at = runAt(n);
        const isOver = state === "succeeded";
        insert.run(uuidv7(now), kind, payload, state, at, isOver ? 1 : 0, isOver ? at : null, Math.min(at, now));
      }
    }).immediate();
  }
  db.close();
}
