import { isHttps } from "../../../config/public-url.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Bucket } from "../../../core/limits/bucket.ts";
import { RateLimiter, requireAllowed } from "../../../http/limits/rate-limiter.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { addressGroup, coarseAddressGroup } from "../../../http/server/headers.ts";
import type { LiveSettings } from "../../../http/server/live-settings.ts";
import type { Context } from "../../../module/feature.ts";
import { WIDE_NETWORK_FACTOR } from "./login-backoff.ts";

export type AuthContext = Context<"accounts" | "users" | "devUserId" | "pusherRegistry" | "oidc">;

/** Counted separately: requests for mails never use up the attempts of logins. */
type Purpose = "login" | "mail";

/**
 * The limits `rateLimit.auth` and `rateLimit.authName` per minute: attempts by address, and failed
 * logins by name, existing or not. A pair of name and address with a recent login is counted
 * separately, so that strangers cannot use up its attempts.
 */
export class AuthLimits {
  readonly #limiter: RateLimiter;
  readonly #settings: AuthContext["settings"];

  constructor({ accounts, clock, settings }: Pick<AuthContext, "accounts" | "clock" | "settings">) {
    this.#limiter = new RateLimiter(clock);
    this.#settings = settings;
    accounts.backoff.clearsAlso((names) => this.#clear(names));
  }

  /** Counts an address's attempt: IPv6 by /64, with a higher limit by /48. @throws RATE_LIMITED */
  take(exchange: Exchange, purpose: Purpose): void {
    const { enabled, auth } = this.#settings.rateLimit;
    if (!enabled) return;
    const address = exchange.clientAddress;
    const wide = coarseAddressGroup(address);
    if (address.includes(":")) this.#takeOne(exchange, `${purpose} wide:${wide}`, auth * WIDE_NETWORK_FACTOR);
    this.#takeOne(exchange, `${purpose} ip:${addressGroup(address)}`, auth, `ip:${wide}`);
  }

  /**
   * Counts a login. The `RateLimit-*` fields of the answer show the closer limit.
   * @param isKnown whether this name has recently logged in from this address.
   * @returns a function to call after a success: names count failures only. @throws RATE_LIMITED
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
    return () => ofName.refund(1);
  }

  #clear(names: readonly string[] | undefined): void {
    if (names === undefined) this.#limiter.clear();
    else
      this.#limiter.forget((key) => names.some((name) => key === `name:${name}` || key.startsWith(`pair:${name}\t`)));
  }

  #takeOne(exchange: Exchange, key: string, limit: number, coarseKey = ""): Bucket {
    const state = this.#limiter.take(key, limit, 1, coarseKey);
    exchange.rate = state;
    requireAllowed(state, "Too many attempts");
    return state;
  }
}

/** The value of a cookie; undefined without one. */
export function cookieOf(exchange: Exchange, wanted: string): string | undefined {
  for (const part of exchange.header("cookie").split(";")) {
    const [name, value] = part.trim().split("=", 2);
    if (name === wanted && value) return value;
  }
  return undefined;
}

/** Prefix of a token in a session cookie, so that the next refresh sets a session cookie too. */
const UNTIL_BROWSER_ENDS = "~";

/** The cookie of a refresh token (docs/security.md). Only refresh and logout read it. */
export class RefreshCookie {
  readonly #settings: Pick<LiveSettings, "current">;

  constructor(settings: Pick<LiveSettings, "current">) {
    this.#settings = settings;
  }

  /** With https the prefix keeps other hosts from setting it (RFC 6265bis 4.1.3.2). */
  get #name(): string {
    return isHttps(this.#settings.current) ? "__Host-prism_refresh" : "prism_refresh";
  }

  get #attributes(): string {
    return `HttpOnly; SameSite=Strict; Path=/${isHttps(this.#settings.current) ? "; Secure" : ""}`;
  }

  read(exchange: Exchange): string | undefined {
    return this.#value(exchange)?.replace(UNTIL_BROWSER_ENDS, "");
  }

  /** Whether the request has a session cookie. */
  endsWithBrowser(exchange: Exchange): boolean {
    return this.#value(exchange)?.startsWith(UNTIL_BROWSER_ENDS) ?? false;
  }

  #value(exchange: Exchange): string | undefined {
    return cookieOf(exchange, this.#name);
  }

  /** @param endsWithBrowser sets a session cookie, which the browser deletes when it closes. */
  set(token: string, maxAgeMs: number, endsWithBrowser = false): string {
    if (endsWithBrowser) return `${this.#name}=${UNTIL_BROWSER_ENDS}${token}; ${this.#attributes}`;
    return `${this.#name}=${token}; Max-Age=${Math.max(0, Math.floor(maxAgeMs / 1000))}; ${this.#attributes}`;
  }

  clear(): string {
    return `${this.#name}=; Max-Age=0; ${this.#attributes}`;
  }
}

/**
 * A request authenticated by a cookie must come from an allowed page (docs/security.md; the headers
 * are defined in the Fetch standard). The own origin comes from the configuration, never from
 * `Host`. Clients that are not browsers send neither header and pass.
 * @throws ORIGIN_REFUSED
 */
export function requireOwnOrigin(exchange: Exchange, allowsOrigin: (origin: string) => boolean): void {
  const origin = exchange.header("origin");
  if (origin !== "") {
    if (allowsOrigin(origin)) return;
    throw originRefused();
  }
  const site = exchange.header("sec-fetch-site");
  if (site === "cross-site" || site === "same-site") throw originRefused();
}

function originRefused(): PrismError {
  return new PrismError("ORIGIN_REFUSED", "Pages of this origin may not use the cookie; add it to cors.origins");
}
