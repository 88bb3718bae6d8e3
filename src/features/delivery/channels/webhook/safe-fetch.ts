import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import type { LookupFunction } from "node:net";
import { PrismError } from "../../../../core/errors.ts";
import { unlessAborted } from "../../../../core/promises.ts";
import type { OutsideHosts, ResolvedAddress } from "./outside-hosts.ts";

export interface SafeFetchOptions {
  readonly timeoutMs?: number;
  readonly maxBodyBytes?: number;
  /** Trusted certificate authorities in PEM, in place of Node's. */
  readonly ca?: string;
}

export interface SafeRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly signal?: AbortSignal;
}

export interface SafeAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** Its first bytes, if it is too long or did not arrive in time. */
  readonly body: Buffer;
  readonly isWhole: boolean;
}

const TIMEOUT_MS = 10_000;
const MAX_BODY_BYTES = 65_536;

/** No answer in time. */
export class RequestTimeout extends Error {
  override readonly name = "RequestTimeout";

  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
  }
}

/**
 * Requests to hosts named by users: only to checked addresses, without redirects, limited in time
 * and size. Each uses a new connection, because a kept one was checked at another time.
 */
export class SafeFetch {
  readonly #hosts: OutsideHosts;
  readonly #timeoutMs: number;
  readonly #maxBodyBytes: number;
  readonly #ca: string | undefined;

  constructor(
    hosts: OutsideHosts,
    { timeoutMs = TIMEOUT_MS, maxBodyBytes = MAX_BODY_BYTES, ca }: SafeFetchOptions = {},
  ) {
    this.#hosts = hosts;
    this.#timeoutMs = timeoutMs;
    this.#maxBodyBytes = maxBodyBytes;
    this.#ca = ca;
  }

  /**
   * Checks whether requests to this URL are permitted now. @throws URL_REFUSED, also when its name
   * does not resolve in time
   */
  async check(url: string): Promise<void> {
    try {
      await limited(this.#timeoutMs, undefined, (limit) => unlessAborted(this.#hosts.require(url), limit));
    } catch (error) {
      if (!(error instanceof RequestTimeout)) throw error;
      throw new PrismError("URL_REFUSED", "The URL is refused: the host's name is not resolved in time", {
        cause: error,
      });
    }
  }

  /**
   * Resolves with any status. A body truncated by size, time or the connection sets `isWhole` to
   * false and is not an error.
   * @throws URL_REFUSED, RequestTimeout, the signal's reason, and connection errors
   */
  request(url: string, request: SafeRequest): Promise<SafeAnswer> {
    return limited(this.#timeoutMs, request.signal, async (limit) => {
      const target = await unlessAborted(this.#hosts.require(url), limit);
      // Loaded with the first call, for a quicker start.
      const client = await (target.url.protocol === "https:" ? import("node:https") : import("node:http"));
      limit.throwIfAborted();
      const call = client.request(target.url, this.#optionsOf(target.addresses, request)).end(request.body);
      limit.addEventListener("abort", () => call.destroy(limit.reason));
      return this.#answerOf(call);
    });
  }

  /** For https the certificate must match the name in the URL, through `servername`. */
  #optionsOf(
    addresses: readonly ResolvedAddress[],
    { method, headers, body }: SafeRequest,
  ): RequestOptions & { ca?: string } {
    return {
      method,
      agent: false,
      lookup: only(addresses),
      headers: { ...headers, ...(body ? { "Content-Length": String(body.length) } : {}), Connection: "close" },
      ...(this.#ca === undefined ? {} : { ca: this.#ca }),
    };
  }

  #answerOf(call: ClientRequest): Promise<SafeAnswer> {
    return new Promise((resolve, reject) => {
      let failed = (error: Error): void => reject(firstOf(error));
      let closed = (): void => reject(new Error("the connection was closed before an answer"));
      call.on("error", (error) => failed(error));
      call.on("close", () => closed());
      call.on("response", (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        const settle = (isWhole: boolean): void => {
          const body = Buffer.concat(chunks).subarray(0, this.#maxBodyBytes);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body, isWhole });
          call.destroy();
        };
        failed = () => settle(false);
        // If the body has not been read yet, the response's own end completes it.
        closed = () => undefined;
        response.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          size += chunk.length;
          if (size > this.#maxBodyBytes) settle(false);
        });
        response.on("end", () => settle(true));
        response.on("error", () => settle(false));
        response.on("close", () => settle(false));
      });
    });
  }
}

/** With several addresses Node.js reports an error per address and none for the whole. */
function firstOf(error: Error): unknown {
  return error instanceof AggregateError ? (error.errors[0] ?? error) : error;
}

/** A look-up that always returns these addresses. */
function only(addresses: readonly ResolvedAddress[]): LookupFunction {
  return (host, options, done) => {
    const [first] = addresses;
    if (!first) done(new Error(`${host} has no address`), "", 0);
    else if (options.all) done(null, [...addresses]);
    else done(null, first.address, first.family);
  };
}

/** Runs work with a signal that aborts with the caller's, or after a time limit. */
async function limited<T>(
  timeoutMs: number,
  signal: AbortSignal | undefined,
  work: (limit: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const stop = (): void => limit.abort(signal?.reason);
  const timer = setTimeout(() => limit.abort(new RequestTimeout(timeoutMs)), timeoutMs);
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop);
  try {
    return await work(limit.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}
