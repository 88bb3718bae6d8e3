import { createPrivateKey, type KeyObject } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Agent, IncomingMessage } from "node:http";
import type { Clock } from "../../../core/time/clock.ts";
import { broken, type CallLimits, connectTo, late, named } from "../../delivery/calls/connect.ts";
import { ProviderDown, readRetryAfter, TargetGone } from "../../delivery/channel.ts";
import { RetryLater } from "../../time/jobs/index.ts";

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
  /** From the request to the last byte of the answer. */
  readonly timeoutMs: number;
  readonly connections: PushConnections;
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

/** Kept connections to one provider, each opened within the limits. */
export class PushConnections {
  readonly #limits: CallLimits;
  readonly #closing = new AbortController();
  readonly #agents = new Map<string, Agent>();

  constructor(limits: CallLimits) {
    this.#limits = limits;
  }

  /** The agent for requests with this protocol. */
  async agentOf(url: URL): Promise<Agent> {
    const isTls = url.protocol === "https:";
    const { Agent: AgentOf } = await (isTls ? import("node:https") : import("node:http"));
    const known = this.#agents.get(url.protocol);
    if (known) return known;
    const agent = new AgentOf({ keepAlive: true });
    agent.createConnection = (options, done) => {
      const target = new URL(`${url.protocol}//${hostText(options.host ?? url.hostname)}:${options.port}`);
      connectTo(target, this.#limits, { tls: {}, signal: this.#closing.signal }).then(
        (socket) => done?.(null, socket),
        (error: Error) => done?.(error, undefined as never),
      );
      return undefined as never;
    };
    this.#agents.set(url.protocol, agent);
    return agent;
  }

  close(): void {
    this.#closing.abort(new Error("the server stops"));
    for (const agent of this.#agents.values()) agent.destroy();
  }
}

function hostText(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

/** One POST on a kept connection. Does not follow redirects. @throws NoAnswer, or the signal's reason */
export async function postText(options: PostOptions): Promise<PostReply> {
  const { provider, signal, now } = options;
  try {
    const { status, retryAfter, text } = await exchange(options);
    return { status, json: parseJson(text), retryAfterMs: readRetryAfter(retryAfter, now) };
  } catch (error) {
    signal?.throwIfAborted();
    throw named(provider, broken(error as Error));
  }
}

interface RawReply {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

async function exchange({ url, headers, body, timeoutMs, signal, connections }: PostOptions): Promise<RawReply> {
  const target = new URL(url);
  const client = await (target.protocol === "https:" ? import("node:https") : import("node:http"));
  const agent = await connections.agentOf(target);
  const length = String(Buffer.byteLength(body));
  return new Promise((resolve, reject) => {
    const call = client.request(target, {
      ...{ method: "POST", agent, headers: { ...headers, "content-length": length } },
      ...(signal ? { signal } : {}),
    });
    let timer: NodeJS.Timeout | undefined;
    const fail = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    call.on("socket", () => {
      timer = setTimeout(() => call.destroy(late("answer", timeoutMs)), timeoutMs);
    });
    call.on("error", fail);
    call.on("response", (response) => {
      readText(response).then((text) => {
        clearTimeout(timer);
        const { statusCode = 0, headers: replied } = response;
        resolve({ status: statusCode, retryAfter: replied["retry-after"], text });
      }, fail);
    });
    call.end(body);
  });
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
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

/** The connection to a provider broke. */
export function notReached(provider: string, error: unknown): unknown {
  return named(provider, broken(error instanceof Error ? error : new Error(String(error))));
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
