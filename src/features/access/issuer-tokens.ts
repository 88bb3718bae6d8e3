import { constants, createHmac, type KeyObject, timingSafeEqual, verify } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, type JWTPayload } from "jose";
import { type Clock, DAY_MS } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { IssuerAlgorithm } from "../../core/issuer-algorithms.ts";
import { sha256Hex } from "../../core/tokens.ts";
import { TtlCache } from "../../core/ttl-cache.ts";
import type { IssuerKeys } from "./issuer-keys.ts";

const CACHE_ENTRIES = 50_000;
const RETRY_AFTER_MS = 1000;
/** Of access and ID tokens (RFC 9068 section 2.1); the same issuer signs other things too, such as logout tokens. */
const TYPES: readonly unknown[] = ["jwt", "at+jwt", "application/at+jwt"];

/** What a token of the issuer says of its user. */
export interface IssuerIdentity {
  /** Content of the claim that names the user. */
  readonly ref: string;
  readonly name: string | undefined;
  /** An address that the issuer has confirmed. */
  readonly email: string | undefined;
  /** Epoch ms. */
  readonly expiresAt: number;
}

export interface IssuerTokensOptions {
  /** Absent: tokens carry no `iss`. */
  readonly issuer: string | undefined;
  /** Absent: tokens carry no `aud`. */
  readonly audience: string | undefined;
  readonly userClaim: string;
  /** Whether the claim is a mail address, which then must be confirmed. */
  readonly isUserEmail: boolean;
  readonly clockSkewMs: number;
  readonly clock: Clock;
  /** What signatures are checked with: one secret for HS256, or public keys for the algorithms. Never both. */
  readonly keys:
    | { readonly kind: "secret"; readonly secret: string }
    | { readonly kind: "jwks"; readonly jwks: IssuerKeys; readonly algorithms: readonly IssuerAlgorithm[] };
}

/**
 * Checks JWTs that another program signs (RFC 7519, RFC 8725). The header chooses among the configured keys and algorithms and nothing else: keys and
 * addresses in it are not looked at. Answers at once, for sockets are upgraded in the callback of their request.
 */
export class IssuerTokens {
  readonly #options: IssuerTokensOptions;
  readonly #verified: TtlCache<string, IssuerIdentity>;

  constructor(options: IssuerTokensOptions) {
    this.#options = options;
    this.#verified = new TtlCache({ maxEntries: CACHE_ENTRIES, ttlMs: DAY_MS, clock: options.clock });
  }

  /** The keys have changed: every token is checked again. */
  forget(): void {
    this.#verified.clear();
  }

  /** @throws TOKEN_INVALID, TOKEN_EXPIRED; OVERLOADED while the issuer's keys are fetched */
  verify(token: string): IssuerIdentity {
    const hash = sha256Hex(token);
    const known = this.#verified.get(hash);
    if (known && known.expiresAt > this.#options.clock.now()) return known;
    const identity = this.#identityOf(this.#signedPayload(token));
    this.#verified.set(hash, identity, identity.expiresAt);
    return identity;
  }

  #signedPayload(token: string): JWTPayload {
    const { header, payload } = decode(token);
    const { alg, kid, crit, typ } = header;
    const isTyped = typ === undefined || TYPES.includes(String(typ).toLowerCase());
    if (crit !== undefined || !isTyped || payload.iss !== this.#options.issuer) throw invalid();
    const dot = token.lastIndexOf(".");
    const signature = Buffer.from(token.slice(dot + 1), "base64url");
    if (signature.toString("base64url") !== token.slice(dot + 1)) throw invalid();
    if (!this.#isSigned(Buffer.from(token.slice(0, dot)), signature, alg, kid)) throw invalid();
    return payload;
  }

  #isSigned(data: Buffer, signature: Buffer, alg: string | undefined, kid: string | undefined): boolean {
    const { keys } = this.#options;
    if (keys.kind === "secret") {
      const expected = createHmac("sha256", keys.secret).update(data).digest();
      return alg === "HS256" && signature.length === expected.length && timingSafeEqual(signature, expected);
    }
    const algorithm = keys.algorithms.find((each) => each === alg);
    if (!algorithm) return false;
    const key = keys.jwks.find(kid, algorithm);
    if (key) return isSignedBy(key, algorithm, data, signature);
    if (!keys.jwks.askAgain()) return false;
    throw new PrismError("OVERLOADED", "The keys of the token's issuer are being fetched", {
      retryAfterMs: RETRY_AFTER_MS,
    });
  }

  /** What the payload claims, if it is for us and for now (RFC 7519 section 4.1). */
  #identityOf(payload: JWTPayload): IssuerIdentity {
    const { audience, clock, clockSkewMs, userClaim, isUserEmail, keys } = this.#options;
    const { aud, exp, nbf, iat } = payload;
    const isForUs = audience === undefined ? aud === undefined : [aud].flat().includes(audience);
    if (!isForUs) throw invalid("its audience is another one");
    if (typeof exp !== "number") throw invalid("it has no end");
    const now = clock.now();
    for (const start of [nbf, iat])
      if (start !== undefined && !(Number(start) * 1000 <= now + clockSkewMs)) throw invalid("it has not begun");
    if (!(exp * 1000 > now - clockSkewMs)) throw new PrismError("TOKEN_EXPIRED", "The access token has expired");
    const isConfirmed = payload["email_verified"] === true;
    // A program that shares its secret knows its addresses; an issuer on the Internet lets people type them.
    const mayOmit = keys.kind === "secret" && payload["email_verified"] === undefined;
    if (isUserEmail && !isConfirmed && !mayOmit) throw invalid("its mail address is not confirmed");
    const ref = textOf(payload[userClaim]);
    if (ref === undefined) throw invalid("it names no user");
    const email = isConfirmed ? textOf(payload["email"]) : undefined;
    return { ref, email, name: textOf(payload["name"]), expiresAt: exp * 1000 };
  }
}

function isSignedBy(key: KeyObject, algorithm: IssuerAlgorithm, data: Buffer, signature: Buffer): boolean {
  try {
    if (algorithm === "EdDSA") return verify(null, data, key, signature);
    const hash = `sha${algorithm.slice(2)}`;
    if (algorithm.startsWith("ES")) return verify(hash, data, { key, dsaEncoding: "ieee-p1363" }, signature);
    if (algorithm.startsWith("RS")) return verify(hash, data, key, signature);
    const saltLength = constants.RSA_PSS_SALTLEN_DIGEST;
    return verify(hash, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }, signature);
  } catch {
    return false;
  }
}

function decode(token: string) {
  try {
    return { header: decodeProtectedHeader(token), payload: decodeJwt(token) };
  } catch {
    throw invalid();
  }
}

/** Programs number their users: a whole number is its digits. */
function textOf(claim: unknown): string | undefined {
  if (Number.isSafeInteger(claim)) return String(claim);
  return typeof claim === "string" && claim !== "" && claim.length <= 255 ? claim : undefined;
}

/** @param reason said only of what the issuer has signed. */
function invalid(reason?: string): PrismError {
  const message = "The access token is not valid";
  return new PrismError("TOKEN_INVALID", reason === undefined ? message : `${message}: ${reason}`);
}
