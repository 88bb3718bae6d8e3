import { BlockList, isIP, isIPv4, isIPv6 } from "node:net";

interface Cidr {
  readonly address: string;
  readonly prefix: number;
  readonly family: "ipv4" | "ipv6";
}

/** Parses an address or a CIDR range (RFC 4632, RFC 4291 section 2.3). */
export function parseCidr(text: string): Cidr | undefined {
  const [address = "", prefixText, ...rest] = text.split("/");
  const version = isIP(address);
  // A zone (fe80::1%eth0) names an interface of this machine; a range cannot contain it.
  if (version === 0 || rest.length > 0 || address.includes("%")) return undefined;
  const bits = version === 4 ? 32 : 128;
  const prefix = prefixText === undefined ? bits : Number(prefixText);
  if (prefixText !== undefined && !/^\d{1,3}$/.test(prefixText)) return undefined;
  return prefix > bits ? undefined : { address, prefix, family: version === 4 ? "ipv4" : "ipv6" };
}

/** A set of address ranges. IPv4-mapped IPv6 addresses count as IPv4. */
export class CidrSet {
  readonly #ranges: readonly string[];
  /** Made on first use: Node's pattern of IPv6 addresses takes milliseconds. */
  #blocks: BlockList | null = null;
  readonly isEmpty: boolean;

  /** @param ranges valid ones, as the checks of the configuration find */
  constructor(ranges: readonly string[]) {
    this.isEmpty = ranges.length === 0;
    this.#ranges = ranges;
  }

  /**
   * @returns false for an invalid address, for example from a header.
   * @throws TypeError for an invalid range
   */
  has(address: string): boolean {
    const plain = unmapIpv4(address);
    if (this.isEmpty || isIP(plain) === 0) return false;
    this.#blocks ??= blockListOf(this.#ranges);
    return this.#blocks.check(plain, isIPv4(plain) ? "ipv4" : "ipv6");
  }
}

function blockListOf(ranges: readonly string[]): BlockList {
  const blocks = new BlockList();
  for (const range of ranges) {
    const cidr = parseCidr(range);
    if (!cidr) throw new TypeError(`${range} is not an address range`);
    blocks.addSubnet(cidr.address, cidr.prefix, cidr.family);
  }
  return blocks;
}

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** `::ffff:192.0.2.1` is 192.0.2.1 (RFC 4291 section 2.5.5.2). */
export function unmapIpv4(address: string): string {
  return MAPPED.exec(address)?.[1] ?? address;
}

/**
 * Text form of the 4 or 16 bytes of a socket's address. IPv4-mapped IPv6 becomes IPv4. IPv6 is
 * lower case without zero compression, which is enough as a key.
 */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const isMapped =
    bytes.length === 16 &&
    bytes.subarray(0, 10).every((byte) => byte === 0) &&
    bytes[10] === 0xff &&
    bytes[11] === 0xff;
  if (isMapped) return bytes.subarray(12).join(".");
  const groups: string[] = [];
  for (let i = 0; i + 1 < bytes.length; i += 2)
    groups.push((((bytes[i] as number) << 8) | (bytes[i + 1] as number)).toString(16));
  return groups.join(":");
}

/**
 * Special-purpose addresses of the IANA registry (RFC 6890), and public addresses that clouds
 * reserve for their own machines.
 */
const NOT_PUBLIC_V4 = [
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  // Link-local; includes the metadata services of most clouds.
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
  // Azure's platform address, reachable from each virtual machine.
  "168.63.129.16",
];

/**
 * Global unicast (RFC 4291 section 2.4). Excludes loopback, link-local, unique local, multicast,
 * mapped and translated IPv4.
 */
const GLOBAL_UNICAST_V6 = ["2000::/3"];

/** Teredo and other protocol assignments, documentation, and 6to4, which embeds an IPv4 address. */
const NOT_PUBLIC_V6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

interface PublicRanges {
  readonly notV4: CidrSet;
  readonly v6: CidrSet;
  readonly notV6: CidrSet;
}

let ranges: PublicRanges | null = null;

/** Made when it is first needed: it takes 5 ms of a start. */
function publicRanges(): PublicRanges {
  ranges ??= {
    notV4: new CidrSet(NOT_PUBLIC_V4),
    v6: new CidrSet(GLOBAL_UNICAST_V6),
    notV6: new CidrSet(NOT_PUBLIC_V6),
  };
  return ranges;
}

/** Whether the address is public. @returns false for an invalid one and for IPv4-mapped IPv6. */
export function isPublicAddress(address: string): boolean {
  // A zone (fe80::1%eth0) names an interface of this machine.
  if (address.includes("%")) return false;
  const { notV4, v6, notV6 } = publicRanges();
  if (isIPv4(address)) return !notV4.has(address);
  return isIPv6(address) && v6.has(address) && !notV6.has(address);
}
