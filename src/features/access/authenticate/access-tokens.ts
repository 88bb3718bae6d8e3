import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, type JWTPayload, SignJWT } from "jose";
import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { TtlCache } from "../../../core/limits/ttl-cache.ts";
import { type Clock, DAY_MS } from "../../../core/time/clock.ts";

const ISSUER = "prism";
/** For tokens from before the clock was set back; one that was far ahead must not leave lasting tokens. */
const CLOCK_SET_BACK_S = 3600;
const CLOCK_SKEW_S = 5;
const CACHE_ENTRIES = 50_000;

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
 * cached until they expire, by the token's SHA-256; the account and its rights are looked up at
 * each request.
 */
export class AccessTokens {
  readonly #key: SigningKey;
  readonly #keys: ReadonlyMap<string, SigningKey>;
  readonly #options: AccessTokenOptions;
  readonly #verified: TtlCache<string, AccessClaims>;

  constructor(options: AccessTokenOptions) {
    this.#options = options;
    this.#key = signingKey(options.secret);
    const keys = [this.#key, ...(options.previousSecrets ?? []).map(signingKey)];
    this.#keys = new Map(keys.map((key) => [key.id, key]));
    this.#verified = new TtlCache({ maxEntries: CACHE_ENTRIES, ttlMs: DAY_MS, clock: options.clock });
  }

  async issue(
    userId: string,
    sessionId: string | null = null,
    expiresMs = this.#options.expiresMs,
  ): Promise<{ token: string; expiresAt: number }> {
    const now = this.#options.clock.now();
    const expiresAt = now + expiresMs;
    const token = await new SignJWT(sessionId === null ? {} : { sid: sessionId })
      .setProtectedHeader({ alg: "HS256", kid: this.#key.id, typ: "JWT" })
      .setIssuer(ISSUER)
      .setAudience(this.#options.audience)
      .setSubject(userId)
      .setJti(uuidv7())
      .setIssuedAt(Math.floor(now / 1000))
      .setExpirationTime(Math.floor(expiresAt / 1000))
      .sign(this.#key.bytes);
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

  /** @throws TOKEN_EXPIRED, TOKEN_INVALID */
  verify(token: string): AccessClaims {
    const hash = sha256Hex(token);
    const known = this.#verified.get(hash);
    if (known && known.expiresAt > this.#options.clock.now()) return known;
    const claims = this.#claimsOf(this.#signedPayload(token));
    this.#verified.set(hash, claims, claims.expiresAt);
    return claims;
  }

  /**
   * The payload, if the signature is ours (RFC 7515 section 5.2). Uses node:crypto because it is
   * synchronous and jose is not: a WebSocket must be upgraded in the callback of its request
   * (uWebSockets issue 1928).
   */
  #signedPayload(token: string): JWTPayload {
    try {
      const { alg, kid, crit } = decodeProtectedHeader(token);
      const dot = token.lastIndexOf(".");
      const signature = Buffer.from(token.slice(dot + 1));
      const key = this.#keys.get(kid ?? "");
      if (!key || alg !== "HS256" || crit !== undefined) throw invalid();
      const expected = Buffer.from(createHmac("sha256", key.bytes).update(token.slice(0, dot)).digest("base64url"));
      if (signature.length === expected.length && timingSafeEqual(signature, expected)) return decodeJwt(token);
    } catch {
      // Not a JWT; the parser's message helps no caller.
    }
    throw invalid();
  }

  /** The payload's claims, if they are valid for us and now (RFC 7519 section 4.1). */
  #claimsOf({ iss, aud, sub, sid, jti, iat, exp, nbf }: JWTPayload): AccessClaims {
    const now = Math.floor(this.#options.clock.now() / 1000);
    const isForUs = iss === ISSUER && [aud].flat().includes(this.#options.audience);
    if (!isForUs || typeof sub !== "string" || typeof jti !== "string") throw invalid();
    if (sid !== undefined && typeof sid !== "string") throw invalid();
    if (typeof iat !== "number" || typeof exp !== "number") throw invalid();
    if (iat > now + CLOCK_SET_BACK_S || (nbf !== undefined && !(nbf <= now + CLOCK_SKEW_S))) throw invalid();
    // No skew: this clock set it, and live connections end at this time.
    if (exp <= now) throw new PrismError("TOKEN_EXPIRED", "The access token has expired");
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

function invalid(): PrismError {
  return new PrismError("TOKEN_INVALID", "The access token is not valid");
}
