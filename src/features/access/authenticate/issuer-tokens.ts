import { createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { compactVerify, decodeJwt, decodeProtectedHeader, type JWTPayload } from "jose";
import {
  isProxied,
  type OutgoingProxy,
  outgoingProxyOf,
  type ProxySettings,
  requestThrough,
  targetOf,
} from "../../../config/outgoing-proxy.ts";
import { PrismError } from "../../../core/errors.ts";
import { type IssuerAlgorithm, KEY_KIND_OF } from "../../../core/text/vocabulary.ts";
import { type Clock, DAY_MS } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import { CheckedTokens, hasCanonicalSignature, overloaded } from "./access-tokens.ts";

const MAX_BYTES = 262_144;
const MAX_KEYS = 64;
const TIMEOUT_MS = 5000;
const REFRESH_MS = 10 * 60_000;
/** Pause after a failure, and between two fetches for unknown keys. */
const PAUSE_MS = 30_000;
/** The last keys of an unreachable issuer stay valid this long. */
const STALE_MS = DAY_MS;
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;

interface IssuerKey {
  readonly id: string | undefined;
  readonly kind: string;
  /** The only algorithm the key set allows for the key. */
  readonly algorithm: string | undefined;
  readonly key: KeyObject;
}

interface IssuerKeysParts extends Uses<"clock" | "log"> {
  readonly url: string;
  readonly proxy: ProxySettings;
  /** Called when the keys have changed. */
  changed(): void;
}

/**
 * An issuer's public keys (JWKS, RFC 7517), fetched in the background so that no request waits for
 * the issuer: at the start, every ten minutes, and when a token names an unknown key, at most
 * twice a minute. While the issuer is unreachable its last keys are valid for a day.
 */
export class IssuerKeys {
  readonly #parts: IssuerKeysParts;
  readonly #closing = new AbortController();
  #keys: readonly IssuerKey[] = [];
  #text = "";
  #timer: NodeJS.Timeout | undefined;
  #isFetching = false;
  #hasFailed = false;
  /** By `clock.elapsed()`. */
  #begunAt = Number.NEGATIVE_INFINITY;
  #loadedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: IssuerKeysParts) {
    this.#parts = parts;
  }

  /** Fetches the keys for the first time, without delaying the start. */
  start(): void {
    void this.#refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#closing.abort();
  }

  /** @param id `kid` of the token; without one, the only suitable key is used. */
  find(id: string | undefined, algorithm: IssuerAlgorithm): KeyObject | undefined {
    if (this.#parts.clock.elapsed() - this.#loadedAt > STALE_MS) return undefined;
    const fitting = this.#keys.filter(
      (key) =>
        key.kind === KEY_KIND_OF[algorithm] &&
        (key.algorithm ?? algorithm) === algorithm &&
        (id === undefined || key.id === id),
    );
    return fitting.length === 1 ? fitting[0]?.key : undefined;
  }

  /** Fetches again for an unknown key. @returns false after a recent answer without that key */
  askAgain(): boolean {
    const isDue = this.#parts.clock.elapsed() - this.#begunAt >= PAUSE_MS;
    if (!this.#isFetching && isDue) void this.#refresh();
    return this.#isFetching || this.#hasFailed;
  }

  async #refresh(): Promise<void> {
    const { clock, log } = this.#parts;
    clearTimeout(this.#timer);
    this.#isFetching = true;
    this.#begunAt = clock.elapsed();
    try {
      this.#take(await fetchKeySet(this.#parts.url, this.#parts.proxy, this.#closing.signal));
      this.#loadedAt = clock.elapsed();
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed && !this.#closing.signal.aborted)
        log.warn({ err: error, url: this.#parts.url }, "cannot fetch the keys of the token issuer");
      this.#hasFailed = true;
    }
    this.#isFetching = false;
    if (this.#closing.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#refresh(), this.#hasFailed ? PAUSE_MS : REFRESH_MS);
    this.#timer.unref();
  }

  #take(text: string): void {
    if (text === this.#text) return;
    this.#keys = usableKeys(text);
    this.#text = text;
    this.#parts.log.info({ keys: this.#keys.length, url: this.#parts.url }, "loaded the keys of the token issuer");
    this.#parts.changed();
  }
}

/** The usable keys of a key set. @throws Error for an invalid key set */
export function usableKeys(text: string): IssuerKey[] {
  const { keys } = { keys: undefined, ...(JSON.parse(text) as { keys?: unknown }) };
  if (!Array.isArray(keys)) throw new Error("the answer is not a key set");
  return keys
    .slice(0, MAX_KEYS)
    .map(keyOf)
    .filter((key) => key !== undefined);
}

const ACCEPT = { accept: "application/json, application/jwk-set+json" } as const;

async function fetchThrough(proxy: OutgoingProxy, url: URL, signal?: AbortSignal): Promise<string> {
  const request = { method: "GET", headers: ACCEPT, maxBytes: MAX_BYTES + 1, timeoutMs: TIMEOUT_MS, signal } as const;
  const { status, body } = await requestThrough(proxy, url, request);
  if (status !== 200) throw new Error(`the issuer answered ${status}`);
  if (body.length > MAX_BYTES) throw new Error(`the key set is larger than ${MAX_BYTES} bytes`);
  return body.toString();
}

/** Fetches a key set, with limits. @throws Error that describes the failure */
export async function fetchKeySet(url: string, proxy: ProxySettings, closing?: AbortSignal): Promise<string> {
  const through = outgoingProxyOf(proxy);
  if (through && isProxied(through, targetOf(new URL(url)))) return fetchThrough(through, new URL(url), closing);
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(url, {
    redirect: "error",
    headers: ACCEPT,
    signal: closing ? AbortSignal.any([closing, timeout]) : timeout,
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`the issuer answered ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BYTES) throw new Error(`the key set is larger than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** A usable public key, or undefined. Reads only the public members of its kind. */
function keyOf(given: unknown): IssuerKey | undefined {
  const { kid, kty, crv, alg, use, key_ops: operations, n, e, x, y } = { ...(given as JsonWebKey) };
  if (use !== undefined && use !== "sig") return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes("verify"))) return undefined;
  const jwk = kty === "RSA" ? { kty, n, e } : kty === "EC" ? { kty, crv, x, y } : { kty, crv, x };
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: "jwk" });
    const { modulusLength: bits = MIN_RSA_BITS } = key.asymmetricKeyDetails ?? {};
    if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) return undefined;
    const kind = kty === "RSA" ? "RSA" : `${kty} ${crv}`;
    return { id: typeof kid === "string" ? kid : undefined, kind, algorithm: alg as string | undefined, key };
  } catch {
    return undefined;
  }
}

/** Tokens verified at a time. */
const MAX_RUNNING = 64;

/** Types of access and ID tokens (RFC 9068 section 2.1); the issuer signs others too. */
const TYPES: readonly unknown[] = ["jwt", "at+jwt", "application/at+jwt"];

/** A user as described by the issuer's token. */
export interface IssuerIdentity {
  /** Value of the claim that names the user. */
  readonly ref: string;
  readonly name: string | undefined;
  /** A verified address. */
  readonly email: string | undefined;
  /** Epoch ms, with the allowed difference of the clocks: live connections end when it is refused. */
  readonly expiresAt: number;
}

export interface IssuerTokensOptions {
  /** Undefined: tokens carry no `iss`. */
  readonly issuer: string | undefined;
  /** Undefined: tokens carry no `aud`. */
  readonly audience: string | undefined;
  readonly userClaim: string;
  /** Whether the claim is a mail address, which must then be verified. */
  readonly isUserEmail: boolean;
  readonly clockSkewMs: number;
  readonly clock: Clock;
  /** One secret for HS256, or public keys for the other algorithms. Never both. */
  readonly keys:
    | { readonly kind: "secret"; readonly secret: string }
    | { readonly kind: "jwks"; readonly jwks: IssuerKeys; readonly algorithms: readonly IssuerAlgorithm[] };
}

/**
 * Checks JWTs of another issuer (RFC 7519, RFC 8725) with jose. The header only selects among the
 * configured keys and algorithms; keys and URLs in it are ignored.
 */
export class IssuerTokens {
  readonly #options: IssuerTokensOptions;
  readonly checked: CheckedTokens<IssuerIdentity>;

  constructor(options: IssuerTokensOptions) {
    this.#options = options;
    const read = async (token: string) => this.#identityOf(await this.#signedPayload(token));
    this.checked = new CheckedTokens({ read, maxRunning: MAX_RUNNING, clock: options.clock });
  }

  async #signedPayload(token: string): Promise<JWTPayload> {
    const { header, payload } = decode(token);
    const { alg, kid, crit, typ } = header;
    const isTyped = typ === undefined || TYPES.includes(String(typ).toLowerCase());
    if (crit !== undefined || !isTyped || payload.iss !== this.#options.issuer) throw invalid();
    if (!hasCanonicalSignature(token)) throw invalid();
    const [key, algorithm] = this.#keyFor(alg, kid);
    await compactVerify(token, key, { algorithms: [algorithm] }).catch(() => {
      throw invalid();
    });
    return payload;
  }

  /** @throws TOKEN_INVALID; OVERLOADED while the issuer's keys are fetched */
  #keyFor(alg: string | undefined, kid: string | undefined): [KeyObject | Uint8Array, string] {
    const { keys } = this.#options;
    if (keys.kind === "secret") {
      if (alg !== "HS256") throw invalid();
      return [new TextEncoder().encode(keys.secret), alg];
    }
    const algorithm = keys.algorithms.find((each) => each === alg);
    const key = algorithm && keys.jwks.find(kid, algorithm);
    if (algorithm && key) return [key, algorithm];
    if (!algorithm || !keys.jwks.askAgain()) throw invalid();
    throw overloaded("The keys of the token's issuer are being fetched");
  }

  /** The payload's claims, if they are valid for us and now (RFC 7519 section 4.1). */
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
    // A program that shares its secret knows its addresses; a public issuer lets users enter them.
    const mayOmit = keys.kind === "secret" && payload["email_verified"] === undefined;
    if (isUserEmail && !isConfirmed && !mayOmit) throw invalid("its mail address is not confirmed");
    const ref = textOf(payload[userClaim]);
    if (ref === undefined) throw invalid("it names no user");
    const email = isConfirmed ? textOf(payload["email"]) : undefined;
    return { ref, email, name: textOf(payload["name"]), expiresAt: exp * 1000 + clockSkewMs };
  }
}

function decode(token: string) {
  try {
    return { header: decodeProtectedHeader(token), payload: decodeJwt(token) };
  } catch {
    throw invalid();
  }
}

/** Some programs number their users: an integer counts as its digits. */
function textOf(claim: unknown): string | undefined {
  if (Number.isSafeInteger(claim)) return String(claim);
  return typeof claim === "string" && claim !== "" && claim.length <= 255 ? claim : undefined;
}

/** @param reason included only for tokens signed by the issuer. */
function invalid(reason?: string): PrismError {
  const message = "The access token is not valid";
  return new PrismError("TOKEN_INVALID", reason === undefined ? message : `${message}: ${reason}`);
}
