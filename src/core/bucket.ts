/**
 * A token bucket. It refills evenly in elapsed time: a clock that is set, forward or back, gives
 * and takes nothing. The instants are `Clock.elapsed()`.
 */
export class Bucket {
  /** Tokens of a full bucket. */
  readonly limit: number;
  /** In which an empty bucket fills. */
  readonly windowMs: number;
  /** Whether the last {@link take} was served. */
  isAllowed = true;
  #tokens: number;
  #at: number;

  constructor(limit: number, windowMs: number, now: number) {
    this.limit = limit;
    this.windowMs = windowMs;
    this.#tokens = limit;
    this.#at = now;
  }

  /**
   * Takes `count` tokens if there are that many. More than it can hold is taken from a full bucket,
   * which then is in debt: refusing that would tell the caller to retry what never succeeds.
   */
  take(count: number, now: number): boolean {
    this.refill(now);
    this.isAllowed = this.#tokens >= Math.min(count, this.limit);
    if (this.isAllowed) this.#tokens -= count;
    return this.isAllowed;
  }

  /** Takes tokens of the future: {@link waitMs} from before says when they are there. */
  borrow(count: number): void {
    this.#tokens -= count;
  }

  /** What was taken is given back: it should not have counted. */
  giveBack(count: number): void {
    this.#tokens = Math.min(this.limit, this.#tokens + count);
  }

  /** How much could be taken at the last refill; below 0 of a bucket in debt. */
  get remaining(): number {
    return this.#tokens;
  }

  /** How long after the last refill {@link take} would give `count` tokens, in ms. */
  waitMs(count: number): number {
    return Math.max(0, ((Math.min(count, this.limit) - this.#tokens) * this.windowMs) / this.limit);
  }

  /** Forgetting a full bucket changes nothing. */
  get isFull(): boolean {
    return this.#tokens >= this.limit;
  }

  refill(now: number): this {
    if (now > this.#at) {
      this.#tokens = Math.min(this.limit, this.#tokens + ((now - this.#at) * this.limit) / this.windowMs);
      this.#at = now;
    }
    return this;
  }
}
