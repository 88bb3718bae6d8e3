/** A token bucket that refills in elapsed time: setting the clock changes nothing. */
export class Bucket {
  /** Tokens of a full bucket. */
  readonly limit: number;
  /** Time in which an empty bucket fills. */
  readonly windowMs: number;
  /** Result of the last {@link take}. */
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
   * Takes `count` tokens if that many are left. A request for more than the capacity is served by a
   * full bucket, which then goes negative: otherwise the caller would retry for ever.
   */
  take(count: number, now: number): boolean {
    this.refill(now);
    this.isAllowed = this.#tokens >= Math.min(count, this.limit);
    if (this.isAllowed) this.#tokens -= count;
    return this.isAllowed;
  }

  /** Takes tokens in advance. Call {@link waitMs} first: it gives the time of their use. */
  borrow(count: number): void {
    this.#tokens -= count;
  }

  /** Returns tokens of an operation that must not count. */
  refund(count: number): void {
    this.#tokens = Math.min(this.limit, this.#tokens + count);
  }

  /** Tokens left at the last refill; negative after borrowing. */
  get remaining(): number {
    return this.#tokens;
  }

  /** Milliseconds after the last refill until {@link take} succeeds for `count` tokens. */
  waitMs(count: number): number {
    return Math.max(0, ((Math.min(count, this.limit) - this.#tokens) * this.windowMs) / this.limit);
  }

  /** A full bucket can be dropped: a new one is equal to it. */
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
