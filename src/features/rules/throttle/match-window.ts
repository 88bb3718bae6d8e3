import type { EpochMs } from "../../../core/time/clock.ts";

/** Buckets of a window: matches are counted with a resolution of a tenth. */
export const BUCKETS = 10;

/** Matches of one bucket, by the start of the bucket. */
export interface WindowBucket {
  readonly bucketStart: EpochMs;
  readonly count: number;
}

/**
 * The number of matches in the last `windowMs`, in ten buckets including the current one. Depends
 * only on the added instants: counting the same events later, or reading the buckets from their
 * table, gives the same window.
 */
export class MatchWindow {
  readonly #widthMs: number;
  readonly #counts = new Array<number>(BUCKETS).fill(0);
  /** Number of the newest bucket since 1970; older ones precede it in the ring. */
  #newest = Number.NEGATIVE_INFINITY;
  #sum = 0;

  constructor(windowMs: number, buckets: Iterable<WindowBucket> = []) {
    this.#widthMs = Math.max(1, Math.floor(windowMs / BUCKETS));
    for (const { bucketStart, count } of [...buckets].sort((a, b) => a.bucketStart - b.bucketStart)) {
      this.#moveTo(Math.floor(bucketStart / this.#widthMs));
      this.#put(count);
    }
  }

  /** Matches in the window at an instant, which may be earlier than the last one. */
  sumAt(at: EpochMs): number {
    const number = this.#numberAt(at);
    if (this.#isOutside(number)) return 0;
    let sum = this.#sum;
    for (let left = number - BUCKETS; left > this.#newest - BUCKETS; left--) sum -= this.#counts[slot(left)] ?? 0;
    return sum;
  }

  /** Start of the newest bucket. */
  get newestAt(): EpochMs {
    return this.#newest * this.#widthMs;
  }

  /** Whether an instant is so far before the last one that the clock must have been set back. */
  isBehind(at: EpochMs): boolean {
    return this.#numberAt(at) < this.#newest;
  }

  /** Counts a match. @returns the start of its bucket. */
  add(at: EpochMs): EpochMs {
    this.#moveTo(this.#numberAt(at));
    this.#put(1);
    return this.newestAt;
  }

  /**
   * The bucket of an instant. After a small backward step of the clock the newest bucket continues;
   * after a large one the window is reset.
   */
  #numberAt(at: EpochMs): number {
    const number = Math.floor(at / this.#widthMs);
    return number < this.#newest && number > this.#newest - BUCKETS ? this.#newest : number;
  }

  #isOutside(number: number): boolean {
    return number >= this.#newest + BUCKETS || number < this.#newest;
  }

  #moveTo(number: number): void {
    if (number === this.#newest) return;
    if (this.#isOutside(number)) {
      this.#counts.fill(0);
      this.#sum = 0;
    } else {
      for (let next = this.#newest + 1; next <= number; next++) {
        this.#sum -= this.#counts[slot(next)] ?? 0;
        this.#counts[slot(next)] = 0;
      }
    }
    this.#newest = number;
  }

  #put(count: number): void {
    const at = slot(this.#newest);
    this.#counts[at] = (this.#counts[at] ?? 0) + count;
    this.#sum += count;
  }
}

function slot(number: number): number {
  return ((number % BUCKETS) + BUCKETS) % BUCKETS;
}
