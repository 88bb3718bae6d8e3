import type { Clock } from "../../../core/clock.ts";

/** Jobs of a queue that may wait (contract 8.3). */
const MAX_WAITING_JOBS = 1_000_000;
const RECOUNT_EVERY_MS = 60_000;

export interface QueueCount {
  readonly queue: string;
  readonly n: number;
}

/** Counts the waiting jobs of each queue in the table, off the main thread: of a million it takes half a second. */
export type CountWaiting = () => Promise<readonly QueueCount[]>;

/**
 * How many jobs of each queue wait: scheduled, retrying or ready. Counted when the server starts and kept from then on. What is kept may be too
 * high, for a job whose dedupe key is held is counted and not inserted; so a queue that looks full is counted again. Until the first count is
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
