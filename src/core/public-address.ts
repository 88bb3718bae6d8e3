import { isIPv4, isIPv6 } from "node:net";
import { CidrSet } from "./cidr.ts";

/** What the IANA registry of special-purpose addresses (RFC 6890) keeps from the Internet, and what clouds put among public addresses for their machines alone. */
const NOT_PUBLIC_V4 = new CidrSet([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  // Link-local, the metadata services of most clouds among it.
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/4",
  "240.0.0.0/4",
  // Azure's own, for every virtual machine.
  "168.63.129.16",
]);

/** Global unicast (RFC 4291 section 2.4): loopback, link-local, unique local, multicast, mapped and translated IPv4 all lie outside. */
const GLOBAL_UNICAST_V6 = new CidrSet(["2000::/3"]);

/** Teredo and other assignments of protocols, documentation, 6to4, which carries any IPv4 address. */
const NOT_PUBLIC_V6 = new CidrSet(["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"]);

/** Whether an address is one of the Internet at large. @returns false for a text that is no address, and for IPv4 mapped into IPv6. */
export function isPublicAddress(address: string): boolean {
  // A zone (fe80::1%eth0) names an interface of this machine.
  if (address.includes("%")) return false;
  if (isIPv4(address)) return !NOT_PUBLIC_V4.has(address);
  return isIPv6(address) && GLOBAL_UNICAST_V6.has(address) && !NOT_PUBLIC_V6.has(address);
}
