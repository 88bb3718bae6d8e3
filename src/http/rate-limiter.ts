import type { Clock } from "../base/clock.ts";

const MINUTE_MS = 60_000;
const MAX_BUCKETS = 200_000;

/** Where one caller stands with one limit after its last request. */
export class RateState {
  readonly limit: number;
  /** Whether the last {@link take} was served. */
  isAllowed = true;
  #tokens: number;
  #at: number;

  constructor(limit: number, now: number) {
    this.limit = limit;
    this.#tokens = limit;
    this.#at = now;
  }

  /** Takes `count` tokens if there are that many; {@link isAllowed} says so. The bucket holds a minute's worth and refills evenly. */
  take(count: number, now: number): void {
    this.#refill(now);
    this.isAllowed = this.#tokens >= count;
    if (this.isAllowed) this.#tokens -= count;
  }

  /** How long until `count` tokens will be there, in ms. More than the limit will never be. */
  waitMs(count: number): number {
    return Math.max(0, ((Math.min(count, this.limit) - this.#tokens) * MINUTE_MS) / this.limit);
  }

  /** True when the bucket is full again, so that forgetting it changes nothing. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#tokens >= this.limit;
  }

  /** `RateLimit-*` (draft-ietf-httpapi-ratelimit-headers-07, one field each), ready to be sent. */
  headerLines(): string {
    const reset = Math.ceil(((this.limit - this.#tokens) * MINUTE_MS) / this.limit / 1000);
    return `RateLimit-Limit: ${this.limit}\r\nRateLimit-Remaining: ${Math.floor(this.#tokens)}\r\nRateLimit-Reset: ${reset}\r\n`;
  }

  #refill(now: number): void {
    if (now <= this.#at) return;
    this.#tokens = Math.min(this.limit, this.#tokens + ((now - this.#at) * this.limit) / MINUTE_MS);
    this.#at = now;
  }
}

/**
 * Token buckets by caller, in memory. Bounded: when the table is full, buckets that are full again go; if that makes no room, newcomers
 * share the bucket of their coarse group until it does. Map keys are hashed with a seed of the process, so that nobody outside can
 * choose keys that collide.
 */
export class RateLimiter {
  readonly #buckets = new Map<string, RateState>();
  readonly #coarse = new Map<string, RateState>();
  readonly #clock: Clock;
  #sweepAfter = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * @param coarseKey the group that a newcomer is counted with while the table is full.
   * @returns the bucket, from which `count` has been taken if it could be; its `isAllowed` says so.
   */
  take(key: string, limit: number, count = 1, coarseKey = ""): RateState {
    const now = this.#clock.now();
    let state = this.#buckets.get(key);
    if (!state || state.limit !== limit) {
      if (!state && this.#buckets.size >= MAX_BUCKETS) this.#sweep(now);
      state =
        this.#buckets.size < MAX_BUCKETS
          ? newBucket(this.#buckets, key, limit, now)
          : this.#sharedBucket(coarseKey, limit, now);
    }
    state.take(count, now);
    return state;
  }

  #sharedBucket(coarseKey: string, limit: number, now: number): RateState {
    const key = this.#coarse.has(coarseKey) || this.#coarse.size < MAX_BUCKETS ? coarseKey : "";
    return this.#coarse.get(key) ?? newBucket(this.#coarse, key, limit, now);
  }

  /** At most once a second: a sweep looks at every bucket. */
  #sweep(now: number): void {
    if (now < this.#sweepAfter) return;
    this.#sweepAfter = now + 1000;
    for (const buckets of [this.#buckets, this.#coarse]) {
      for (const [key, state] of buckets) if (state.isFull(now)) buckets.delete(key);
    }
  }
}

function newBucket(buckets: Map<string, RateState>, key: string, limit: number, now: number): RateState {
  const state = new RateState(limit, now);
  buckets.set(key, state);
  return state;
}
