import { createHash } from "node:crypto";
import { decodeProtectedHeader, errors, type JWTHeaderParameters, jwtVerify, SignJWT } from "jose";
import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
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

const ISSUER = "prism";
/** For tokens from before the clock was set back; one that was far ahead must not leave lasting tokens. */
const CLOCK_SET_BACK_S = 3600;
const CLOCK_SKEW_S = 5;

export interface AccessClaims {
  readonly userId: string;
  /** The token's session; null for a token without one. */
  readonly sessionId: string | null;
  /** Epoch ms. */
  readonly expiresAt: number;
}

export interface AccessTokenOptions {
  readonly secret: string;
  /** Former secrets: tokens signed with them stay valid until they expire. */
  readonly previousSecrets?: readonly string[];
  readonly audience: string;
  readonly expiresMs: number;
  readonly clock: Clock;
}

/**
 * Access tokens: JWT (RFC 7519) signed with HS256, with the algorithm pinned. Verified claims are
 * cached until they expire; the account and its rights are looked up at each request.
 */
export class AccessTokens {
  readonly #key: SigningKey;
  readonly #keys: ReadonlyMap<string, SigningKey>;
  readonly #options: AccessTokenOptions;
  readonly #checked: CheckedTokens<AccessClaims>;

  constructor(options: AccessTokenOptions) {
    this.#options = options;
    this.#key = signingKey(options.secret);
    const keys = [this.#key, ...(options.previousSecrets ?? []).map(signingKey)];
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    const read = (token: string) => this.#claimsOf(token);
    // As many as there are requests: a check takes less time than what else they do.
    this.#checked = new CheckedTokens({ read, maxRunning: Number.POSITIVE_INFINITY, clock: options.clock });
  }

  /** @param latest epoch ms, the end of the session */
  async issue(
    userId: string,
    sessionId: string | null = null,
    { expiresMs = this.#options.expiresMs, latest = Number.POSITIVE_INFINITY } = {},
  ): Promise<{ token: string; expiresAt: number }> {
    const now = this.#options.clock.now();
    const expiresAt = Math.min(now + expiresMs, latest);
    const exp = Math.floor(expiresAt / 1000);
    const token = await new SignJWT(sessionId === null ? {} : { sid: sessionId })
      .setProtectedHeader({ alg: "HS256", kid: this.#key.id, typ: "JWT" })
      .setIssuer(ISSUER)
      .setAudience(this.#options.audience)
      .setSubject(userId)
      .setJti(uuidv7())
      .setIssuedAt(Math.floor(now / 1000))
      .setExpirationTime(exp)
      .sign(this.#key.bytes);
    // Its first socket need not wait for a check: a later upgrade has no headers of ours.
    this.#checked.add(token, { userId, sessionId, expiresAt: exp * 1000 });
    return { token, expiresAt };
  }

  /** Whether the token claims Prism's own key; it may still be invalid. */
  isOwn(token: string): boolean {
    try {
      return this.#keys.has(decodeProtectedHeader(token).kid ?? "");
    } catch {
      return false;
    }
  }

  /** @throws TOKEN_EXPIRED, TOKEN_INVALID; OVERLOADED before {@link prepare} has verified the token */
  verify(token: string): AccessClaims {
    const claims = this.#checked.known(token);
    if (claims) return claims;
    throw this.isOwn(token) ? overloaded("The token is being checked") : invalid();
  }

  /** Verifies a token, for `verify`; null if that is done, or it has none of our keys. */
  prepare(token: string): (() => Promise<void>) | null {
    return !this.#checked.has(token) && this.isOwn(token) ? () => this.#checked.check(token) : null;
  }

  /** The claims of a token that is ours, and valid for us and now (RFC 7519 section 4.1). */
  async #claimsOf(token: string): Promise<AccessClaims> {
    if (!hasCanonicalSignature(token)) throw invalid();
    const now = this.#options.clock.now();
    const keyOf = ({ kid, crit }: JWTHeaderParameters): Uint8Array => {
      const key = this.#keys.get(kid ?? "");
      if (!key || crit !== undefined) throw invalid();
      return key.bytes;
    };
    const { payload } = await jwtVerify(token, keyOf, {
      algorithms: ["HS256"],
      issuer: ISSUER,
      audience: this.#options.audience,
      requiredClaims: ["sub", "jti", "iat", "exp"],
      currentDate: new Date(now),
      clockTolerance: CLOCK_SKEW_S,
    }).catch((error: unknown) => {
      throw error instanceof errors.JWTExpired ? expired() : invalid();
    });
    const { sub, sid, jti, iat = Number.POSITIVE_INFINITY, exp = 0 } = payload;
    if (typeof sub !== "string" || typeof jti !== "string") throw invalid();
    if (sid !== undefined && typeof sid !== "string") throw invalid();
    const nowS = Math.floor(now / 1000);
    if (iat > nowS + CLOCK_SET_BACK_S) throw invalid();
    // No skew: this clock set it, and live connections end at this time.
    if (exp <= nowS) throw expired();
    return { userId: sub, sessionId: sid ?? null, expiresAt: exp * 1000 };
  }
}

interface SigningKey {
  readonly id: string;
  readonly bytes: Uint8Array;
}

function signingKey(secret: string): SigningKey {
  const bytes = new TextEncoder().encode(secret);
  const id = createHash("sha256").update("prism-kid").update(bytes).digest("base64url").slice(0, 8);
  return { id, bytes };
}

function expired(): PrismError {
  return new PrismError("TOKEN_EXPIRED", "The access token has expired");
}

function invalid(): PrismError {
  return new PrismError("TOKEN_INVALID", "The access token is not valid");
}
