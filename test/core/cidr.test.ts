import assert from "node:assert/strict";
import test from "node:test";
import { addressText, CidrSet, parseCidr, unmapIpv4 } from "../../src/core/ip-addresses.ts";

test("an address or a range is read", async (t) => {
  for (const { text, cidr } of [
    { text: "10.0.0.0/8", cidr: { address: "10.0.0.0", prefix: 8, family: "ipv4" } },
    { text: "192.0.2.1", cidr: { address: "192.0.2.1", prefix: 32, family: "ipv4" } },
    { text: "0.0.0.0/0", cidr: { address: "0.0.0.0", prefix: 0, family: "ipv4" } },
    { text: "fd00::/8", cidr: { address: "fd00::", prefix: 8, family: "ipv6" } },
    { text: "::1", cidr: { address: "::1", prefix: 128, family: "ipv6" } },
  ])
    await t.test(text, () => assert.deepEqual(parseCidr(text), cidr));
  for (const text of [
    "",
    "localhost",
    "10.0.0.0/33",
    "::/129",
    "10.0.0.0/",
    "10.0.0.0/8/8",
    "10.0.0.0/-1",
    "10.0.0/8",
    "1.2.3.4/0x8",
    "fe80::1%eth0",
  ])
    await t.test(`not ${text || "nothing"}`, () => assert.equal(parseCidr(text), undefined));
});

test("a set answers whether an address lies inside", async (t) => {
  const set = new CidrSet(["10.0.0.0/8", "192.0.2.7", "fd00::/8", "2001:db8::1/128"]);
  for (const { address, isInside } of [
    { address: "10.255.255.255", isInside: true },
    { address: "11.0.0.0", isInside: false },
    { address: "192.0.2.7", isInside: true },
    { address: "192.0.2.8", isInside: false },
    { address: "fdff::1", isInside: true },
    { address: "fe00::1", isInside: false },
    { address: "2001:db8:0:0:0:0:0:1", isInside: true },
    { address: "::ffff:10.1.2.3", isInside: true },
    { address: "::FFFF:11.1.2.3", isInside: false },
    { address: "::ffff:0a01:0203", isInside: true },
    { address: "not an address", isInside: false },
    { address: "1.2.3.4.5", isInside: false },
    { address: "::::", isInside: false },
    { address: "", isInside: false },
  ])
    await t.test(address || "nothing", () => assert.equal(set.has(address), isInside));
});

test("an empty set contains nothing, and an invalid range is an internal error", () => {
  const none = new CidrSet([]);
  assert.deepEqual([none.isEmpty, none.has("127.0.0.1")], [true, false]);
  assert.throws(() => new CidrSet(["nonsense"]).has("10.0.0.1"), TypeError);
});

test("the bytes that a socket gives become the address's text", async (t) => {
  const v6 = (text: string): Uint8Array => Uint8Array.from(text.split(" ").map((byte) => Number.parseInt(byte, 16)));
  for (const { name, bytes, text } of [
    { name: "IPv4", bytes: Uint8Array.of(192, 0, 2, 1), text: "192.0.2.1" },
    { name: "IPv4 in IPv6", bytes: v6("0 0 0 0 0 0 0 0 0 0 ff ff c0 0 2 1"), text: "192.0.2.1" },
    { name: "IPv6", bytes: v6("20 1 d b8 0 0 0 0 0 0 0 0 0 0 0 1"), text: "2001:db8:0:0:0:0:0:1" },
    { name: "the loopback", bytes: v6("0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1"), text: "0:0:0:0:0:0:0:1" },
    { name: "nothing", bytes: new Uint8Array(0), text: "" },
  ])
    await t.test(name, () => assert.equal(addressText(bytes), text));
  assert.equal(unmapIpv4("2001:db8::1"), "2001:db8::1");
});
