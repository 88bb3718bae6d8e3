import type { Database as Sqlite } from "better-sqlite3";
import type { Clock } from "../base/clock.ts";

/** Jobs of a queue that may wait (contract 8.3). */
const MAX_WAITING_JOBS = 1_000_000;
/** To count a full table again takes half a second. */
const RECOUNT_EVERY_MS = 60_000;

interface QueueCount {
  readonly queue: string;
  readonly n: number;
}

/**
 * How many jobs of each queue wait: scheduled, retrying or ready. Counted when the server starts and kept from then on. What is kept is
 * never too low, but may be too high, for a job whose dedupe key is held is counted and not inserted; so a queue that looks full is counted again.
 */
export class WaitingCounts {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #statements;
  #counts = new Map<string, number>();
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(reader: Sqlite, clock: Clock, limit = MAX_WAITING_JOBS) {
    this.#clock = clock;
    this.#limit = limit;
    // Each with the condition of a partial index, word for word.
    this.#statements = [
      "select queue, count(*) as n from jobs where state = 'ready' group by queue",
      "select queue, count(*) as n from jobs where state in ('scheduled', 'retrying') group by queue",
    ].map((sql) => reader.prepare<[], QueueCount>(sql));
  }

  /** Reads the table. */
  count(): void {
    this.#counts = new Map();
    for (const statement of this.#statements) for (const { queue, n } of statement.iterate()) this.add(queue, n);
    this.#countedAt = this.#clock.elapsed();
  }

  add(queue: string, jobs: number): void {
    this.#counts.set(queue, Math.max(0, this.of(queue) + jobs));
  }

  of(queue: string): number {
    return this.#counts.get(queue) ?? 0;
  }

  isFull(queue: string): boolean {
    if (this.of(queue) < this.#limit) return false;
    if (this.#clock.elapsed() - this.#countedAt >= RECOUNT_EVERY_MS) this.count();
    return this.of(queue) >= this.#limit;
  }
}
