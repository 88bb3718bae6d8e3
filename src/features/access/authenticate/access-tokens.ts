import { createHash } from "node:crypto";
import { decodeProtectedHeader, errors, type JWTHeaderParameters, jwtVerify, SignJWT } from "jose";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { Clock } from "../../../core/time/clock.ts";
import { CheckedTokens, hasCanonicalSignature, overloaded } from "./checked-tokens.ts";

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

  async issue(
    userId: string,
    sessionId: string | null = null,
    expiresMs = this.#options.expiresMs,
  ): Promise<{ token: string; expiresAt: number }> {
    const now = this.#options.clock.now();
    const expiresAt = now + expiresMs;
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
