import { PrismError } from "../../base/errors.ts";
import type { Exchange } from "../../http/exchange.ts";
import { RateLimiter } from "../../http/rate-limiter.ts";
import type { CoreServices } from "../../services/module.ts";
import type { Trx } from "../../store/database.ts";

/** Messages of one sender in a minute (contract 8.7). */
const MESSAGES_PER_MINUTE = 60;

/** Counts the messages that were accepted, by sender: what is refused, or only repeated, costs nothing. */
export class SendingRate {
  readonly #services: CoreServices;
  readonly #limiter: RateLimiter;

  constructor(services: CoreServices) {
    this.#services = services;
    this.#limiter = new RateLimiter(services.clock);
  }

  /** Transactions stand in line, so nobody passes between the look and the count. @throws RATE_LIMITED */
  require(exchange: Exchange, senderId: string, trx: Trx): void {
    const { db, system } = this.#services;
    if (!system.settings.rateLimit.enabled) return;
    const state = this.#limiter.take(senderId, MESSAGES_PER_MINUTE, 0);
    exchange.rate = state;
    if (state.remaining < 1)
      throw new PrismError("RATE_LIMITED", "Too many messages", { retryAfterMs: state.waitMs(1) });
    db.afterCommit(trx, () => {
      exchange.rate = this.#limiter.take(senderId, MESSAGES_PER_MINUTE);
    });
  }
}
