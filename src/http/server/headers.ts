import type { HttpResponse } from "uWebSockets.js";
import { randomUUID } from "node:crypto";
import { isIP } from "node:net";
import { PrismError } from "../../core/errors.ts";
import { addressText, CidrSet } from "../../core/ip-addresses.ts";
import type { Logger } from "../../core/log.ts";

/**
 * Constant header lines per class of answers. uWebSockets writes a header's value unchanged, so one
 * call into the addon can carry a dozen lines (single calls cost 5 % of the throughput).
 */

const COMMON = [
  "X-Content-Type-Options: nosniff",
  "Referrer-Policy: no-referrer",
  "Cross-Origin-Resource-Policy: same-origin",
  "X-Frame-Options: DENY",
];

/** JSON answers (docs/security.md); headers for HTML are in {@link DOCUMENT_HEADERS}. */
export const API_HEADERS = [...COMMON, "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'"].join(
  "\r\n",
);

/** Pages: own scripts and styles, nothing inline, nothing from other sites. */
export const DOCUMENT_HEADERS = [
  ...COMMON,
  "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
    "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  "Cross-Origin-Opener-Policy: same-origin",
  "Permissions-Policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()",
].join("\r\n");

/** Files with signed links: usable on any page, without active content. */
export const MEDIA_HEADERS = [
  "X-Content-Type-Options: nosniff",
  "Referrer-Policy: no-referrer",
  "Cross-Origin-Resource-Policy: cross-origin",
  "X-Frame-Options: DENY",
  "Content-Security-Policy: sandbox",
].join("\r\n");

/** In answers of a copy of a node without a leader: who owns what was stored. Clients never see it. */
export const OWNER_HEADER = "prism-owner";

/** In requests that a node took without a leader: when it did, in epoch ms. */
export const TAKEN_AT_HEADER = "prism-taken-at";

export const JSON_TYPE = "application/json; charset=utf-8";

/** Removes characters that could end a header line, for values from outside. */
export function headerValue(value: string): string {
  return value.replace(/[^\t\x20-\x7e\x80-\xff]/g, "");
}

/**
 * @returns the field's value; values of repeated fields are joined as in RFC 9110 section 5.3, so
 * that none is missed.
 */
export function headerOf(headers: readonly string[], name: string): string {
  let value: string | undefined;
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i] !== name) continue;
    value = value === undefined ? (headers[i + 1] as string) : `${value}, ${headers[i + 1]}`;
  }
  return value ?? "";
}

const MAX_URL_BYTES = 8192;
const MAX_HEAD_BYTES = 16_384;
/** Colon, space and line end of a header field. */
const FIELD_EXTRA_BYTES = 4;

/** Flags in the result of {@link checkHead}. */
export const ENDS_CONNECTION = 1;
export const IS_CHUNKED = 2;

/** A head after which the next request's start is unknown: 400, and the connection closes. */
export class BadHead extends PrismError {
  override readonly name = "BadHead";
  constructor(message: string) {
    super("VALIDATION_FAILED", message);
  }
}

/**
 * Refuses heads that the library's parser accepts wrongly (docs/http.md): too large ones that
 * arrive in pieces, any Transfer-Encoding, and repeated fields for framing or the host. Two
 * interpretations of a request's end allow request smuggling past a proxy (RFC 9112 section 11.2).
 * @param urlLength length of path and query
 * @param headers alternating names (lower case) and values
 * @returns {@link ENDS_CONNECTION} and {@link IS_CHUNKED}, combined
 * @throws URI_TOO_LONG, HEADERS_TOO_LARGE, BadHead
 */
export function checkHead(urlLength: number, headers: readonly string[]): number {
  let bytes = urlLength;
  if (bytes > MAX_URL_BYTES) throw new PrismError("URI_TOO_LONG", "The URL is longer than 8 KiB");
  let found = 0;
  let hosts = 0;
  let framings = 0;
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const value = headers[i + 1] as string;
    bytes += name.length + value.length + FIELD_EXTRA_BYTES;
    // Few names have the same length: most fields cost one comparison of numbers.
    switch (name.length) {
      case 4:
        if (name === "host") hosts++;
        break;
      case 10:
        if (name === "connection") found = value === "close" ? found | ENDS_CONNECTION : found & ~ENDS_CONNECTION;
        break;
      case 14:
        if (name !== "content-length") break;
        framings++;
        if (value === "") throw new BadHead("Content-Length is empty");
        break;
      case 17:
        if (name !== "transfer-encoding") break;
        framings++;
        found |= IS_CHUNKED;
        if (value.toLowerCase() !== "chunked") throw new BadHead("The only Transfer-Encoding is chunked");
    }
  }
  if (bytes > MAX_HEAD_BYTES) throw new PrismError("HEADERS_TOO_LARGE", "The header fields are larger than 16 KiB");
  if (framings > 1) throw new BadHead("Only one Content-Length or Transfer-Encoding may frame the body");
  if (hosts > 1) throw new BadHead("More than one Host");
  return found;
}

