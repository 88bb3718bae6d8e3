import { PrismError } from "../../core/errors.ts";
import type { Exchange } from "../../http/exchange.ts";
import { RateLimiter } from "../../http/rate-limiter.ts";
import type { Trx } from "../../store/database.ts";
import type { MessagesContext } from "./context.ts";

/** Messages of one sender in a minute (contract 8.7). */
const MESSAGES_PER_MINUTE = 60;

/** Counts the messages that were accepted, by sender: what is refused, or only repeated, costs nothing. */
export class SendingRate {
  readonly #context: MessagesContext;
  readonly #limiter: RateLimiter;
  /** Messages by sender that were let through and are not counted yet: their commit is under way. */
  readonly #pending = new Map<string, number>();

  constructor(context: MessagesContext) {
    this.#context = context;
    this.#limiter = new RateLimiter(context.clock);
  }

  /**
   * Runs the request that sends one message. @param send calls `require` in its transaction, once it is known that the message is a new one,
   * which throws RATE_LIMITED
   */
  async run<T>(exchange: Exchange, senderId: string, send: (require: (trx: Trx) => void) => Promise<T>): Promise<T> {
    let isPending = false;
    const settle = (): void => {
      if (isPending) this.#addPending(senderId, -1);
      isPending = false;
    };
    try {
      const sent = await send(() => {
        if (!this.#context.settings.rateLimit.enabled) return;
        this.#requireRoom(exchange, senderId);
        this.#addPending(senderId, 1);
        isPending = true;
      });
      // In one turn: what was pending is spent.
      if (isPending) exchange.rate = this.#limiter.take(senderId, MESSAGES_PER_MINUTE);
      return sent;
    } finally {
      settle();
    }
  }

  /** @throws RATE_LIMITED */
  #requireRoom(exchange: Exchange, senderId: string): void {
    const state = this.#limiter.take(senderId, MESSAGES_PER_MINUTE, 0);
    exchange.rate = state;
    if (state.remaining - (this.#pending.get(senderId) ?? 0) < 1)
      throw new PrismError("RATE_LIMITED", "Too many messages", { retryAfterMs: Math.max(1, state.waitMs(1)) });
  }

  #addPending(senderId: string, count: number): void {
    const pending = (this.#pending.get(senderId) ?? 0) + count;
    if (pending === 0) this.#pending.delete(senderId);
    else this.#pending.set(senderId, pending);
  }
}
