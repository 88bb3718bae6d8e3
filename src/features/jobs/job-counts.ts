import { sql } from "kysely";
import type { Clock } from "../../core/clock.ts";
import type { ReadDb } from "../../store/database.ts";

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
 * The states that count, as the predicates of their partial indexes: one query over all of them would read every finished job there is, and a
 * bound value could be any, so SQLite would use no partial index.
 */
const WAITING = [sql<boolean>`state = 'ready'`, sql<boolean>`state in ('scheduled', 'retrying')`];
const COUNTED = [...WAITING, sql<boolean>`state = 'running'`, sql<boolean>`state = 'dead'`];

/** Unfinished and dead jobs; states without any are left out. @param db the scanning connection, where others wait: there may be many. */
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
export async function countWaitingJobs(read: ReadDb, scan: ReadDb): Promise<{ queue: string; n: number }[]> {
  const waiting = new Map<string, number>();
  for (const states of WAITING) {
    const rows = await read.selectFrom("jobs").select("queue").where(states).limit(COUNTED_AT_ONCE).execute();
    const isAll = rows.length < COUNTED_AT_ONCE;
    const counts = isAll ? rows.map(({ queue }) => ({ queue, n: 1 })) : await countByQueue(scan, states);
    for (const { queue, n } of counts) waiting.set(queue, (waiting.get(queue) ?? 0) + n);
  }
  return [...waiting].map(([queue, n]) => ({ queue, n }));
}

function countByQueue(scan: ReadDb, states: (typeof WAITING)[number]): Promise<{ queue: string; n: number }[]> {
  return scan
    .selectFrom("jobs")
    .select(["queue", (e) => e.fn.countAll<number>().as("n")])
    .where(states)
    .groupBy("queue")
    .execute();
}

/** Counts for whoever asks again and again: counted at most every two seconds. */
export class RecentJobCounts {
  readonly #scan: ReadDb;
  readonly #clock: Clock;
  #counts: Promise<readonly JobCount[]> | null = null;
  #countedAt = 0;

  constructor(scan: ReadDb, clock: Clock) {
    this.#scan = scan;
    this.#clock = clock;
  }

  get(): Promise<readonly JobCount[]> {
    const now = this.#clock.elapsed();
    if (this.#counts && now - this.#countedAt < RECENT_MS) return this.#counts;
    this.#countedAt = now;
    const counts = countJobs(this.#scan);
    counts.catch(() => {
      if (this.#counts === counts) this.#counts = null;
    });
    this.#counts = counts;
    return counts;
  }
}
