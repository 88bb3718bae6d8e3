import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { TtlCache } from "../../../core/limits/ttl-cache.ts";
import { type Clock, DAY_MS } from "../../../core/time/clock.ts";

const CACHE_ENTRIES = 50_000;
const MAX_REFUSED = 10_000;
const REFUSED_MS = 10_000;
const RETRY_AFTER_MS = 1000;

/** The caller tries again. */
export function overloaded(message: string): PrismError {
  return new PrismError("OVERLOADED", message, { retryAfterMs: RETRY_AFTER_MS });
}

interface CheckedTokensOptions<T> {
  /** @throws TOKEN_INVALID, TOKEN_EXPIRED; OVERLOADED if it cannot be said now */
  readonly read: (token: string) => Promise<T>;
  /** How many are checked at a time. */
  readonly maxRunning: number;
  readonly clock: Clock;
}

/**
 * A cache of verified tokens, by their SHA-256. Claims are kept until the token expires, a refusal
 * for some seconds. Accounts and sessions are looked up at each request, not here.
 */
export class CheckedTokens<T extends { readonly expiresAt: number }> {
  readonly #options: CheckedTokensOptions<T>;
  readonly #verified: TtlCache<string, T>;
  readonly #refused: TtlCache<string, PrismError>;
  readonly #running = new Map<string, Promise<void>>();
  /** The result of a check that began before {@link forget} is not kept. */
  #epoch = 0;
  /** A request asks for its token more than once. */
  #last = { token: "", hash: "" };

  constructor(options: CheckedTokensOptions<T>) {
    this.#options = options;
    const { clock } = options;
    this.#verified = new TtlCache({ maxEntries: CACHE_ENTRIES, ttlMs: DAY_MS, clock });
    this.#refused = new TtlCache({ maxEntries: MAX_REFUSED, ttlMs: REFUSED_MS, clock });
  }

  forget(): void {
    this.#epoch++;
    this.#verified.clear();
    this.#refused.clear();
  }

  /**
   * The result of an earlier check; undefined if {@link check} must run first.
   * @throws TOKEN_INVALID, TOKEN_EXPIRED
   */
  known(token: string): T | undefined {
    const hash = this.#hashOf(token);
    const claims = this.#verified.get(hash);
    if (claims && claims.expiresAt > this.#options.clock.now()) return claims;
    const refusal = this.#refused.get(hash);
    if (refusal) throw refusal;
    return undefined;
  }

  /** A token that needs no check: it was signed here just now. */
  add(token: string, claims: T): void {
    this.#verified.set(sha256Hex(token), claims, claims.expiresAt);
  }

  /** Whether {@link known} has a result, good or bad. */
  has(token: string): boolean {
    try {
      return this.known(token) !== undefined;
    } catch {
      return true;
    }
  }

  /**
   * Verifies a token; afterwards {@link known} has the result.
   * @throws OVERLOADED if it cannot be said now, or too many tokens are checked
   */
  check(token: string): Promise<void> {
    const hash = this.#hashOf(token);
    const running = this.#running.get(hash);
    if (running) return running;
    if (this.#running.size >= this.#options.maxRunning)
      return Promise.reject(overloaded("Too many tokens are being checked"));
    const started = this.#check(token, hash).finally(() => this.#running.delete(hash));
    this.#running.set(hash, started);
    return started;
  }

  async #check(token: string, hash: string): Promise<void> {
    const epoch = this.#epoch;
    try {
      const claims = await this.#options.read(token);
      if (epoch === this.#epoch) this.#verified.set(hash, claims, claims.expiresAt);
    } catch (error) {
      if (!(error instanceof PrismError) || error.code === "OVERLOADED") throw error;
      if (epoch === this.#epoch) this.#refused.set(hash, error);
    }
  }

  #hashOf(token: string): string {
    if (this.#last.token !== token) this.#last = { token, hash: sha256Hex(token) };
    return this.#last.hash;
  }
}

/** Whether the signature is written in the one canonical way: other spellings would be other tokens to a cache. */
export function hasCanonicalSignature(token: string): boolean {
  const signature = token.slice(token.lastIndexOf(".") + 1);
  return Buffer.from(signature, "base64url").toString("base64url") === signature;
}
