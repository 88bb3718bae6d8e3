import { PrismError } from "../../base/errors.ts";
import { addressGroup, coarseAddressGroup } from "../../http/client-address.ts";
import type { Exchange } from "../../http/exchange.ts";
import { RateLimiter, type RateState } from "../../http/rate-limiter.ts";
import type { CoreServices } from "../../services/module.ts";

/** The limit `auth`: attempts a minute by address, and by the name of the account that is meant, existing or not (contract 12.4). */
export class AuthLimits {
  readonly #limiter: RateLimiter;
  readonly #settings: CoreServices["system"]["settings"];

  constructor({ clock, system }: CoreServices) {
    this.#limiter = new RateLimiter(clock);
    this.#settings = system.settings;
  }

  /** Counts an attempt. The answer's `RateLimit-*` fields tell of the limit that is nearer. @throws RATE_LIMITED */
  take(exchange: Exchange, name?: string): void {
    const { enabled, auth, authName } = this.#settings.rateLimit;
    if (!enabled) return;
    const address = exchange.clientAddress;
    const ofAddress = this.#takeOne(exchange, `ip:${addressGroup(address)}`, auth, `ip:${coarseAddressGroup(address)}`);
    if (name === undefined) return;
    const ofName = this.#takeOne(exchange, `name:${name}`, authName, "names");
    exchange.rate = ofName.remaining < ofAddress.remaining ? ofName : ofAddress;
  }

  #takeOne(exchange: Exchange, key: string, limit: number, coarseKey: string): RateState {
    const state = this.#limiter.take(key, limit, 1, coarseKey);
    exchange.rate = state;
    if (!state.isAllowed) throw new PrismError("RATE_LIMITED", "Too many attempts", { retryAfterMs: state.waitMs(1) });
    return state;
  }
}
