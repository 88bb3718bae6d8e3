import { createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import { type Clock, DAY_MS } from "../../core/clock.ts";
import { type IssuerAlgorithm, KEY_KIND_OF } from "../../core/issuer-algorithms.ts";
import type { Logger } from "../../core/log.ts";

const MAX_BYTES = 262_144;
const MAX_KEYS = 64;
const TIMEOUT_MS = 5000;
const REFRESH_MS = 10 * 60_000;
/** After a failure, and between two fetches that unknown keys ask for. */
const PAUSE_MS = 30_000;
/** Keys of an issuer that cannot be reached count for this long. */
const STALE_MS = DAY_MS;
const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 8192;

interface IssuerKey {
  readonly id: string | undefined;
  readonly kind: string;
  /** Of the key set: the only algorithm that it is for. */
  readonly algorithm: string | undefined;
  readonly key: KeyObject;
}

export interface IssuerKeysParts {
  readonly url: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called when the keys are other ones than before. */
  changed(): void;
}

/**
 * The public keys of an issuer (JWKS, RFC 7517), fetched in the background, so that a token is checked at once: at the start, every ten minutes, and
 * when a token names a key that is not there, at most twice a minute. While the issuer is away its last keys count for a day.
 */
export class IssuerKeys {
  readonly #parts: IssuerKeysParts;
  readonly #closing = new AbortController();
  #keys: readonly IssuerKey[] = [];
  #text = "";
  #timer: NodeJS.Timeout | undefined;
  #isFetching = false;
  #hasFailed = false;
  /** Of `clock.elapsed()`. */
  #begunAt = Number.NEGATIVE_INFINITY;
  #loadedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: IssuerKeysParts) {
    this.#parts = parts;
  }

  /** Fetches the keys for the first time; the start does not wait for them. */
  start(): void {
    void this.#refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#closing.abort();
  }

  /** @param id `kid` of the token; a token without one is checked with the only key that fits. */
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

  /** Looks for a key that is not there. @returns false when the issuer has answered just now: it has no such key. */
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
      this.#take(await fetchKeySet(this.#parts.url, this.#closing.signal));
      this.#loadedAt = clock.elapsed();
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed && !this.#closing.signal.aborted)
        log.warn({ err: error, url: this.#parts.url }, "the keys of the token issuer could not be fetched");
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
    this.#parts.log.info({ keys: this.#keys.length, url: this.#parts.url }, "the keys of the token issuer are loaded");
    this.#parts.changed();
  }
}

/** The keys of a key set that signatures can be checked with. @throws Error for what is no key set */
export function usableKeys(text: string): IssuerKey[] {
  const { keys } = { keys: undefined, ...(JSON.parse(text) as { keys?: unknown }) };
  if (!Array.isArray(keys)) throw new Error("the answer is no key set");
  return keys
    .slice(0, MAX_KEYS)
    .map(keyOf)
    .filter((key) => key !== undefined);
}

/** The text of a key set, fetched within bounds. @throws Error that says what was in the way */
export async function fetchKeySet(url: string, closing?: AbortSignal): Promise<string> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(url, {
    redirect: "error",
    headers: { accept: "application/json, application/jwk-set+json" },
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

/** A key that signatures can be checked with; undefined for any other. Only the public members of its kind are read. */
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