/** RFC 9110 section 15, RFC 6585, RFC 4918. */
const REASON: Readonly<Record<number, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  203: "Non-Authoritative Information",
  205: "Reset Content",
  206: "Partial Content",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  402: "Payment Required",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  406: "Not Acceptable",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  414: "URI Too Long",
  415: "Unsupported Media Type",
  416: "Range Not Satisfiable",
  421: "Misdirected Request",
  422: "Unprocessable Content",
  423: "Locked",
  424: "Failed Dependency",
  425: "Too Early",
  426: "Upgrade Required",
  428: "Precondition Required",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  507: "Insufficient Storage",
};

const LINES = new Map(Object.entries(REASON).map(([status, reason]) => [Number(status), `${status} ${reason}`]));

export function statusLine(status: number): string {
  return LINES.get(status) ?? `${status} Unknown`;
}

/** In which a proxy that signs people in sends its secret. */
export const PROXY_SECRET_HEADER = "prism-proxy-secret";

/** All headers that such a proxy sets, in lower case. */
export function proxySignInHeaders({
  auth: { proxyHeader },
}: {
  readonly auth: { readonly proxyHeader: { readonly name?: string | undefined; readonly groups?: string | undefined } };
}): ReadonlySet<string> {
  const names = [proxyHeader.name, proxyHeader.groups].flatMap((name) => name?.toLowerCase() ?? []);
  return new Set([PROXY_SECRET_HEADER, ...names]);
}

/** The nodes of a cluster that a request came through. */
export const HOPS_HEADER = "prism-hop";
/** Its value in requests of this process to its own server: what it held as a follower, until it led. */
export const OWN_HOP: string = randomUUID();
const ownAddresses = new Set<string>();

/** Believes `X-Forwarded-For` of requests from this address with {@link OWN_HOP}. */
export function trustOwnHop(address: string): void {
  ownAddresses.add(canonicalAddress(address) ?? address);
}

/** Determines the client's address from the peer's and, with trusted proxies, the headers. */
export type AddressReader = (res: HttpResponse, headers: readonly string[]) => string;

interface Peer {
  readonly text: string;
  /** A trusted proxy. */
  readonly isTrusted: boolean;
}

const MAX_PEERS = 1000;

/**
 * The client's address: the peer's, or, if the peer is a trusted proxy, the first address outside
 * the trusted ranges in X-Forwarded-For from the right; addresses further left come from the
 * client. This process is a trusted proxy too.
 * @param onUntrusted called for each request with that header from an untrusted peer.
 */
export function clientAddressReader(
  trustedProxies: readonly string[],
  onUntrusted: (peer: string) => void = () => undefined,
): AddressReader {
  const trusted = new CidrSet(trustedProxies);
  const peers = new Map<number, Peer>();
  const read = (bytes: Uint8Array): Peer => {
    const text = addressText(bytes);
    return { text, isTrusted: trusted.has(text) };
  };
  /** Peers repeat, and their text takes longer than the rest of a request's head. */
  const peerOf = (bytes: Uint8Array): Peer => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes;
    if (bytes.length !== 4) return read(bytes);
    const key = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    let known = peers.get(key);
    if (!known) {
      if (peers.size >= MAX_PEERS) peers.clear();
      known = read(bytes);
      peers.set(key, known);
    }
    return known;
  };
  return (res, headers) => {
    const { text: peer, isTrusted } = peerOf(new Uint8Array(res.getRemoteAddress()));
    const isOwn = ownAddresses.has(peer) && headerOf(headers, HOPS_HEADER) === OWN_HOP;
    if (!isOwn && !isTrusted) {
      if (headerOf(headers, "x-forwarded-for") !== "") onUntrusted(peer);
      return peer;
    }
    return firstOutside(trusted, headerOf(headers, "x-forwarded-for")) ?? peer;
  };
}

