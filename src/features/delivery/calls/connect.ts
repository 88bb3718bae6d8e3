import { connect as connectTcp, isIP, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Config } from "../../../config/load.ts";
import {
  connectThrough,
  isProxied,
  type OutgoingProxy,
  outgoingProxyOf,
  ProxyFailed,
} from "../../../config/outgoing-proxy.ts";
import { unlessAborted } from "../../../core/promises.ts";
import { type CallPhase, NoAnswer } from "../channel.ts";
import { type ResolvedAddress, resolveHost } from "./resolve.ts";

/* Connections of all outside calls: each phase has a limit of its own, and its error names it. */

/** The limits of one call. */
export interface CallLimits {
  readonly dnsMs: number;
  /** For all addresses of a host together. */
  readonly connectMs: number;
  readonly tlsMs: number;
  /** From the request to the end of the answer. */
  readonly answerMs: number;
  /** Calls leave through it, unless it excepts the host. */
  readonly proxy?: OutgoingProxy | null;
}

export const CALL_LIMITS: CallLimits = { dnsMs: 3000, connectMs: 3000, tlsMs: 5000, answerMs: 10_000 };

/** Limits of HTTP calls, with the outgoing proxy. */
export function httpLimitsOf({ delivery, proxy }: Pick<Config, "delivery" | "proxy">): CallLimits {
  return { ...delivery.timeouts, proxy: outgoingProxyOf(proxy) };
}

export function callLimitsOf({ delivery }: Pick<Config, "delivery">): CallLimits {
  return delivery.timeouts;
}

export interface Peer {
  /** The name in its certificate. */
  readonly host: string;
  readonly port: number;
  readonly addresses: readonly ResolvedAddress[];
  /** Undefined: no TLS. */
  readonly tls?: TlsOptions | undefined;
}

export interface TlsOptions {
  /** Trusted authorities in PEM, in place of Node's. */
  readonly ca?: string | undefined;
  readonly alpn?: readonly string[];
  /** Default: true. */
  readonly rejectUnauthorized?: boolean;
  /** Certificate and private key of the client in PEM. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name in the certificate of the other side; default: the host. */
  readonly servername?: string | undefined;
}

/** Opens a connection, with TLS if asked. @throws NoAnswer; the signal's reason */
export async function openConnection(
  peer: Peer,
  limits: Pick<CallLimits, "connectMs" | "tlsMs" | "proxy">,
  signal?: AbortSignal,
): Promise<Socket> {
  signal?.throwIfAborted();
  const { host, port, addresses } = peer;
  const target = { host, port, addresses: addresses.map(({ address }) => address) };
  const socket =
    limits.proxy && isProxied(limits.proxy, target)
      ? await dialThrough(limits.proxy, target, limits.connectMs, signal)
      : await dial(peer, limits.connectMs, signal);
  return peer.tls ? secured(socket, peer.host, peer.tls, limits.tlsMs, signal) : socket;
}

/**
 * Connects to a host that the operator named. @param tls used for https
 * @throws NoAnswer; the signal's reason
 */
export async function connectTo(
  url: URL,
  limits: CallLimits,
  { tls, signal }: { readonly tls: TlsOptions; readonly signal?: AbortSignal },
): Promise<Socket> {
  const isTls = /^(https|smtps):$/.test(url.protocol);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
  const family = isIP(host);
  // The operator named the host: the proxy resolves it.
  const isPassedOn = limits.proxy && isProxied(limits.proxy, { host, port });
  if (isPassedOn) return openConnection({ host, port, addresses: [], tls: isTls ? tls : undefined }, limits, signal);
  const addresses = family === 0 ? await withinDns(resolved(host), limits, signal) : [{ address: host, family }];
  return openConnection({ host, port, addresses, tls: isTls ? tls : undefined }, limits, signal);
}

async function resolved(host: string): Promise<readonly ResolvedAddress[]> {
  try {
    return await resolveHost(host);
  } catch (cause) {
    throw new NoAnswer(`host name not resolved: ${host}`, { phase: "dns", cause });
  }
}

/** Waits for a name to be resolved, and no longer than allowed. @throws NoAnswer; errors of the work */
export async function withinDns<T>(work: Promise<T>, { dnsMs }: Pick<CallLimits, "dnsMs">, signal?: AbortSignal) {
  const limit = new AbortController();
  const stop = (): void => limit.abort(signal?.reason);
  const timer = setTimeout(() => limit.abort(late("dns", dnsMs)), dnsMs);
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return await unlessAborted(work, limit.signal);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** The next address is tried after this time, beside those before it (RFC 8305 section 5). */
const STAGGER_MS = 250;

/** The first address that accepts wins; those that hang cost the others nothing. */
function dial({ host, port, addresses }: Peer, connectMs: number, signal?: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const left = alternating(addresses);
    const tried = new Set<Socket>();
    let first: Error | undefined;
    let stagger: NodeJS.Timeout | undefined;
    const end = (winner?: Socket): void => {
      clearTimeout(limit);
      clearTimeout(stagger);
      signal?.removeEventListener("abort", aborted);
      for (const socket of tried) if (socket !== winner) socket.destroy();
    };
    const fail = (error: unknown): void => {
      end();
      reject(error);
    };
    const aborted = (): void => fail(signal?.reason);
    const limit = setTimeout(() => fail(late("connect", connectMs)), connectMs);
    const tryNext = (): void => {
      clearTimeout(stagger);
      const next = left.shift();
      if (!next) return;
      const socket = connectTcp({ host: next.address, port, family: next.family });
      tried.add(socket);
      socket.once("connect", () => {
        end(socket);
        socket.removeAllListeners("error");
        resolve(socket);
      });
      socket.on("error", (error) => {
        first ??= error;
        tried.delete(socket);
        if (left.length > 0) tryNext();
        else if (tried.size === 0) fail(unconnected(first));
      });
      if (left.length > 0) stagger = setTimeout(tryNext, STAGGER_MS);
    };
    signal?.addEventListener("abort", aborted, { once: true });
    if (left.length === 0) fail(new NoAnswer(`${host} has no address`, { phase: "dns" }));
    else tryNext();
  });
}

