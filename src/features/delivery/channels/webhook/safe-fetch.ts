import type { ClientRequest, IncomingMessage, RequestOptions } from "node:http";
import type { LookupFunction } from "node:net";
import { PrismError } from "../../../../core/errors.ts";
import { unlessAborted } from "../../../../core/promises.ts";
import type { OutsideHosts, ResolvedAddress } from "./outside-hosts.ts";

export interface SafeFetchOptions {
  readonly timeoutMs?: number;
  readonly maxBodyBytes?: number;
  /** Certificate authorities in PEM, in place of those that Node.js knows. */
  readonly ca?: string;
}

export interface SafeRequest {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly signal?: AbortSignal;
}

export interface SafeAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** The beginning of it, where it is longer than was to be read or did not come in time. */
  readonly body: Buffer;
  readonly isWhole: boolean;
}

const TIMEOUT_MS = 10_000;
const MAX_BODY_BYTES = 65_536;

/** Nothing has answered in time. */
export class RequestTimeout extends Error {
  override readonly name = "RequestTimeout";

  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
  }
}

/**
 * Requests to hosts that users have named: to checked addresses only, without following redirects,
 * bounded in time and size. Each has a connection of its own, for one that is kept was checked at
 * another time.
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
   * Whether requests to this URL are let out at this moment. @throws URL_REFUSED, also when its
   * name is not resolved in time
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
   * Resolves with whatever status the other side gives. The status is the answer: a body that is
   * cut short by its size, the time or the connection makes `isWhole` false and fails nothing.
   * @throws URL_REFUSED, RequestTimeout, the signal's reason, and what the connection says
   */
  request(url: string, request: SafeRequest): Promise<SafeAnswer> {
    return limited(this.#timeoutMs, request.signal, async (limit) => {
      const target = await unlessAborted(this.#hosts.require(url), limit);
      // Loaded with the first call: a server that makes none starts sooner.
      const client = await (target.url.protocol === "https:" ? import("node:https") : import("node:http"));
      limit.throwIfAborted();
      const call = client.request(target.url, this.#optionsOf(target.addresses, request)).end(request.body);
      limit.addEventListener("abort", () => call.destroy(limit.reason));
      return this.#answerOf(call);
    });
  }

  /**
   * Of https the name in the URL is also the one that the certificate must have: `servername`
   * follows it.
   */
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
        // Of a body that is there and has not been read yet, the response's own end tells.
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

/** Where several addresses were tried, Node.js says what each of them did, and nothing itself. */
function firstOf(error: Error): unknown {
  return error instanceof AggregateError ? (error.errors[0] ?? error) : error;
}

/** Gives a socket these addresses, whatever the name means by now. */
function only(addresses: readonly ResolvedAddress[]): LookupFunction {
  return (host, options, done) => {
    const [first] = addresses;
    if (!first) done(new Error(`${host} has no address`), "", 0);
    else if (options.all) done(null, [...addresses]);
    else done(null, first.address, first.family);
  };
}

/** Runs work with a signal that aborts with the caller's, or when the time is up. */
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
