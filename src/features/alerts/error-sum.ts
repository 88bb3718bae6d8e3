import type { EpochMs } from "../../core/clock.ts";
import { type ErrorBurst, SAMPLES } from "./error-window.ts";

/** All errors of a project since those it was last told of: a number, and the newest, however many there are. */
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
