import { BlockList, isIP, isIPv4 } from "node:net";

export interface Cidr {
  readonly address: string;
  readonly prefix: number;
  readonly family: "ipv4" | "ipv6";
}

/** An address, or a range in CIDR notation (RFC 4632, RFC 4291 section 2.3). */
export function parseCidr(text: string): Cidr | undefined {
  const [address = "", prefixText, ...rest] = text.split("/");
  const version = isIP(address);
  // A zone (fe80::1%eth0) names an interface of one machine; a range cannot hold it.
  if (version === 0 || rest.length > 0 || address.includes("%")) return undefined;
  const bits = version === 4 ? 32 : 128;
  const prefix = prefixText === undefined ? bits : Number(prefixText);
  if (prefixText !== undefined && !/^\d{1,3}$/.test(prefixText)) return undefined;
  return prefix > bits ? undefined : { address, prefix, family: version === 4 ? "ipv4" : "ipv6" };
}

/** A set of ranges that answers whether an address lies inside. IPv4 addresses mapped into IPv6 count as IPv4. */
export class CidrSet {
  readonly #blocks = new BlockList();
  readonly isEmpty: boolean;

  /** @throws TypeError for a text that is not a range; the configuration has checked it before. */
  constructor(ranges: readonly string[]) {
    this.isEmpty = ranges.length === 0;
    for (const range of ranges) {
      const cidr = parseCidr(range);
      if (!cidr) throw new TypeError(`${range} is not an address range`);
      this.#blocks.addSubnet(cidr.address, cidr.prefix, cidr.family);
    }
  }

  /** @returns false for a text that is no address: it may come from a header. */
  has(address: string): boolean {
    const plain = unmapIpv4(address);
    if (this.isEmpty || isIP(plain) === 0) return false;
    return this.#blocks.check(plain, isIPv4(plain) ? "ipv4" : "ipv6");
  }
}

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** `::ffff:192.0.2.1` is 192.0.2.1 (RFC 4291 section 2.5.5.2). */
export function unmapIpv4(address: string): string {
  return MAPPED.exec(address)?.[1] ?? address;
}

/**
 * The text form of the 4 or 16 bytes that a socket gives. IPv4 mapped into IPv6 comes out as IPv4; IPv6 is written out in full,
 * lower case, without zero compression: enough to compare and to count by.
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
