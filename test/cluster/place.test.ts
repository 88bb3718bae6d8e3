import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import test from "node:test";
import { type ClusterParts, placeChecks } from "../../src/cluster/tools/doctor.ts";

const SERVERS = ["nats-1.example.com:4222", "nats-2.example.com:4222", "nats-3.example.com:4222"];
const NODES = ["a", "b"].map((node) => ({
  ...{ node, advertise: `https://${node}.example.com:3000`, isLeader: node === "a" },
}));
const PARTS: ClusterParts = { servers: SERVERS, nodes: NODES, logLeader: SERVERS[1] };

/** Two machines, each with a node and a nats-server, and a third one. */
const ADDRESSES: Readonly<Record<string, readonly string[]>> = {
  "nats-1.example.com": ["192.0.2.11", "2001:db8::11"],
  "a.example.com": ["2001:db8::11"],
  "nats-2.example.com": ["192.0.2.12"],
  "b.example.com": ["192.0.2.12"],
  "nats-3.example.com": ["192.0.2.13"],
};

async function found(
  parts: ClusterParts,
  changed: Readonly<Record<string, readonly string[]>> = {},
): Promise<string[]> {
  const checks = await placeChecks(parts, async (host) => {
    const addresses = { ...ADDRESSES, ...changed }[host];
    if (addresses === undefined) throw new Error(`getaddrinfo ENOTFOUND ${host}`);
    return addresses.map((address) => ({ address }));
  });
  return checks.map(({ text }) => text);
}

test("parts of a cluster that are on one machine are found by the addresses of their names", async () => {
  const beside = "a leads on the machine of the nats-server that leads the log: a take-over takes longer";
  assert.deepEqual(await found(PARTS), []);
  assert.deepEqual(await found({ ...PARTS, logLeader: SERVERS[0] }), [beside]);
  assert.deepEqual(await found({ servers: SERVERS, nodes: [] }), []);
  assert.deepEqual(await found(PARTS, { "nats-3.example.com": ["192.0.2.12"], "b.example.com": ["2001:db8::11"] }), [
    "these nats-servers are on one machine: nats-2.example.com:4222, nats-3.example.com:4222",
    "these nodes are on one machine: a, b",
  ]);
});

test("a name of this machine is its loopback address or another one of its own", async () => {
  const own = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
  for (const address of own)
    assert.deepEqual(await found(PARTS, { "a.example.com": ["127.0.1.1"], "b.example.com": [address] }), [
      "these nodes are on one machine: a, b",
    ]);
});

test("names without an address are compared as they are", async () => {
  const servers = ["nats.invalid:4222", "nats.invalid:4223", "[2001:db8::5]:4222"];
  assert.deepEqual(await found({ servers, nodes: [] }, { "2001:db8::5": ["2001:db8::5"] }), [
    "these nats-servers are on one machine: nats.invalid:4222, nats.invalid:4223",
  ]);
});
