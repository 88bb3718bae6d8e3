import type { Config } from "../../config/load.ts";
import { Bucket } from "../../core/limits/bucket.ts";
import { recentlyUsed } from "../../core/limits/ttl-cache.ts";
import { type Clock, MINUTE_MS } from "../../core/time/clock.ts";

/** Notifications with a longer wait are merged. */
export const MAX_WAIT_MS = 5 * MINUTE_MS;
/** Limit of buckets in memory; least recently used ones are dropped and count as full. */
const MAX_USERS = 50_000;

/**
 * Rate limits of notifications: one bucket per user, one for all. With an empty bucket the next
 * token is borrowed and waited for. In memory only: after a restart the buckets are full.
 */
export class DeliveryLimits {
  readonly #clock: Clock;
  readonly #settings: () => Config["delivery"];
  readonly #users = recentlyUsed<string, Bucket>(MAX_USERS);
  #all: Bucket | undefined;

  constructor(clock: Clock, settings: () => Config["delivery"]) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /**
   * Takes a token for one notification of a user. @returns the wait for it; null when that is too
   * long and none was taken.
   */
  take(userId: string): number | null {
    const { perUser, perUserBurst, global } = this.#settings();
    const now = this.#clock.elapsed();
    const own = refilled(this.#users.get(userId), perUserBurst, perUser, now);
    const all = refilled(this.#all, global, global, now);
    const waitMs = Math.ceil(Math.max(own.waitMs(1), all.waitMs(1)));
    if (waitMs > MAX_WAIT_MS) return null;
    own.borrow(1);
    all.borrow(1);
    this.#users.set(userId, own);
    this.#all = all;
    return waitMs;
  }
}

/** The refilled bucket; a new one if there is none or the settings changed. */
function refilled(bucket: Bucket | undefined, burst: number, perMinute: number, now: number): Bucket {
  const windowMs = (burst * MINUTE_MS) / perMinute;
  const isSame = bucket?.limit === burst && bucket.windowMs === windowMs;
  return isSame ? bucket.refill(now) : new Bucket(burst, windowMs, now);
}
