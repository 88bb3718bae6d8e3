import type { EpochMs } from "../../core/clock.ts";

/**
 * A number of errors is enough to know where an alert began; so many of the newest are named in it.
 */
const SAMPLES = 5;

/** Errors in quick succession: as many as there had to be, within the time there was. */
export interface ErrorBurst {
  readonly count: number;
  readonly firstAt: EpochMs;
  readonly lastAt: EpochMs;
  readonly lastSeq: number;
  /** Offsets of the newest, at most five, in their order. */
  readonly samples: readonly number[];
}

/** The last errors of one project: as many as its threshold, none older than the window. */
export class ErrorWindow {
  #at: EpochMs[] = [];
  #seqs: number[] = [];
  /** Those before it have left the window. */
  #head = 0;

  /** Whether nothing of it is left. */
  isOver(now: EpochMs, windowMs: number): boolean {
    return (this.#at.at(-1) ?? Number.NEGATIVE_INFINITY) <= now - windowMs;
  }

  add(at: EpochMs, seq: number): void {
    this.#at.push(at);
    this.#seqs.push(seq);
  }

  /** The burst that the newest error completes; undefined while there are too few. */
  burst(threshold: number, windowMs: number): ErrorBurst | undefined {
    const lastAt = this.#at.at(-1);
    const lastSeq = this.#seqs.at(-1);
    if (lastAt === undefined || lastSeq === undefined) return undefined;
    this.#forget(lastAt - windowMs, threshold);
    const count = this.#at.length - this.#head;
    const firstAt = this.#at[this.#head];
    if (count < threshold || firstAt === undefined) return undefined;
    return { count, firstAt, lastAt, lastSeq, samples: this.#seqs.slice(this.#head).slice(-SAMPLES) };
  }

  /** Errors up to this offset have been told: they do not count again. */
  drop(upToSeq: number): void {
    while ((this.#seqs[this.#head] ?? Number.POSITIVE_INFINITY) <= upToSeq) this.#head++;
  }

  #forget(before: EpochMs, most: number): void {
    while ((this.#at[this.#head] ?? Number.POSITIVE_INFINITY) <= before) this.#head++;
    this.#head = Math.max(this.#head, this.#at.length - most);
    if (this.#head < 64 || this.#head * 2 < this.#at.length) return;
    this.#at = this.#at.slice(this.#head);
    this.#seqs = this.#seqs.slice(this.#head);
    this.#head = 0;
  }
}

/**
 * All errors of a project since those it was last told of: a number, and the newest, however many
 * there are.
 */
export class ErrorSum {
  #count = 0;
  #firstAt: EpochMs = 0;
  #lastAt: EpochMs = 0;
  #lastSeq = 0;
  #samples: number[] = [];

  add(at: EpochMs, seq: number): void {
    if (this.#count === 0) this.#firstAt = at;
    this.#count++;
    this.#lastAt = at;
    this.#lastSeq = seq;
    this.#samples.push(seq);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  /** Begins with a burst that is about to be told. */
  static of({ count, firstAt, lastAt, lastSeq, samples }: ErrorBurst): ErrorSum {
    const sum = new ErrorSum();
    sum.#count = count;
    sum.#firstAt = firstAt;
    sum.#lastAt = lastAt;
    sum.#lastSeq = lastSeq;
    sum.#samples = [...samples];
    return sum;
  }

  /** They have been told. @param upToSeq the last of them */
  drop(count: number, upToSeq: number, lastAt: EpochMs): void {
    this.#count = Math.max(0, this.#count - count);
    this.#firstAt = lastAt;
    this.#samples = this.#samples.filter((seq) => seq > upToSeq);
  }

  /** Null where there are none. */
  facts(): ErrorBurst | null {
    if (this.#count === 0) return null;
    return {
      count: this.#count,
      firstAt: this.#firstAt,
      lastAt: this.#lastAt,
      lastSeq: this.#lastSeq,
      samples: [...this.#samples],
    };
  }
}
