import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { reading } from "../../src/store/sqlite/connection.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { startNats } from "./support/nats.ts";
import { type ClusterNode, makeCluster, rolesOf } from "./support/nodes.ts";

const PATIENCE_MS = 60_000;

const filesOf = (days: number): string =>
  `version: 1\nprojects:\n  - slug: duty\n    name: Duty\n    heartbeats: [{ name: Nightly, timeout: ${days}d }]\n`;

/** The days of the heartbeat, and how often files were applied, as the file of a node has it. */
function stateOf(node: ClusterNode): string {
  const sql = `select (select timeoutMs / 86400000 from heartbeats where name = 'Nightly') || ' days, ' ||
    (select count(*) from audit_log where action = 'configuration.apply') || ' applies'`;
  return String(reading(node.file, (file) => file.prepare(sql).pluck().get()));
}

const becomes = (node: ClusterNode, wanted: string) =>
  eventually(
    () => `${node.name} has ${wanted}, not ${stateOf(node)}`,
    () => stateOf(node) === wanted,
    PATIENCE_MS,
  );

test("only the leader applies the directory; after a take-over newer files are applied, and older ones are not", async (t) => {
  const cluster = await makeCluster(t, await startNats(t), ["a", "b"], { PRISM_CONFIGURATION_WATCH: "1s" });
  const dirs = new Map(cluster.nodes.map((node) => [node, temporaryDir(t)]));
  const write = (node: ClusterNode, days: number): void =>
    writeFileSync(join(dirs.get(node) ?? "", "duty.yaml"), filesOf(days));
  for (const node of cluster.nodes) {
    write(node, 1);
    node.set({ PRISM_CONFIGURATION_DIR: dirs.get(node) ?? "" });
  }
  await Promise.all(cluster.nodes.map((node) => node.start()));
  const [first, second] = await rolesOf(cluster);
  for (const node of cluster.nodes) await becomes(node, "1 days, 1 applies");
  for (const node of cluster.nodes) write(node, 2);
  for (const node of cluster.nodes) await becomes(node, "2 days, 2 applies");
  // The leader looks each second: that of the other node is not applied by anyone.
  write(second, 3);
  write(first, 4);
  await becomes(second, "4 days, 3 applies");
  await first.kill();
  await becomes(second, "3 days, 4 applies");
  await first.start();
  await rolesOf(cluster);
  await becomes(first, "3 days, 4 applies");
  await second.stop();
  assert.equal(await cluster.leader(), first);
  const headers = { Authorization: `Bearer ${await cluster.token()}` };
  const reply = await fetch(`${first.url}/api/v1/configuration/sources`, { headers });
  const { directory } = (await reply.json()) as { directory: { problem: { code: string } | null } };
  assert.equal(directory.problem?.code, "OLDER_FILES");
  assert.equal(stateOf(first), "3 days, 4 applies");
  write(first, 5);
  await becomes(first, "5 days, 5 applies");
});
