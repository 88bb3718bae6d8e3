import type { ClientRequest, IncomingMessage } from "node:http";
import type { Config } from "../../../../config/load.ts";
import { PrismError } from "../../../../core/errors.ts";
import {
  broken,
  CALL_LIMITS,
  type CallLimits,
  callLimitsOf,
  late,
  openConnection,
  withinDns,
} from "../../calls/connect.ts";
import { NoAnswer } from "../../channel.ts";
import { addressesOf, OutsideHosts, outsideRulesOf } from "./outside-hosts.ts";

export interface SafeFetchOptions {
  readonly limits?: Partial<CallLimits>;
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

const MAX_BODY_BYTES = 65_536;

/**
 * Requests to hosts named by users: only to checked addresses, without redirects, limited in time
 * and size. Each uses a new connection, because a kept one was checked at another time.
 */
export class SafeFetch {
  readonly #hosts: OutsideHosts;
  readonly #limits: CallLimits;
  readonly #maxBodyBytes: number;
  readonly #ca: string | undefined;

  constructor(hosts: OutsideHosts, { limits, maxBodyBytes = MAX_BODY_BYTES, ca }: SafeFetchOptions = {}) {
    this.#hosts = hosts;
    this.#limits = { ...CALL_LIMITS, ...limits };
    this.#maxBodyBytes = maxBodyBytes;
    this.#ca = ca;
  }

  /** Checks whether requests to this URL are permitted now. @throws URL_REFUSED, also for a name that does not resolve */
  async check(url: string): Promise<void> {
    try {
      await withinDns(this.#hosts.require(url), this.#limits);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      throw new PrismError("URL_REFUSED", "The URL is refused: the host's name is not resolved in time", {
        cause: error,
      });
    }
  }

  /**
   * Resolves with any status. A body truncated by size, time or the connection sets `isWhole` to
   * false and is not an error.
   * @throws URL_REFUSED, NoAnswer, the signal's reason
   */
  async request(text: string, request: SafeRequest): Promise<SafeAnswer> {
    const { signal } = request;
    const { url, addresses } = await addressesOf(this.#hosts, text, this.#limits, signal);
    const isTls = url.protocol === "https:";
    const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
    const tls = isTls ? { ca: this.#ca } : undefined;
    const socket = await openConnection({ host: hostOf(url), port, addresses, tls }, this.#limits, signal);
    // Loaded with the first call, for a quicker start.
    const client = await import("node:http");
    signal?.throwIfAborted();
    const { method, headers, body } = request;
    const length = body ? { "Content-Length": String(body.length) } : {};
    // The connection has TLS already, so the client of http serves both.
    const call = client.request({
      ...{ method, path: url.pathname + url.search, createConnection: () => socket },
      headers: { Host: url.host, ...headers, ...length, Connection: "close" },
    });
    return this.#answerOf(call.end(body), signal);
  }

  async #answerOf(call: ClientRequest, signal: AbortSignal | undefined): Promise<SafeAnswer> {
    const { answerMs } = this.#limits;
    const stop = (): void => void call.destroy(signal?.reason);
    const timer = setTimeout(() => call.destroy(late("answer", answerMs)), answerMs);
    signal?.addEventListener("abort", stop, { once: true });
    try {
      return await this.#read(call);
    } catch (error) {
      throw signal?.aborted ? signal.reason : broken(error as Error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  #read(call: ClientRequest): Promise<SafeAnswer> {
    return new Promise((resolve, reject) => {
      let failed: (error: Error) => void = reject;
      let closed = (): void => reject(new Error("the connection was closed"));
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

/** With the rules and limits of the configuration. */
export function safeFetchOf(
  config: Pick<Config, "env" | "webhooks" | "delivery">,
  options: SafeFetchOptions = {},
): SafeFetch {
  const limits = { ...callLimitsOf(config), ...options.limits };
  return new SafeFetch(new OutsideHosts(outsideRulesOf(config)), { ...options, limits });
}

/** Without the brackets of an IPv6 address. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}
