import { sql } from "kysely";
import type { Clock } from "../../../../core/time/clock.ts";
import type { ReadDb } from "../../../../store/database.ts";

/** Limit of waiting jobs per queue. */
const MAX_WAITING_JOBS = 1_000_000;
const RECOUNT_EVERY_MS = 60_000;

/** Counts the waiting jobs of each queue, off the main thread: a million take half a second. */
export type CountWaiting = () => Promise<readonly Pick<JobCount, "queue" | "n">[]>;

/**
 * The number of waiting jobs of each queue: scheduled, retrying or ready. Counted at the start and
 * kept current afterwards. The number may be too high, because a job that is skipped for its dedupe
 * key is counted, so a queue that looks full is counted again. Until the first count is done, no
 * queue is full.
 */
export class WaitingCounts {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #countWaiting: CountWaiting;
  #counts = new Map<string, number>();
  /** Changes since the running count started; null when none runs. */
  #since: Map<string, number> | null = null;
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(countWaiting: CountWaiting, clock: Clock, limit = MAX_WAITING_JOBS) {
    this.#countWaiting = countWaiting;
    this.#clock = clock;
    this.#limit = limit;
  }

  /** Counts the table. A failed count keeps the old numbers. */
  async count(): Promise<void> {
    if (this.#since) return;
    const since = new Map<string, number>();
    this.#since = since;
    this.#countedAt = this.#clock.elapsed();
    try {
      const counted = await this.#countWaiting();
      // Changes during the count may be counted twice; a limit of a million need not be exact.
      this.#counts = new Map(counted.map(({ queue, n }) => [queue, n]));
      for (const [queue, n] of since) this.#add(this.#counts, queue, n);
    } catch {
      // The database is closing or cannot be read, so no job can be enqueued either.
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

/** Number of a queue's jobs in a state, and when the first of them was due. */
export interface JobCount {
  readonly queue: string;
  readonly state: string;
  readonly n: number;
  /** Epoch ms. */
  readonly oldest: number;
}

/** Those that have used up their attempts. */
export function deadIn(counts: readonly JobCount[]): readonly JobCount[] {
  return counts.filter(({ state }) => state === "dead");
}

/** Maximum age of cached counts. */
const RECENT_MS = 2000;

/**
 * The counted states, as literal predicates of their partial indexes. One query over all states
 * would read every finished job, and with a bound value SQLite would use no partial index.
 */
const WAITING = [sql<boolean>`state = 'ready'`, sql<boolean>`state in ('scheduled', 'retrying')`];
const COUNTED = [...WAITING, sql<boolean>`state = 'running'`, sql<boolean>`state = 'dead'`];

/** Unfinished and dead jobs, by state. @param db the scan connection: there may be many */
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

/** Up to this many are counted in the main thread, which takes a few milliseconds. */
const COUNTED_AT_ONCE = 10_000;

/** Waiting jobs by queue. Many are counted by `scan`; few do not justify its thread. */
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

/** {@link countJobs} for frequent callers: counts at most every two seconds. */
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
