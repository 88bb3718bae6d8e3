import type { Socket } from "node:net";
import { isIP } from "node:net";
import { CidrSet } from "../core/ip-addresses.ts";

/** The settings `proxy.*`. */
export interface ProxySettings {
  readonly url?: string | undefined;
  readonly noProxy: readonly string[];
  readonly resolves: boolean;
}

/** The proxy that HTTP calls leave through, by CONNECT. */
export interface OutgoingProxy {
  readonly url: URL;
  /** Hosts that are called directly: names, domains, addresses and ranges, `*` for all. */
  readonly noProxy: readonly string[];
  /** Names that do not resolve here are left to the proxy, which then has to refuse private addresses. */
  readonly resolves: boolean;
}

/** @returns null without `proxy.url` */
export function outgoingProxyOf({ url, noProxy, resolves }: ProxySettings): OutgoingProxy | null {
  return url === undefined ? null : { url: new URL(url), noProxy, resolves };
}

/** Without its credentials. */
export function proxyName({ url }: OutgoingProxy): string {
  return `${url.protocol}//${url.host}`;
}

interface Target {
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** What the host resolves to, if it is known. */
  readonly addresses?: readonly string[];
}

const LOOPBACK = new CidrSet(["127.0.0.0/8", "::1/128"]);

/** Whether calls to this host leave through the proxy. Those to this machine never do. */
export function isProxied(proxy: OutgoingProxy, { host, port, addresses = [] }: Target): boolean {
  const known = isIP(host) === 0 ? addresses : [host];
  const isHere = known.length > 0 && known.every((address) => LOOPBACK.has(address));
  if (isHere || /^(?:.+\.)?localhost\.?$/i.test(host)) return false;
  const name = host.toLowerCase().replace(/\.$/, "");
  return !proxy.noProxy.flatMap((entry) => entry.split(/\s+/)).some((entry) => isNamed(entry, name, port, known));
}

/** `example.com` and `.example.com` mean the name and all below it, as for curl; a port may follow. */
function isNamed(entry: string, name: string, port: number, addresses: readonly string[]): boolean {
  if (entry === "*") return true;
  if (/\/\d+$/.test(entry) || isIP(entry) > 0) return addresses.length > 0 && addresses.every(inRange(entry));
  const [, text = "", ofPort] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
  if (text === "" || (ofPort !== undefined && Number(ofPort) !== port)) return false;
  return name === text || name.endsWith(`.${text}`);
}

function inRange(entry: string): (address: string) => boolean {
  try {
    const range = new CidrSet([entry]);
    range.has("127.0.0.1");
    return (address) => range.has(address);
  } catch {
    return () => false;
  }
}

/** The proxy could not be used. */
export class ProxyFailed extends Error {
  override readonly name = "ProxyFailed";
}

interface Limits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

const MAX_HEAD = 16_384;

/**
 * A connection to a host through the proxy (RFC 9110 section 9.3.6). @throws ProxyFailed; the
 * signal's reason
 */
export async function connectThrough(proxy: OutgoingProxy, to: Target, { timeoutMs, signal }: Limits): Promise<Socket> {
  signal?.throwIfAborted();
  const socket = await openProxy(proxy.url);
  return new Promise((resolve, reject) => {
    let head = "";
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
      for (const [name, listener] of Object.entries(listeners)) socket.off(name, listener);
    };
    const fail = (error: unknown): void => {
      end();
      // A later error of a destroyed socket has no reader.
      socket.on("error", () => undefined);
      socket.destroy();
      reject(error);
    };
    const failed = (why: string, cause?: unknown): void =>
      fail(new ProxyFailed(`the outgoing proxy ${why}`, { cause }));
    const aborted = (): void => fail(signal?.reason);
    const timer = setTimeout(() => failed("did not answer in time"), timeoutMs);
    signal?.addEventListener("abort", aborted, { once: true });
    const connected = (): void => void socket.write(requestOf(proxy.url, to));
    const broken = (cause: Error): void =>
      failed(`cannot be reached (${String(Object(cause).code ?? cause.message)})`, cause);
    const closed = (): void => failed("closed the connection");
    const answered = (): void => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null)
        head += chunk.toString("latin1");
      const length = head.indexOf("\r\n\r\n");
      if (length === -1 && head.length <= MAX_HEAD) return;
      const [, status] = /^HTTP\/1\.\d (\d{3})/.exec(head) ?? [];
      if (status === undefined || length === -1) return failed("does not speak HTTP");
      if (status === "407") return failed("answered 407: proxy.url needs a name and a password that it accepts");
      if (!status.startsWith("2")) return failed(`answered ${status}`);
      // No service speaks first.
      if (head.length > length + 4) return failed("does not speak HTTP");
      end();
      resolve(socket);
    };
    const ready = proxy.url.protocol === "https:" ? "secureConnect" : "connect";
    const listeners = { [ready]: connected, error: broken, close: closed, readable: answered };
    for (const [name, listener] of Object.entries(listeners)) socket.on(name, listener);
  });
}

async function openProxy(url: URL): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const isTls = url.protocol === "https:";
  const port = url.port === "" ? (isTls ? 443 : 80) : Number(url.port);
  if (!isTls) return (await import("node:net")).connect({ host, port });
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return (await import("node:tls")).connect({ host, port, ...servername });
}

/** A bare `%` stays. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function requestOf({ username, password }: URL, { host, port }: Target): string {
  const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`];
  if (username !== "") {
    const credentials = `${unescaped(username)}:${unescaped(password)}`;
    lines.push(`Proxy-Authorization: Basic ${Buffer.from(credentials).toString("base64")}`);
  }
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** A call of {@link requestThrough}. */
export interface ThroughRequest extends Limits {
  readonly method: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | undefined;
  /** The answer's body is cut here; 0: it is not read. */
  readonly maxBytes: number;
}

interface ThroughAnswer {
  readonly status: number;
  /** The value of `Content-Type`; empty without one. */
  readonly type: string;
  readonly body: Buffer;
}

/** An HTTP request through the proxy, on a connection of its own, without redirects. @throws Error */
export async function requestThrough(
  proxy: OutgoingProxy,
  url: URL,
  { method, headers = {}, body, maxBytes, timeoutMs, signal }: ThroughRequest,
): Promise<ThroughAnswer> {
  const limit = AbortSignal.timeout(timeoutMs);
  const either = signal ? AbortSignal.any([signal, limit]) : limit;
  const target = targetOf(url);
  const plain = await connectThrough(proxy, target, { timeoutMs, signal: either });
  const { connect } = await import("node:tls");
  const servername = isIP(target.host) === 0 ? { servername: target.host } : {};
  const socket = url.protocol === "https:" ? connect({ socket: plain, host: target.host, ...servername }) : plain;
  const { request } = await import("node:http");
  return new Promise((resolve, reject) => {
    const length = body ? { "Content-Length": String(body.length) } : {};
    const call = request({
      ...{ method, path: url.pathname + url.search, createConnection: () => socket, signal: either },
      headers: { Host: url.host, ...headers, ...length, Connection: "close" },
    });
    call.on("error", reject);
    call.on("response", (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const settle = (): void => {
        const type = response.headers["content-type"] ?? "";
        resolve({ status: response.statusCode ?? 0, type, body: Buffer.concat(chunks).subarray(0, maxBytes) });
        call.destroy();
      };
      if (maxBytes === 0) return settle();
      response.on("data", (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size >= maxBytes) settle();
      });
      response.on("end", settle);
      response.on("error", reject);
    });
    call.end(body);
  });
}

/** Host and port of a URL. */
export function targetOf(url: URL): Target {
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port };
}
