import type { ClientRequest } from "node:http";
import { isIP, type Socket } from "node:net";
import type { Config } from "../../../config/load.ts";
import { isProxied, type OutgoingProxy, outgoingProxyOf, targetOf } from "../../../config/outgoing-proxy.ts";
import { currentCaller, personKey } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { CidrSet, isPublicAddress } from "../../../core/ip-addresses.ts";
import { Slots } from "../../../core/limits/slots.ts";
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
import { type ResolvedAddress, resolveHost } from "../../delivery/calls/resolve.ts";
import { NoAnswer } from "../../delivery/channel.ts";
import type { KeptConnections, SafeAnswer } from "./kept-connections.ts";

/** Resolves a host name to all its addresses. */
export type Resolver = (host: string) => Promise<readonly ResolvedAddress[]>;

export interface OutsideRules {
  /** Permits http to public addresses: development only. */
  readonly allowsHttp: boolean;
  readonly allowPorts: readonly number[];
  readonly allowPrivateCidrs: readonly string[];
  readonly proxy?: OutgoingProxy | null;
  readonly isOffline?: boolean;
}

const PORTS: readonly number[] = [443, 80, 8443];
const MAX_URL_LENGTH = 2048;
/** A name that is not resolved here in this time is left to a proxy that resolves names. */
const LEFT_TO_PROXY_MS = 1500;
/** For a URL with an address: the refusal reveals nothing about names. */
const PRIVATE_ADDRESS =
  "the address is not public; an operator allows it with webhooks.allowPrivateCidrs " +
  "(PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS)";
/** For a name that would leave through the proxy, which may know it. */
const LEFT_TO_PROXY =
  "if only the proxy of proxy.url resolves it, an operator sets proxy.resolves (PRISM_PROXY_RESOLVES)";
/** One text for both cases of a name: users must not learn which names exist in the operator's network. */
const NO_PUBLIC_ADDRESS =
  "The host name could not be resolved: check its spelling, and the name server. " +
  "A name with an address that is not public counts as one without an address";

export function outsideRulesOf({ env, webhooks, proxy, isOffline }: RulesConfig): OutsideRules {
  const rules = { allowsHttp: env === "development", ...webhooks, proxy: outgoingProxyOf(proxy) };
  return isOffline ? { ...rules, isOffline } : rules;
}

type RulesConfig = Pick<Config, "env" | "webhooks" | "proxy" | "isOffline">;

/**
 * The hosts that URLs of users may point to: public addresses by https on a few ports, and the
 * operator's own ranges. A name is refused if any of its addresses is. One without an address goes
 * to the outgoing proxy only if that resolves names.
 */
export class OutsideHosts {
  readonly #rules: OutsideRules;
  readonly #own: CidrSet;
  readonly #ports: ReadonlySet<number>;
  readonly #resolve: Resolver;

  constructor(rules: OutsideRules, resolve: Resolver = resolveHost) {
    this.#rules = rules;
    this.#own = new CidrSet(rules.allowPrivateCidrs);
    this.#ports = new Set([...PORTS, ...rules.allowPorts]);
    this.#resolve = resolve;
  }

