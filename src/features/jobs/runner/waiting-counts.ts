import { sql } from "kysely";
import type { Clock } from "../../../core/clock.ts";
import type { ReadDb } from "../../../store/database.ts";

/** Jobs of a queue that may wait. */
const MAX_WAITING_JOBS = 1_000_000;
const RECOUNT_EVERY_MS = 60_000;

/**
 * Counts the waiting jobs of each queue in the table, off the main thread: of a million it takes
 * half a second.
 */
export type CountWaiting = () => Promise<readonly Pick<JobCount, "queue" | "n">[]>;

/**
 * How many jobs of each queue wait: scheduled, retrying or ready. Counted when the server starts
 * and kept from then on. What is kept may be too high, for a job whose dedupe key is held is
 * counted and not inserted; so a queue that looks full is counted again. Until the first count is
 * there, no queue is full.
 */
export class WaitingCounts {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #countWaiting: CountWaiting;
  #counts = new Map<string, number>();
  /** What has changed since the count that is under way was asked for; null while none is. */
  #since: Map<string, number> | null = null;
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(countWaiting: CountWaiting, clock: Clock, limit = MAX_WAITING_JOBS) {
    this.#countWaiting = countWaiting;
    this.#clock = clock;
    this.#limit = limit;
  }

  /** Counts the table. A count that fails leaves what is known. */
  async count(): Promise<void> {
    if (this.#since) return;
    const since = new Map<string, number>();
    this.#since = since;
    this.#countedAt = this.#clock.elapsed();
    try {
      const counted = await this.#countWaiting();
      // What changed meanwhile may be counted twice; a limit of a million need not be exact.
      this.#counts = new Map(counted.map(({ queue, n }) => [queue, n]));
      for (const [queue, n] of since) this.#add(this.#counts, queue, n);
    } catch {
      // The database is being closed, or cannot be read; then nobody can enqueue either.
    } finally {
      this.#since = null;
    }
  }

  add(queue: string, jobs: number): void {
    this.#add(this.#counts, queue, jobs);
    if (this.#since) this.#since.set(queue, (this.#since.get(queue) ?? 0) + jobs);
  }

  of(queue: string): number {
    return this.#counts.get(queue) ?? 0;
  }

  isFull(queue: string): boolean {
    if (this.of(queue) < this.#limit) return false;
    if (this.#clock.elapsed() - this.#countedAt >= RECOUNT_EVERY_MS) void this.count();
    return true;
  }

  #add(counts: Map<string, number>, queue: string, jobs: number): void {
    counts.set(queue, Math.max(0, (counts.get(queue) ?? 0) + jobs));
  }
}

/** How many jobs of a queue are in a state, and since when the first of them could run. */
export interface JobCount {
  readonly queue: string;
  readonly state: string;
  readonly n: number;
  /** Epoch ms. */
  readonly oldest: number;
}

/** How old counts may be that nobody waits for. */
const RECENT_MS = 2000;

/**
 * The states that count, as the predicates of their partial indexes: one query over all of them
 * would read every finished job there is, and a bound value could be any, so SQLite would use no
 * partial index.
 */
const WAITING = [sql<boolean>`state = 'ready'`, sql<boolean>`state in ('scheduled', 'retrying')`];
const COUNTED = [...WAITING, sql<boolean>`state = 'running'`, sql<boolean>`state = 'dead'`];

/**
 * Unfinished and dead jobs; states without any are left out. @param db the scanning connection,
 * where others wait: there may be many.
 */
export async function countJobs(db: ReadDb): Promise<readonly JobCount[]> {
  const groups = await Promise.all(
    COUNTED.map((states) =>
      db
        .selectFrom("jobs")
        .select(["queue", "state", (e) => e.fn.countAll<number>().as("n"), sql<number>`min(runAt)`.as("oldest")])
        .where(states)
        .groupBy(["queue", "state"])
        .execute(),
    ),
  );
  return groups.flat();
}

/** As many are counted at once in the main thread: it takes a few milliseconds. */
const COUNTED_AT_ONCE = 10_000;

/** Jobs that wait, by queue. Many are counted by `scan`; a thread is not started for few. */
export async function countWaitingJobs(read: ReadDb, scan: ReadDb): ReturnType<CountWaiting> {
  const waiting = new Map<string, number>();
  for (const states of WAITING) {
    const rows = await read.selectFrom("jobs").select("queue").where(states).limit(COUNTED_AT_ONCE).execute();
    const isAll = rows.length < COUNTED_AT_ONCE;
    const counts = isAll ? rows.map(({ queue }) => ({ queue, n: 1 })) : await countByQueue(scan, states);
    for (const { queue, n } of counts) waiting.set(queue, (waiting.get(queue) ?? 0) + n);
  }
  return [...waiting].map(([queue, n]) => ({ queue, n }));
}

function countByQueue(scan: ReadDb, states: (typeof WAITING)[number]) {
  return scan
    .selectFrom("jobs")
    .select(["queue", (e) => e.fn.countAll<number>().as("n")])
    .where(states)
    .groupBy("queue")
    .execute();
}

/** {@link countJobs} for callers that ask again and again: counted at most every two seconds. */
export function recentJobCounts(scan: ReadDb, clock: Clock): () => Promise<readonly JobCount[]> {
  let recent: Promise<readonly JobCount[]> | null = null;
  let countedAt = 0;
  return () => {
    const now = clock.elapsed();
    if (recent && now - countedAt < RECENT_MS) return recent;
    countedAt = now;
    const counts = countJobs(scan);
    counts.catch(() => {
      if (recent === counts) recent = null;
    });
    recent = counts;
    return counts;
  };
}
