import type { HttpResponse } from "uWebSockets.js";
import assert from "node:assert/strict";
import test from "node:test";
import {
  addressGroup,
  canonicalAddress,
  clientAddressReader,
  coarseAddressGroup,
} from "../../src/http/server/headers.ts";

/** As the addon gives a peer: its bytes. */
function peer(...bytes: number[]): HttpResponse {
  return { getRemoteAddress: () => Uint8Array.from(bytes).buffer } as unknown as HttpResponse;
}

const PROXY = peer(10, 0, 0, 1);
const STRANGER = peer(203, 0, 113, 9);

test("X-Forwarded-For counts only from a trusted proxy, and from the right", async (t) => {
  const read = clientAddressReader(["10.0.0.0/8", "2001:db8:ffff::/48"]);
  const rows: { name: string; from: HttpResponse; fields: string[]; client: string }[] = [
    {
      name: "a peer that is not a proxy is the client",
      from: STRANGER,
      fields: ["198.51.100.1"],
      client: "203.0.113.9",
    },
    { name: "a proxy without the header is the client", from: PROXY, fields: [], client: "10.0.0.1" },
    { name: "the only hop is the client", from: PROXY, fields: ["198.51.100.1"], client: "198.51.100.1" },
    {
      name: "addresses that the client wrote are further left",
      from: PROXY,
      fields: ["192.0.2.66, 198.51.100.1"],
      client: "198.51.100.1",
    },
    {
      name: "trusted hops are passed over",
      from: PROXY,
      fields: ["192.0.2.66, 198.51.100.1, 10.2.3.4, 2001:db8:ffff::1"],
      client: "198.51.100.1",
    },
    {
      name: "a second field continues the first: what the proxy added counts",
      from: PROXY,
      fields: ["192.0.2.66", "198.51.100.1"],
      client: "198.51.100.1",
    },
    { name: "only trusted hops: the proxy", from: PROXY, fields: ["10.9.9.9, 10.2.3.4"], client: "10.0.0.1" },
    {
      name: "a hop that is not an address ends the parsing",
      from: PROXY,
      fields: ["198.51.100.1, x"],
      client: "10.0.0.1",
    },
    { name: "an empty hop ends the reading", from: PROXY, fields: ["198.51.100.1,"], client: "10.0.0.1" },
    { name: "a hop with a port is not an address", from: PROXY, fields: ["198.51.100.1:4711"], client: "10.0.0.1" },
    { name: "IPv4 mapped into IPv6 is IPv4", from: PROXY, fields: ["::ffff:198.51.100.1"], client: "198.51.100.1" },
    {
      name: "IPv6 is written out, so that one address has one name",
      from: PROXY,
      fields: ["2001:DB8::1"],
      client: "2001:db8:0:0:0:0:0:1",
    },
  ];
  for (const { name, from, fields, client } of rows) {
    await t.test(name, () => {
      const headers = fields.flatMap((value) => ["x-forwarded-for", value]);
      assert.equal(read(from, ["host", "localhost", ...headers]), client);
    });
  }
});

test("without trusted proxies nothing is read from headers", () => {
  const read = clientAddressReader([]);
  assert.equal(read(PROXY, ["x-forwarded-for", "198.51.100.1"]), "10.0.0.1");
});

test("every spelling of an address comes out the same", async (t) => {
  for (const [spelling, canonical] of [
    ["::1", "0:0:0:0:0:0:0:1"],
    ["0:0:0:0:0:0:0:1", "0:0:0:0:0:0:0:1"],
    ["::", "0:0:0:0:0:0:0:0"],
    ["2001:0db8:0000:0000:0000:0000:0000:00AB", "2001:db8:0:0:0:0:0:ab"],
    ["fe80::", "fe80:0:0:0:0:0:0:0"],
    ["::ffff:c633:6401", "198.51.100.1"],
    ["64:ff9b::198.51.100.1", "64:ff9b:0:0:0:0:c633:6401"],
    ["198.51.100.1", "198.51.100.1"],
    ["fe80::1%eth0", undefined],
    ["198.51.100.256", undefined],
    ["1:2:3:4:5:6:7:8:9", undefined],
    ["::::", undefined],
    ["", undefined],
    ["localhost", undefined],
  ] as const) {
    await t.test(spelling || "nothing", () => assert.equal(canonicalAddress(spelling), canonical));
  }
});

test("IPv6 is counted by /64 and IPv4 whole; the coarse groups are /48 and /16", () => {
  const one = canonicalAddress("2001:db8:1:2::1") ?? "";
  const neighbour = canonicalAddress("2001:db8:1:2:ffff::9") ?? "";
  const otherNetwork = canonicalAddress("2001:db8:1:3::1") ?? "";
  assert.equal(addressGroup(one), addressGroup(neighbour));
  assert.notEqual(addressGroup(one), addressGroup(otherNetwork));
  assert.equal(coarseAddressGroup(one), coarseAddressGroup(otherNetwork));
  assert.equal(addressGroup("198.51.100.1"), "198.51.100.1");
  assert.equal(coarseAddressGroup("198.51.100.1"), "198.51");
});
