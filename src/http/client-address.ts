import { addressText, CidrSet, unmapIpv4 } from "../base/cidr.ts";
import { type AddressReader, headerOf } from "./exchange.ts";

/**
 * Whose request this is: the peer, or, when the peer is a trusted proxy, the first address outside the trusted ranges in
 * X-Forwarded-For, read from the right (what stands further left was written by the client).
 */
export function clientAddressReader(trustedProxies: readonly string[]): AddressReader {
  const trusted = new CidrSet(trustedProxies);
  return (res, headers) => {
    const peer = addressText(new Uint8Array(res.getRemoteAddress()));
    if (trusted.isEmpty || !trusted.has(peer)) return peer;
    const hops = headerOf(headers, "x-forwarded-for").split(",");
    for (let i = hops.length - 1; i >= 0; i--) {
      const hop = unmapIpv4((hops[i] as string).trim());
      if (hop === "") break;
      if (!isAddress(hop)) return peer;
      if (!trusted.has(hop)) return hop;
    }
    return peer;
  };
}

function isAddress(text: string): boolean {
  return /^[0-9a-fA-F:.]{2,45}$/.test(text);
}

/** What addresses are counted by: IPv4 whole, IPv6 by /64, which is what one customer has. */
export function addressGroup(address: string): string {
  if (!address.includes(":")) return address;
  return address.split(":").slice(0, 4).join(":");
}

/** The coarser group that takes over when a table of counters is full: IPv4 /16, IPv6 /48. */
export function coarseAddressGroup(address: string): string {
  if (!address.includes(":")) return address.split(".").slice(0, 2).join(".");
  return address.split(":").slice(0, 3).join(":");
}
