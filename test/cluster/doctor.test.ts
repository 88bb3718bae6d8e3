import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { startNats } from "./support/nats.ts";
import { type ClusterNode, startCluster } from "./support/nodes.ts";

/** Findings about the cluster, as `status name: message`. */
function findings(node: ClusterNode): string[] {
  const { checks } = JSON.parse(node.command("doctor", "--json").stdout) as {
    checks: { name: string; status: string; message: string }[];
  };
  return checks
    .filter(({ name }) => /^(nats-server|cluster)/.test(name))
    .map(({ name, status, message }) => `${status} ${name}: ${message}`);
}

test("doctor checks the servers and the nodes of a cluster", async (t) => {
  const servers = await startNats(t, 3);
  const cluster = await startCluster(t, servers, ["a", "b"]);
  const leader = await cluster.leader();
  const follower = cluster.nodes.find((node) => node !== leader) as ClusterNode;
  const [first = "", second, third, log = "", nodes = "", place = ""] = findings(follower);
  assert.match(first, /^PASS nats-server: 127\.0\.0\.1:\d+ has the version 2\.\d+\.\d+$/);
  for (const each of [second, third]) assert.match(each ?? "", /^PASS nats-server/);
  assert.match(log, /^PASS cluster log: 3 of 3 nats-servers keep it; .*sync_interval: always/);
  assert.equal(nodes, `PASS cluster nodes: ${leader.name} leads; heard: a, b`);
  assert.match(place, /^WARN cluster place: /);
  await follower.kill();
  await servers[2]?.stop("SIGKILL");
  const found = await eventually(
    "what is missing is found",
    () => {
      const all = findings(leader);
      const isFound = all.some((each) => /^WARN cluster log: these nats-servers do not have all of it: n2/.test(each));
      return isFound ? all : undefined;
    },
    60_000,
  );
  assert.ok(
    found.some((each) => /^WARN nats-server: 127\.0\.0\.1:\d+ does not answer/.test(each)),
    found.join("\n"),
  );
});
