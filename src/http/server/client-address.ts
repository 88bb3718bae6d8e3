import type { HttpResponse } from "uWebSockets.js";
import { randomUUID } from "node:crypto";
import { isIP } from "node:net";
import { addressText, CidrSet } from "../../core/ip-addresses.ts";
import type { Logger } from "../../core/log.ts";
import { headerOf } from "./headers.ts";

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
  if (!address.includes(":")) return address.split(".").slice(0, 2).join(".");
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
