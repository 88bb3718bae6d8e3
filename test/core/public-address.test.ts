import assert from "node:assert/strict";
import test from "node:test";
import { isPublicAddress } from "../../src/core/ip-addresses.ts";

const PUBLIC = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.0.1.1"];
const PUBLIC_V6 = ["2606:4700:4700::1111", "2001:4860:4860::8888", "2a00::1", "3ffe::1"];

const SPECIAL: Readonly<Record<string, readonly string[]>> = {
  loopback: ["127.0.0.1", "127.255.255.254", "::1", "0:0:0:0:0:0:0:1"],
  unspecified: ["0.0.0.0", "0.1.2.3", "::"],
  private: ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fdff::1"],
  "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0", "febf::1"],
  CGNAT: ["100.64.0.1", "100.127.255.255"],
  multicast: ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
  broadcast: ["255.255.255.255"],
  reserved: ["240.0.0.1", "192.0.0.1", "192.88.99.1", "fec0::1", "4000::1"],
  metadata: ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"],
  documentation: ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
  benchmarks: ["198.18.0.1", "198.19.255.255", "2001:2::1"],
  "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:7f00:1", "::FFFF:10.0.0.1", "::ffff:8.8.8.8", "::ffff:808:808"],
  "IPv4 in IPv6": ["::127.0.0.1", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::1", "2001:0:7f00:1::1"],
  "no address": ["", "localhost", "127.1", "2130706433", "0x7f000001", "1.2.3.4.5", "::::", "[::1]"],
};

test("12.6 addresses of the Internet at large are public, and all that is special is not", async (t) => {
  for (const address of [...PUBLIC, ...PUBLIC_V6])
    await t.test(address, () => assert.equal(isPublicAddress(address), true));
  for (const [kind, addresses] of Object.entries(SPECIAL))
    for (const address of addresses)
      await t.test(`${kind}: ${address}`, () => assert.equal(isPublicAddress(address), false));
});