  /**
   * Resolves and checks the addresses for this URL. Use them for the next connection only: the name
   * may change.
   * @throws URL_REFUSED, with {@link UnresolvedHostError} as its cause when the name does not resolve now
   */
  async require(
    text: string,
    maxLength = MAX_URL_LENGTH,
  ): Promise<{ readonly url: URL; readonly addresses: readonly ResolvedAddress[] }> {
    const url = readUrl(text, maxLength);
    if (this.#rules.isOffline) return { url, addresses: [] };
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const family = isIP(host);
    const addresses = family === 0 ? await this.#addressesOf(url, host) : [{ address: host, family }];
    if (addresses.length === 0) this.#requirePort(url);
    for (const { address } of addresses) this.#requireAddress(url, address, family !== 0);
    return { url, addresses };
  }

  /** What to set for a name that does not resolve here; empty: nothing helps. It reveals nothing about the name. */
  hintFor(url: URL): string {
    const { proxy } = this.#rules;
    return proxy && !proxy.resolves && isProxied(proxy, targetOf(url)) ? LEFT_TO_PROXY : "";
  }

  /** None: the proxy resolves the name. */
  async #addressesOf(url: URL, host: string): Promise<readonly ResolvedAddress[]> {
    const { proxy } = this.#rules;
    if (proxy?.resolves && isProxied(proxy, targetOf(url))) return this.#addressesInTime(host);
    const addresses = await this.#resolve(host).catch((cause: unknown) => {
      throw this.#unresolved(url, new UnresolvedHostError(host, { cause }));
    });
    if (addresses.length === 0) throw this.#unresolved(url, new UnresolvedHostError(host));
    return addresses;
  }

  /** A network whose names only the proxy knows may have no name server that answers. */
  async #addressesInTime(host: string): Promise<readonly ResolvedAddress[]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<readonly ResolvedAddress[]>((resolve) => {
      timer = setTimeout(() => resolve([]), LEFT_TO_PROXY_MS);
    });
    const found = this.#resolve(host).catch(() => []);
    return Promise.race([found, late]).finally(() => clearTimeout(timer));
  }

  /** The error omits the address: users must not learn how the operator's network resolves. */
  #requireAddress(url: URL, address: string, isGiven: boolean): void {
    if (this.#own.has(address)) return;
    if (!isPublicAddress(address)) throw isGiven ? refused(PRIVATE_ADDRESS) : this.#unresolved(url);
    this.#requirePort(url);
  }

  #unresolved(url: URL, cause?: UnresolvedHostError): PrismError {
    return new UnresolvedName(this.hintFor(url), cause);
  }

  #requirePort({ protocol, port }: Pick<URL, "protocol" | "port">): void {
    if (protocol !== "https:" && !this.#rules.allowsHttp) throw refused("only https is let out");
    const number = port === "" ? (protocol === "https:" ? 443 : 80) : Number(port);
    if (!this.#ports.has(number)) throw refused(`port ${number} is not let out (webhooks.allowPorts)`);
  }
}

/** The host name does not resolve at the moment, which may change within a minute. */
export class UnresolvedHostError extends Error {
  override readonly name = "UnresolvedHostError";

  constructor(host: string, options?: ErrorOptions) {
    super(`${host} has no address`, options);
  }
}

/** Else the name has an address that is not public. */
function isUnresolvedNow(error: unknown): boolean {
  return error instanceof UnresolvedName && error.cause instanceof UnresolvedHostError;
}

/**
 * The addresses of a URL that is called now. @throws URL_REFUSED; NoAnswer for a name that does not
 * resolve, or not in time, or to an address that is not public; the signal's reason
 */
export async function addressesOf(
  hosts: OutsideHosts,
  url: string,
  limits: Pick<CallLimits, "dnsMs">,
  signal?: AbortSignal,
  maxLength?: number,
): ReturnType<OutsideHosts["require"]> {
  try {
    return await withinDns(hosts.require(url, maxLength), limits, signal);
  } catch (error) {
    if (error instanceof NoAnswer && error.timedOut && URL.canParse(url)) {
      const hint = hosts.hintFor(new URL(url));
      if (hint !== "") throw new NoAnswer(`${error.message}; ${hint}`, { phase: "dns", timedOut: true, cause: error });
    }
    // Routers, captive portals and filters give private addresses for a moment.
    if (!(error instanceof UnresolvedName)) throw error;
    throw new NoAnswer(error.message, { phase: "dns", cause: error });
  }
}

function readUrl(text: string, maxLength: number): URL {
  if (!URL.canParse(text)) throw refused("it is not a URL");
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") throw refused("only https is let out");
  if (url.username !== "" || url.password !== "") throw refused("it holds a name or password");
  if (url.href.length > maxLength) throw refused(`it is longer than ${maxLength} characters`);
  return url;
}