/** @returns undefined when all are trusted, or one is no address */
function firstOutside(trusted: CidrSet, forwardedFor: string): string | undefined {
  for (const hop of forwardedFor.split(",").reverse()) {
    const address = canonicalAddress(hop.trim());
    if (address === undefined || !trusted.has(address)) return address;
  }
  return undefined;
}

/** As {@link clientAddressReader}, of a request at a node that follows. */
export function clientBehind(trusted: CidrSet, peer: string, forwardedFor: string): string {
  const address = canonicalAddress(peer) ?? peer;
  return trusted.has(address) ? (firstOutside(trusted, forwardedFor) ?? address) : address;
}

/** Headers that proxies, load balancers and CDNs add to forwarded requests. */
const FORWARDING_NAMES = new Set(["forwarded", "via", "true-client-ip", "client-ip", "x-host", "x-proxyuser-ip"]);
const FORWARDING_PREFIXES = [
  ...["x-forwarded", "x-real-", "x-client-", "x-cluster-", "x-remote-", "x-original-", "x-rewrite-", "x-proxy-"],
  ...["akamai-", "cdn-", "cf-", "fastly-", "fly-", "x-akamai-", "x-amz-cf-", "x-amzn-", "x-appengine-", "x-arr-"],
  ...["x-azure-", "x-envoy-", "x-goog-", "x-nf-", "x-sucuri-", "x-vercel-"],
];
function isForwarding(name: string): boolean {
  return FORWARDING_NAMES.has(name) || FORWARDING_PREFIXES.some((prefix) => name.startsWith(prefix));
}

/** Whether a header shows that a proxy, load balancer or CDN forwarded the request. */
export function isForwarded(exchange: { headerNames(): readonly string[] }): boolean {
  return exchange.headerNames().some(isForwarding);
}

/** Whether a program on this machine sent the request directly. */
export function isFromThisMachine(exchange: {
  readonly isControl: boolean;
  readonly clientAddress: string;
  headerNames(): readonly string[];
}): boolean {
  return exchange.isControl || (/^(127\.|::1$)/.test(exchange.clientAddress) && !isForwarded(exchange));
}

/**
 * An address in the form of {@link addressText}, so that two spellings do not count as two callers.
 * @returns undefined for an invalid address.
 */
export function canonicalAddress(text: string): string | undefined {
  const version = isIP(text);
  if (version === 4) return text;
  if (version === 0 || text.includes("%")) return undefined;
  // The URL parser (WHATWG URL section 3.5) accepts every form and returns lower-case groups.
  const [head = "", tail] = new URL(`http://[${text}]`).hostname.slice(1, -1).split("::");
  const left = groupsOf(head);
  const right = groupsOf(tail ?? "");
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0);
  const groups = [...left, ...zeros, ...right];
  return addressText(Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff])));
}

function groupsOf(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

/** Group for counting addresses: an IPv4 address, or the /64 of an IPv6 one, as customers have. */
export function addressGroup(address: string): string {
  if (!address.includes(":")) return address;
  return address.split(":").slice(0, 4).join(":");
}

/** A coarser group, used when a table of counters is full: IPv4 /16, IPv6 /48. */
export function coarseAddressGroup(address: string): string {
  if (!address.includes(":")) {
    const second = address.indexOf(".", address.indexOf(".") + 1);
    return second < 0 ? address : address.slice(0, second);
  }
  return address.split(":").slice(0, 3).join(":");
}

/** Counts requests with X-Forwarded-For from peers that are not in `trustedProxies`. */
export class UntrustedForwards {
  readonly #log: Logger;
  #peer: string | null = null;
  #count = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  get count(): number {
    return this.#count;
  }

  /** A warning for operators; null for none. */
  get warning(): string | null {
    if (this.#peer === null) return null;
    return (
      `${this.#count} requests had X-Forwarded-For from a peer that is not trusted, first ${this.#peer}: ` +
      "all its clients count as one address; add it to trustedProxies if it is your proxy"
    );
  }

  /** Only the first one is logged. */
  add(peer: string): void {
    this.#count++;
    if (this.#peer !== null) return;
    this.#peer = peer;
    this.#log.warn(
      { peer },
      "ignored X-Forwarded-For of a peer that is not in trustedProxies; its clients count as one address",
    );
  }
}
