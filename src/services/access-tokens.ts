import { createHash } from "node:crypto";
import { errors, jwtVerify, SignJWT } from "jose";
import type { Clock } from "../base/clock.ts";
import { PrismError } from "../base/errors.ts";
import { uuidv7 } from "../base/ids.ts";
import { sha256Hex } from "../base/tokens.ts";
import { TtlCache } from "../base/ttl-cache.ts";

const ISSUER = "prism";
const CLOCK_SKEW_S = 5;
const CACHE_ENTRIES = 50_000;

export interface AccessClaims {
  readonly userId: string;
  /** Epoch ms. */
  readonly expiresAt: number;
}

export interface AccessTokenOptions {
  readonly secret: string;
  readonly audience: string;
  readonly expiresMs: number;
  readonly clock: Clock;
}

/**
 * Access tokens: JWT (RFC 7519) signed with HS256, the algorithm pinned. Claims that were verified once are kept until they end, by the
 * token's SHA-256: what may change (the account, its rights) is looked up at each request anyway.
 */
export class AccessTokens {
  readonly #key: Uint8Array;
  readonly #keyId: string;
  readonly #options: AccessTokenOptions;
  readonly #verified: TtlCache<string, AccessClaims>;

  constructor(options: AccessTokenOptions) {
    this.#options = options;
    this.#key = new TextEncoder().encode(options.secret);
    this.#keyId = createHash("sha256").update("prism-kid").update(this.#key).digest("base64url").slice(0, 8);
    this.#verified = new TtlCache({ maxEntries: CACHE_ENTRIES, ttlMs: 86_400_000, clock: options.clock });
  }

  async issue(userId: string): Promise<{ token: string; expiresAt: number }> {
    const now = this.#options.clock.now();
    const expiresAt = now + this.#options.expiresMs;
    const token = await new SignJWT({})
      .setProtectedHeader({ alg: "HS256", kid: this.#keyId, typ: "JWT" })
      .setIssuer(ISSUER)
      .setAudience(this.#options.audience)
      .setSubject(userId)
      .setJti(uuidv7())
      .setIssuedAt(Math.floor(now / 1000))
      .setExpirationTime(Math.floor(expiresAt / 1000))
      .sign(this.#key);
    return { token, expiresAt };
  }

  /** @returns at once for a token that was verified before. @throws TOKEN_EXPIRED, TOKEN_INVALID */
  verify(token: string): AccessClaims | Promise<AccessClaims> {
    const hash = sha256Hex(token);
    const claims = this.#verified.get(hash);
    if (claims && claims.expiresAt > this.#options.clock.now()) return claims;
    return this.#verify(token, hash);
  }

  async #verify(token: string, hash: string): Promise<AccessClaims> {
    const { clock, audience } = this.#options;
    try {
      const { payload, protectedHeader } = await jwtVerify(token, this.#key, {
        algorithms: ["HS256"],
        issuer: ISSUER,
        audience,
        clockTolerance: CLOCK_SKEW_S,
        currentDate: new Date(clock.now()),
        requiredClaims: ["sub", "exp", "iat", "jti"],
      });
      if (protectedHeader.kid !== this.#keyId) throw new PrismError("TOKEN_INVALID", "The access token is not valid");
      const issuedAt = Number(payload.iat);
      if (issuedAt > clock.now() / 1000 + CLOCK_SKEW_S)
        throw new PrismError("TOKEN_INVALID", "The access token is not valid yet");
      const claims = { userId: String(payload.sub), expiresAt: Number(payload.exp) * 1000 };
      this.#verified.set(hash, claims, claims.expiresAt);
      return claims;
    } catch (error) {
      if (error instanceof PrismError) throw error;
      if (error instanceof errors.JWTExpired) throw new PrismError("TOKEN_EXPIRED", "The access token has expired");
      throw new PrismError("TOKEN_INVALID", "The access token is not valid");
    }
  }
}
