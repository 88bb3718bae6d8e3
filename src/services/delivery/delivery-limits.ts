import type { Clock } from "../../base/clock.ts";
import type { Config } from "../../config/load.ts";

const MINUTE_MS = 60_000;
/** What would have to wait longer is merged. */
export const MAX_WAIT_MS = 5 * MINUTE_MS;
/** Users that are kept in mind; of more, those whose bucket has been untouched longest are taken to be full. */
const MAX_USERS = 50_000;

/**
 * Token buckets of what may leave the program (contract 7, Rate limits): one per user, one for all. Whoever finds none takes one of the future
 * and waits for it. In memory: after a restart the buckets are full.
 */
export class DeliveryLimits {
  readonly #clock: Clock;
  readonly #settings: () => Config["delivery"];
  readonly #users = new Map<string, number>();
  #allFullAt = 0;

  constructor(clock: Clock, settings: () => Config["delivery"]) {
    this.#clock = clock;
    this.#settings = settings;
  }

  /** Takes a token for one notification of a user. @returns how long to wait for it; null when that would be too long, and none was taken. */
  take(userId: string): number | null {
    const { perUser, perUserBurst, global } = this.#settings();
    // Time that passes, whatever the clock is set to.
    const now = this.#clock.elapsed();
    const own = next(this.#users.get(userId) ?? 0, now, perUser, perUserBurst);
    const all = next(this.#allFullAt, now, global, global);
    const waitMs = Math.max(own.waitMs, all.waitMs);
    if (waitMs > MAX_WAIT_MS) return null;
    this.#allFullAt = all.fullAt;
    this.#users.delete(userId);
    this.#users.set(userId, own.fullAt);
    if (this.#users.size > MAX_USERS) this.#forget(now);
    return waitMs;
  }

  #forget(now: number): void {
    for (const [userId, fullAt] of this.#users) if (fullAt <= now) this.#users.delete(userId);
    for (const userId of this.#users.keys()) {
      if (this.#users.size <= MAX_USERS) return;
      this.#users.delete(userId);
    }
  }
}

/** A bucket as one number, the instant at which it is full again: a token taken moves it on by the time that a token takes to come. */
function next(fullAt: number, now: number, perMinute: number, burst: number) {
  const tokenMs = MINUTE_MS / perMinute;
  const after = Math.max(fullAt, now) + tokenMs;
  return { fullAt: after, waitMs: Math.max(0, Math.ceil(after - now - burst * tokenMs)) };
}
