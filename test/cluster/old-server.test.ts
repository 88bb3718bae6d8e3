import assert from "node:assert/strict";
import test from "node:test";
import { oldNatsServer, startNats } from "./support/nats.ts";
import { makeCluster } from "./support/nodes.ts";
import { sendEvent } from "./support/sending.ts";

test("an old nats-server is refused, and carries a small cluster with cluster.allowOldServer", async (t) => {
  const servers = await startNats(t, 3, { program: oldNatsServer() });
  const cluster = await makeCluster(t, servers, ["a", "b"]);
  const [first, second] = cluster.nodes;
  assert.ok(first && second);
  await first.start().catch(() => undefined);
  assert.equal(await first.ended(), 3);
  assert.match(first.output, /nats-server 2\.9\.\d+ is older than 2\.10\.23/);
  const status = first.command("cluster", "status");
  assert.equal(status.status, 3);
  assert.match(status.stderr, /^prism: nats-server 2\.9\.\d+ is older than 2\.10\.23/);
  for (const node of cluster.nodes) node.set({ PRISM_CLUSTER_ALLOW_OLD_SERVER: "true" });
  await Promise.all([first.start(), second.start()]);
  await sendEvent(await cluster.leader(), await cluster.token(), "a");
  await cluster.requireEqual();
});
