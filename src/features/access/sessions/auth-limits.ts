import type { Bucket } from "../../../core/bucket.ts";
import { addressGroup, coarseAddressGroup } from "../../../http/client-address.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { RateLimiter, requireAllowed } from "../../../http/rate-limiter.ts";
import { WIDE_NETWORK_FACTOR } from "../accounts/login-backoff.ts";
import type { AuthContext } from "./context.ts";

/** What is counted apart: asking for mails never takes a login's room. */
type Purpose = "login" | "mail";

/**
 * The limits `rateLimit.auth` and `rateLimit.authName`, a minute: attempts by address, and failed logins by name, existing or not. A pair of
 * name and address that has logged in lately is counted by itself, so that strangers cannot use its attempts up.
 */
export class AuthLimits {
  readonly #limiter: RateLimiter;
  readonly #settings: AuthContext["settings"];

  constructor({ clock, settings }: AuthContext) {
    this.#limiter = new RateLimiter(clock);
    this.#settings = settings;
  }

  /** Counts an attempt of an address; IPv6 by /64, and with a wider limit by /48. @throws RATE_LIMITED */
  take(exchange: Exchange, purpose: Purpose): void {
    const { enabled, auth } = this.#settings.rateLimit;
    if (!enabled) return;
    const address = exchange.clientAddress;
    const wide = coarseAddressGroup(address);
    if (address.includes(":")) this.#takeOne(exchange, `${purpose} wide:${wide}`, auth * WIDE_NETWORK_FACTOR);
    this.#takeOne(exchange, `${purpose} ip:${addressGroup(address)}`, auth, `ip:${wide}`);
  }

  /**
   * Counts a login. The `RateLimit-*` fields of the answer are those of the nearer limit.
   * @param isKnown whether this name has logged in from this address lately.
   * @returns to be called after a success: names count failures only. @throws RATE_LIMITED
   */
  takeLogin(exchange: Exchange, name: string, isKnown: boolean): () => void {
    const { enabled, authName } = this.#settings.rateLimit;
    if (!enabled) return () => undefined;
    if (isKnown) {
      const pair = `pair:${name}\t${addressGroup(exchange.clientAddress)}`;
      this.#takeOne(exchange, pair, authName, "pairs");
      return () => undefined;
    }
    this.take(exchange, "login");
    const ofAddress = exchange.rate;
    const ofName = this.#takeOne(exchange, `name:${name}`, authName, "names");
    if (ofAddress && ofAddress.remaining <= ofName.remaining) exchange.rate = ofAddress;
    return () => ofName.giveBack(1);
  }

  #takeOne(exchange: Exchange, key: string, limit: number, coarseKey = ""): Bucket {
    const state = this.#limiter.take(key, limit, 1, coarseKey);
    exchange.rate = state;
    requireAllowed(state, "Too many attempts");
    return state;
  }
}