async function dialThrough(
  proxy: OutgoingProxy,
  target: { readonly host: string; readonly port: number },
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Socket> {
  try {
    return await connectThrough(proxy, target, { timeoutMs, signal });
  } catch (cause) {
    if (!(cause instanceof ProxyFailed)) throw cause;
    throw new NoAnswer(`no connection: ${cause.message}`, { phase: "connect", cause });
  }
}

/** The families take turns, so that one that is broken delays the other by one step only. */
function alternating(addresses: readonly ResolvedAddress[]): ResolvedAddress[] {
  const [first] = addresses;
  const same = addresses.filter(({ family }) => family === first?.family);
  const other = addresses.filter(({ family }) => family !== first?.family);
  const most = Math.max(same.length, other.length);
  return Array.from({ length: most }, (_, at) => [same[at], other[at]])
    .flat()
    .filter((each) => each !== undefined);
}

async function secured(
  socket: Socket,
  host: string,
  { ca, alpn, rejectUnauthorized = true, cert, key, servername }: TlsOptions,
  tlsMs: number,
  signal?: AbortSignal,
): Promise<TLSSocket> {
  // Loaded with the first call, for a quicker start.
  const { connect } = await import("node:tls");
  return new Promise((resolve, reject) => {
    const options = {
      ...{ socket, host: servername ?? host, rejectUnauthorized },
      // RFC 6066 section 3: no addresses.
      ...(isIP(servername ?? host) === 0 ? { servername: servername ?? host } : {}),
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
    };
    let tls: TLSSocket;
    try {
      tls = connect(options);
    } catch (cause) {
      // A certificate or key that cannot be read.
      socket.destroy();
      reject(new NoAnswer(`no TLS: ${String((cause as Error).message)}`, { phase: "tls", cause }));
      return;
    }
    const end = (error: unknown): void => {
      clearTimeout(limit);
      signal?.removeEventListener("abort", aborted);
      tls.removeListener("error", failed);
      tls.removeListener("close", closed);
      if (error === undefined) return resolve(tls);
      // A later error of a destroyed socket has no reader.
      tls.on("error", () => undefined);
      tls.destroy();
      socket.destroy();
      reject(error);
    };
    const aborted = (): void => end(signal?.reason ?? new Error("aborted"));
    const failed = (cause: Error): void =>
      end(new NoAnswer(`no TLS: ${withoutAdvice(cause)}`, { phase: "tls", cause }));
    const closed = (): void => end(new NoAnswer("no TLS: the connection was closed", { phase: "tls" }));
    const limit = setTimeout(() => end(late("tls", tlsMs)), tlsMs);
    signal?.addEventListener("abort", aborted, { once: true });
    tls.once("secureConnect", () => end(undefined));
    tls.on("error", failed);
    tls.on("close", closed);
  });
}

/** Node 24 adds how a Node of one's own is started: `; if the root CA is installed locally, try …`. */
const withoutAdvice = ({ message }: Error): string => message.replace(/; if the root CA .*$/, "");

const WHAT: Readonly<Record<CallPhase, string>> = {
  dns: "host name not resolved",
  connect: "no connection",
  tls: "no TLS",
  answer: "no answer",
};

/** A phase took longer than its limit. */
export function late(phase: CallPhase, limitMs: number): NoAnswer {
  return new NoAnswer(`${WHAT[phase]} within ${limitMs / 1000} s`, { phase, timedOut: true });
}

/** The error with the name of the provider. */
export function named(provider: string, error: unknown): unknown {
  if (!(error instanceof NoAnswer)) return error;
  const { message, phase, timedOut } = error;
  return new NoAnswer(`${provider}: ${message}`, { phase, timedOut, cause: error });
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection was refused",
  ECONNRESET: "the connection was reset",
  EHOSTUNREACH: "there is no route to the host",
  ENETUNREACH: "the network cannot be reached",
};

/** Without the address: users must not learn how the operator's network resolves. */
function unconnected(cause: Error): NoAnswer {
  return new NoAnswer(reasonOf(cause, "no connection"), { phase: "connect", cause });
}

/** The connection broke before the whole answer. */
export function broken(cause: Error): NoAnswer {
  if (cause instanceof NoAnswer) return cause;
  return new NoAnswer(`no answer: ${reasonOf(cause, cause.message)}`, { phase: "answer", cause });
}

function reasonOf(cause: Error, otherwise: string): string {
  const code = "code" in cause ? String(cause.code) : "";
  const reason = REASONS[code] ?? otherwise;
  return code === "" ? reason : `${reason} (${code})`;
}
