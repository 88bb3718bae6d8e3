import type { Clock } from "../base/clock.ts";

const MINUTE_MS = 60_000;
const MAX_BUCKETS = 200_000;
const SWEEP_EVERY_MS = 1000;

/** Where one caller stands with one limit after its last request. */
export class RateState {
  readonly limit: number;
  /** Whether the last {@link take} was served. */
  isAllowed = true;
  #tokens: number;
  #at: number;
  readonly #windowMs: number;

  /** @param windowMs in which an empty bucket fills. */
  constructor(limit: number, now: number, windowMs = MINUTE_MS) {
    this.limit = limit;
    this.#windowMs = windowMs;
    this.#tokens = limit;
    this.#at = now;
  }

  /**
   * Takes `count` tokens if there are that many; {@link isAllowed} says so. The bucket holds a window's worth and refills evenly. More than it
   * can hold is taken from a full one, which then is in debt: refusing that would tell the caller to retry what never succeeds.
   */
  take(count: number, now: number): void {
    this.#refill(now);
    this.isAllowed = this.#tokens >= Math.min(count, this.limit);
    if (this.isAllowed) this.#tokens -= count;
  }

  /** What was taken is given back: it should not have counted. */
  giveBack(count: number): void {
    this.#tokens = Math.min(this.limit, this.#tokens + count);
  }

  /** How much could be taken at the last {@link take}; below 0 of a bucket in debt. */
  get remaining(): number {
    return this.#tokens;
  }

  /** How long until {@link take} would give `count` tokens, in ms. */
  waitMs(count: number): number {
    return Math.max(0, ((Math.min(count, this.limit) - this.#tokens) * this.#windowMs) / this.limit);
  }

  /** True when the bucket is full again, so that forgetting it changes nothing. */
  isFull(now: number): boolean {
    this.#refill(now);
    return this.#tokens >= this.limit;
  }

  /** `RateLimit-*` (draft-ietf-httpapi-ratelimit-headers-07, one field each), ready to be sent. */
  headerLines(): string {
    const reset = Math.ceil(((this.limit - this.#tokens) * this.#windowMs) / this.limit / 1000);
    return `RateLimit-Limit: ${this.limit}\r\nRateLimit-Remaining: ${Math.max(0, Math.floor(this.#tokens))}\r\nRateLimit-Reset: ${reset}\r\n`;
  }

  #refill(now: number): void {
    if (now <= this.#at) return;
    this.#tokens = Math.min(this.limit, this.#tokens + ((now - this.#at) * this.limit) / this.#windowMs);
    this.#at = now;
  }
}

/**
 * Token buckets by caller, in memory. Bounded: when the table is full, buckets that are full again go; if that makes no room, the oldest goes, and
 * the newcomer is also counted with its coarse group, so that being forgotten gives nobody more than the group has. Map keys are hashed with a
 * seed of the process, so that nobody outside can choose keys that collide.
 */
export class RateLimiter {
  readonly #buckets = new Map<string, RateState>();
  readonly #coarse = new Map<string, RateState>();
  readonly #clock: Clock;
  readonly #maxBuckets: number;
  readonly #windowMs: number;
  #sweepAfter = 0;

  constructor(clock: Clock, maxBuckets = MAX_BUCKETS, windowMs = MINUTE_MS) {
    this.#clock = clock;
    this.#maxBuckets = maxBuckets;
    this.#windowMs = windowMs;
  }

  /**
   * @param coarseKey the group that a newcomer is counted with while the table is full.
   * @returns the bucket, from which `count` has been taken if it could be; its `isAllowed` says so.
   */
  take(key: string, limit: number, count = 1, coarseKey = ""): RateState {
    // Elapsed time: a clock that is set back must not hold callers up.
    const now = this.#clock.elapsed();
    let state = this.#buckets.get(key);
    if (!state && !this.#hasRoom(now)) {
      const shared = this.#sharedBucket(coarseKey, limit, now);
      shared.take(count, now);
      if (!shared.isAllowed) return shared;
      deleteOldest(this.#buckets);
    }
    if (state?.limit !== limit) {
      state = new RateState(limit, now, this.#windowMs);
      this.#buckets.set(key, state);
    }
    state.take(count, now);
    return state;
  }

  /** A sweep looks at every bucket, so it is made once a second at most. */
  #hasRoom(now: number): boolean {
    if (this.#buckets.size < this.#maxBuckets) return true;
    if (now < this.#sweepAfter) return false;
    this.#sweepAfter = now + SWEEP_EVERY_MS;
    for (const buckets of [this.#buckets, this.#coarse]) {
      for (const [key, state] of buckets) if (state.isFull(now)) buckets.delete(key);
    }
    return this.#buckets.size < this.#maxBuckets;
  }

  /** Groups are counted apart by limit: one bucket has one. */
  #sharedBucket(coarseKey: string, limit: number, now: number): RateState {
    const key = `${limit} ${coarseKey}`;
    let state = this.#coarse.get(key);
    if (!state) {
      if (this.#coarse.size >= this.#maxBuckets) deleteOldest(this.#coarse);
      state = new RateState(limit, now, this.#windowMs);
      this.#coarse.set(key, state);
    }
    return state;
  }
}

/** A Map keeps the order in which its keys were set. */
function deleteOldest(buckets: Map<string, RateState>): void {
  for (const key of buckets.keys()) {
    buckets.delete(key);
    return;
  }
}
