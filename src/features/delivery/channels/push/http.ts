import { createPrivateKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Clock } from "../../../../core/clock.ts";
import { RetryLater } from "../../../jobs/index.ts";
import { ProviderDown, readRetryAfter, TargetGone } from "../../channel.ts";

/** Time limit for the provider's answer; its own attempts to reach a device continue without us. */
export const PUSH_TIMEOUT_MS = 30_000;
/** Answers have a few hundred bytes; longer ones do not come from a provider. */
export const MAX_ANSWER_BYTES = 65_536;

export interface PostOptions {
  /** Name of the server in errors. */
  readonly provider: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** For the whole exchange, including the last byte of the answer. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Epoch ms, for a Retry-After with a date. */
  readonly now: number;
}

export interface PostReply {
  readonly status: number;
  /** undefined when the body is not JSON. */
  readonly json: unknown;
  readonly retryAfterMs: number | undefined;
}

/**
 * One POST with Node's client, which keeps connections alive. Does not follow redirects. @throws
 * network errors, or the signal's reason
 */
export async function postText(options: PostOptions): Promise<PostReply> {
  const { url, headers, body, timeoutMs, signal } = options;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body,
      redirect: "manual",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    const text = await readText(response);
    return {
      status: response.status,
      json: parseJson(text),
      retryAfterMs: readRetryAfter(response.headers.get("retry-after") ?? undefined, options.now),
    };
  } catch (error) {
    signal?.throwIfAborted();
    throw timeout.aborted
      ? new Error(`${options.provider} did not answer within ${timeoutMs} ms`, { cause: error })
      : notReached(options.provider, error);
  }
}

async function readText(response: Response): Promise<string> {
  if (!response.body) return "";
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) throw new Error("the answer is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const MAX_REASON = 200;

/** The provider's own message, shortened and without the token. */
export function reasonOf(words: string, token: string): string {
  return words.replaceAll(token, "***").replace(/\s+/g, " ").slice(0, MAX_REASON);
}

/** An error for a retry: at the provider's time, otherwise with backoff. */
export function tryAgain(message: string, retryAfterMs: number | undefined): Error {
  return retryAfterMs === undefined ? new Error(message) : new RetryLater(message, retryAfterMs);
}

/** Why a provider was not reached, from the innermost cause. */
export function notReached(provider: string, error: unknown): Error {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const words = cause instanceof Error ? cause.message || cause.name : String(cause);
  return new Error(`${provider} was not reached: ${words}`, { cause: error });
}

/** Passes if the provider only objects to the unused token of a check. @throws any other error */
export function unlessUnusedToken(error: unknown): void {
  if (!(error instanceof TargetGone)) throw error;
}

interface Renewable {
  readonly token: string;
  /** Monotonic time. */
  readonly renewAt: number;
}

/** A provider's access token, cached until its renewal. Concurrent callers share one request. */
export class KeptToken<T extends Renewable> {
  readonly #clock: Clock;
  readonly #make: () => Promise<T>;
  #held: T | null = null;
  #making: Promise<T> | null = null;

  constructor(clock: Clock, make: () => Promise<T>) {
    this.#clock = clock;
    this.#make = make;
  }

  /** @param refused a token the provider refused; a new one is fetched. @throws request errors */
  async get(refused?: string): Promise<T> {
    const held = this.#held;
    if (held && held.token !== refused && this.#clock.elapsed() < held.renewAt) return held;
    this.#making ??= this.#make().finally(() => {
      this.#making = null;
    });
    this.#held = await this.#making;
    return this.#held;
  }
}

/** Reads a key file. @param option its name in the configuration. @throws ProviderDown */
export async function readKeyFile(option: string, path: string): Promise<string> {
  return readFile(path, "utf8").catch((error: unknown) => {
    const code = error instanceof Error && "code" in error ? String(error.code) : "error";
    throw new ProviderDown(`${option} (${path}) cannot be read: ${code}`, { cause: error });
  });
}

/** @returns undefined when the text is not a private key in PEM */
export function privateKeyOf(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}
