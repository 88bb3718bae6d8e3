import type { ClientRequest, IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Config } from "../../../config/load.ts";
import { currentCaller } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { Slots } from "../../../core/limits/slots.ts";
import { personKey } from "../../../core/principal.ts";
import {
  broken,
  CALL_LIMITS,
  type CallLimits,
  httpLimitsOf,
  late,
  openConnection,
  type TlsOptions,
  withinDns,
} from "../../delivery/calls/connect.ts";
import { NoAnswer } from "../../delivery/channel.ts";
import type { KeptConnections, KeptOptions } from "./kept-connections.ts";
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
  /** A connection may be kept for the next request: for messages that may be repeated, see `request`. */
  readonly keepsAlive?: boolean;
  /** TLS settings of this request alone: its connection is not kept. */
  readonly tls?: TlsOptions | undefined;
}

export interface SafeAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** Its first bytes, if it is too long or did not arrive in time. */
  readonly body: Buffer;
  readonly isWhole: boolean;
}

const MAX_BODY_BYTES = 65_536;
/** Look-ups of names that people enter: each holds a socket until the name server answers. */
const LOOK_UPS = new Slots({ total: 64, perOwner: 8, what: "look-ups of host names" });

/** Loaded with the first call, for a quicker start. */
let client: Promise<typeof import("node:http")> | null = null;

/**
 * Requests to hosts named by users: only to checked addresses, without redirects, limited in time
 * and size. A kept connection is used again only for the same addresses, which each request checks.
 */
export class SafeFetch {
  readonly #hosts: OutsideHosts;
  readonly #limits: CallLimits;
  readonly #maxBodyBytes: number;
  readonly #ca: string | undefined;
  #kept: Promise<KeptConnections> | null = null;

  constructor(hosts: OutsideHosts, { limits, maxBodyBytes = MAX_BODY_BYTES, ca }: SafeFetchOptions = {}) {
    this.#hosts = hosts;
    this.#limits = { ...CALL_LIMITS, ...limits };
    this.#maxBodyBytes = maxBodyBytes;
    this.#ca = ca;
  }

  /**
   * Checks whether requests to this URL are permitted now, for the current caller. @throws
   * URL_REFUSED, also for a name that does not resolve; RATE_LIMITED, OVERLOADED
   */
  async check(url: string): Promise<void> {
    const { principal } = currentCaller();
    const check = () => withinDns(this.#hosts.require(url), this.#limits);
    try {
      await (principal ? LOOK_UPS.run(personKey(principal), check) : check());
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      const hint = this.#hosts.hintFor(new URL(url));
      const why = "The URL is refused: the host name was not resolved in time";
      throw new PrismError("URL_REFUSED", hint === "" ? why : `${why}; ${hint}`, { cause: error });
    }
  }

  /**
   * Resolves with any status. A body truncated by size, time or the connection sets `isWhole` to
   * false and is not an error. A kept connection that the other side has closed is replaced, and the
   * request repeated (RFC 9112 section 9.3.1).
   * @throws URL_REFUSED, NoAnswer, the signal's reason
   */
  async request(text: string, request: SafeRequest): Promise<SafeAnswer> {
    const { signal } = request;
    const { url, addresses } = await addressesOf(this.#hosts, text, this.#limits, signal);
    const isTls = url.protocol === "https:";
    const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
    const peer = { host: hostOf(url), port, addresses, tls: isTls ? { ca: this.#ca, ...request.tls } : undefined };
    const open = () => openConnection(peer, this.#limits, signal);
    if (!request.keepsAlive || request.tls) {
      const socket = await open();
      return this.#answerOf(await this.#call(url, request, { createConnection: () => socket }), signal);
    }
    const agent = await this.#agent();
    const name = [url.origin, ...addresses.map(({ address }) => address).sort()].join(" ");
    const attempt = () => this.#call(url, request, { agent, peer: name, open });
    const call = await attempt();
    try {
      return await this.#answerOf(call, signal);
    } catch (error) {
      if (!call.reusedSocket || !(error instanceof NoAnswer) || error.timedOut) throw error;
      return this.#answerOf(await attempt(), signal);
    }
  }

  #agent(): Promise<KeptConnections> {
    this.#kept ??= import("./kept-connections.ts").then((loaded) => new loaded.KeptConnections());
    return this.#kept;
  }

  async #call(
    url: URL,
    { method, headers, body, signal }: SafeRequest,
    connection: KeptOptions | { readonly createConnection: () => Socket },
  ): Promise<ClientRequest> {
    client ??= import("node:http");
    const http = await client;
    signal?.throwIfAborted();
    const length = body ? { "Content-Length": String(body.length) } : {};
    const close = "agent" in connection ? {} : { Connection: "close" };
    // The connection has TLS already, so the client of http serves both.
    const call = http.request({
      ...{ method, path: url.pathname + url.search, ...connection },
      headers: { Host: url.host, ...headers, ...length, ...close },
    });
    return call.end(body);
  }

  async #answerOf(call: ClientRequest, signal: AbortSignal | undefined): Promise<SafeAnswer> {
    const { answerMs } = this.#limits;
    const stop = (): void => void call.destroy(signal?.reason);
    let timer: NodeJS.Timeout | undefined;
    const start = (): void => {
      timer = setTimeout(() => call.destroy(late("answer", answerMs)), answerMs);
    };
    // A kept connection may have to be opened first, within limits of its own.
    if (call.socket) start();
    else call.once("socket", start);
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
          // A whole answer leaves the connection for the next request.
          if (!isWhole || !call.shouldKeepAlive) call.destroy();
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
  config: Pick<Config, "env" | "webhooks" | "delivery" | "proxy">,
  options: SafeFetchOptions = {},
): SafeFetch {
  const limits = { ...httpLimitsOf(config), ...options.limits };
  return new SafeFetch(new OutsideHosts(outsideRulesOf(config)), { ...options, limits });
}

/** Without the brackets of an IPv6 address. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}