function refused(why: string): PrismError {
  return new PrismError("URL_REFUSED", `The URL is refused: ${why}`);
}

/** A name without an address, or with one that is not public. */
class UnresolvedName extends PrismError {
  override readonly name = "UnresolvedName";
  constructor(hint: string, cause?: UnresolvedHostError) {
    super("URL_REFUSED", hint === "" ? NO_PUBLIC_ADDRESS : `${NO_PUBLIC_ADDRESS}; ${hint}`, cause ? { cause } : {});
  }
}

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
  /** Of a URL that users did not enter whole. */
  readonly maxUrlLength?: number;
  /** A connection may be kept for the next request: for messages that may be repeated, see `request`. */
  readonly keepsAlive?: boolean;
  /** TLS settings of this request alone: its connection is not kept. */
  readonly tls?: TlsOptions | undefined;
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
    const { principal, onUnresolved } = currentCaller();
    const check = () => withinDns(this.#hosts.require(url), this.#limits);
    try {
      await (principal ? LOOK_UPS.run(personKey(principal), check) : check());
    } catch (error) {
      const isUnresolved = error instanceof NoAnswer || isUnresolvedNow(error);
      if (isUnresolved && onUnresolved) return onUnresolved(new URL(url).hostname);
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
    const { signal, maxUrlLength } = request;
    const { url, addresses } = await addressesOf(this.#hosts, text, this.#limits, signal, maxUrlLength);
    const isTls = url.protocol === "https:";
    const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
    const peer = { host: hostOf(url), port, addresses, tls: isTls ? { ca: this.#ca, ...request.tls } : undefined };
    const open = () => openConnection(peer, this.#limits, signal);
    if (!request.keepsAlive || request.tls) return this.#alone(url, request, open);
    const { method, body, headers } = request;
    const name = [url.origin, ...addresses.map(({ address }) => address).sort()].join(" ");
    this.#kept ??= import("./kept-connections.ts").then((loaded) => new loaded.KeptConnections());
    const kept = await this.#kept;
    const given = { method, path: url.pathname + url.search, headers: { Host: url.host, ...headers }, body, signal };
    const limits = { maxBodyBytes: this.#maxBodyBytes, answerMs: this.#limits.answerMs };
    return kept.call({ name, open, alone: () => this.#alone(url, request, open) }, { ...given, ...limits });
  }

  /** Over a connection of its own. */
  async #alone(
    url: URL,
    { method, headers, body, signal }: SafeRequest,
    open: () => Promise<Socket>,
  ): Promise<SafeAnswer> {
    const socket = await open();
    client ??= import("node:http");
    const http = await client;
    signal?.throwIfAborted();
    const length = body ? { "Content-Length": String(body.length) } : {};
    // The connection has TLS already, so the client of http serves both.
    const call = http.request({
      ...{ method, path: url.pathname + url.search, createConnection: () => socket },
      headers: { Host: url.host, ...headers, ...length, Connection: "close" },
    });
    call.end(body);
    return this.#answerOf(call, signal);
  }

  async #answerOf(call: ClientRequest, signal: AbortSignal | undefined): Promise<SafeAnswer> {
    const { answerMs } = this.#limits;
    const stop = (): void => void call.destroy(signal?.reason);
    let timer: NodeJS.Timeout | undefined;
    const start = (): void => {
      timer = setTimeout(() => call.destroy(late("answer", answerMs)), answerMs);
    };
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
export function safeFetchOf(config: RulesConfig & Pick<Config, "delivery">, options: SafeFetchOptions = {}): SafeFetch {
  const limits = { ...httpLimitsOf(config), ...options.limits };
  return new SafeFetch(new OutsideHosts(outsideRulesOf(config)), { ...options, limits });
}

/** Without the brackets of an IPv6 address. */
export function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}
