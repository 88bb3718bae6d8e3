import type { Config } from "../../config/load.ts";
import { Bucket } from "../../core/bucket.ts";
import type { Clock } from "../../core/clock.ts";
import { recentlyUsed } from "../../core/ttl-cache.ts";

const MINUTE_MS = 60_000;
/** What would have to wait longer is merged. */
export const MAX_WAIT_MS = 5 * MINUTE_MS;
/** Of more users, the buckets that were not used for longest count as full. */
const MAX_USERS = 50_000;

/**
 * The rates at which notifications are sent: one bucket per user, one for all. Where a bucket is
 * empty, its next token is taken and waited for. In memory: after a restart the buckets are full.
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
   * Takes a token for one notification of a user. @returns how long to wait for it; null when that
   * would be too long, and none was taken.
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

/** The bucket as it is now; another one where there is none yet, or a setting has changed. */
function refilled(bucket: Bucket | undefined, burst: number, perMinute: number, now: number): Bucket {
  const windowMs = (burst * MINUTE_MS) / perMinute;
  const isSame = bucket?.limit === burst && bucket.windowMs === windowMs;
  return isSame ? bucket.refill(now) : new Bucket(burst, windowMs, now);
}
