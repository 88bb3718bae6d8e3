import { PrismError } from "../../core/errors.ts";
import { Bucket } from "../../core/limits/bucket.ts";
import { type Clock, MINUTE_MS } from "../../core/time/clock.ts";

const MAX_BUCKETS = 200_000;
const SWEEP_EVERY_MS = 1000;

/** `RateLimit-*` header lines (draft-ietf-httpapi-ratelimit-headers-07, one field each). */
export function rateLimitLines(bucket: Bucket): string {
  const reset = Math.ceil(bucket.waitMs(bucket.limit) / 1000);
  const remaining = Math.max(0, Math.floor(bucket.remaining));
  return `RateLimit-Limit: ${bucket.limit}\r\nRateLimit-Remaining: ${remaining}\r\nRateLimit-Reset: ${reset}\r\n`;
}

/** @throws RATE_LIMITED when the last take, of `count` tokens, was refused. */
export function requireAllowed(bucket: Bucket, message: string, count = 1): void {
  if (!bucket.isAllowed) throw new PrismError("RATE_LIMITED", message, { retryAfterMs: bucket.waitMs(count) });
}

/**
 * Token buckets by caller, in memory. Bounded: when the table is full, full buckets are dropped;
 * otherwise the oldest one is, and the newcomer is also counted with its coarse group, so that
 * eviction gives a caller no more than its group's limit. Map keys are hashed with a per-process
 * seed, so clients cannot choose colliding keys.
 */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  readonly #coarse = new Map<string, Bucket>();
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
   * @param coarseKey the group that also counts a newcomer while the table is full.
   * @returns the bucket, from which `count` was taken if possible; see its `isAllowed`.
   */
  take(key: string, limit: number, count = 1, coarseKey = ""): Bucket {
    // Elapsed time: a clock set back must not block callers.
    const now = this.#clock.elapsed();
    let state = this.#buckets.get(key);
    if (!state && !this.#hasRoom(now)) {
      const shared = this.#sharedBucket(coarseKey, limit, now);
      shared.take(count, now);
      if (!shared.isAllowed) return shared;
      deleteOldest(this.#buckets);
    }
    if (state?.limit !== limit) {
      state = new Bucket(limit, this.#windowMs, now);
      this.#buckets.set(key, state);
    }
    state.take(count, now);
    return state;
  }

  /** Resets the limits of all callers. */
  clear(): void {
    this.#buckets.clear();
    this.#coarse.clear();
  }

  /** Resets the limits of some callers; visits all of them. */
  forget(isMeant: (key: string) => boolean): void {
    for (const key of this.#buckets.keys()) if (isMeant(key)) this.#buckets.delete(key);
  }

  /** A sweep visits every bucket, so it runs at most once a second. */
  #hasRoom(now: number): boolean {
    if (this.#buckets.size < this.#maxBuckets) return true;
    if (now < this.#sweepAfter) return false;
    this.#sweepAfter = now + SWEEP_EVERY_MS;
    for (const buckets of [this.#buckets, this.#coarse]) {
      for (const [key, state] of buckets) if (state.refill(now).isFull) buckets.delete(key);
    }
    return this.#buckets.size < this.#maxBuckets;
  }

  /** Groups are counted separately by limit, because a bucket has one. */
  #sharedBucket(coarseKey: string, limit: number, now: number): Bucket {
    const key = `${limit} ${coarseKey}`;
    let state = this.#coarse.get(key);
    if (!state) {
      if (this.#coarse.size >= this.#maxBuckets) deleteOldest(this.#coarse);
      state = new Bucket(limit, this.#windowMs, now);
      this.#coarse.set(key, state);
    }
    return state;
  }
}

/** A Map keeps insertion order. */
function deleteOldest(buckets: Map<string, Bucket>): void {
  for (const key of buckets.keys()) {
    buckets.delete(key);
    return;
  }
}
