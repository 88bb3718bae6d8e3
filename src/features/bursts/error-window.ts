import type { EpochMs } from "../../core/clock.ts";

/** An alert names this many of the latest errors. */
const SAMPLES = 5;

/** Errors in quick succession: the threshold reached within the window. */
export interface ErrorBurst {
  readonly count: number;
  readonly firstAt: EpochMs;
  readonly lastAt: EpochMs;
  readonly lastSeq: number;
  /** Offsets of the latest ones, at most five, ascending. */
  readonly samples: readonly number[];
}

/** The last errors of one project: up to its threshold, none older than the window. */
export class ErrorWindow {
  #at: EpochMs[] = [];
  #seqs: number[] = [];
  /** Earlier entries have left the window. */
  #head = 0;

  isOver(now: EpochMs, windowMs: number): boolean {
    return (this.#at.at(-1) ?? Number.NEGATIVE_INFINITY) <= now - windowMs;
  }

  add(at: EpochMs, seq: number): void {
    this.#at.push(at);
    this.#seqs.push(seq);
  }

  /** The burst completed by the latest error; undefined below the threshold. */
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

  /** Errors up to this offset are reported and no longer count. */
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

/** All unreported errors of a project: their number and the latest ones. */
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

  /** Starts with a burst that is about to be reported. */
  static of({ count, firstAt, lastAt, lastSeq, samples }: ErrorBurst): ErrorSum {
    const sum = new ErrorSum();
    sum.#count = count;
    sum.#firstAt = firstAt;
    sum.#lastAt = lastAt;
    sum.#lastSeq = lastSeq;
    sum.#samples = [...samples];
    return sum;
  }

  /** Removes reported errors. @param upToSeq the last of them */
  drop(count: number, upToSeq: number, lastAt: EpochMs): void {
    this.#count = Math.max(0, this.#count - count);
    this.#firstAt = lastAt;
    this.#samples = this.#samples.filter((seq) => seq > upToSeq);
  }

  /** Null for none. */
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
