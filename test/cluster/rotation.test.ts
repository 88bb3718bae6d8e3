import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout } from "node:timers/promises";
import { eventually } from "../helpers/eventually.ts";
import { startNats } from "./support/nats.ts";
import { type ClusterNode, startCluster } from "./support/nodes.ts";
import { other } from "./support/sending.ts";

const OLD_KEY = "07".repeat(32);
const NEW_KEY = "09".repeat(32);
const OLD_SECRET = "the secret of the cluster of the tests";
const NEW_SECRET = "the next secret of the cluster of the tests";

/** Sends one event after the other to the first node that runs, as a proxy does, until it is stopped. */
function sending(nodes: readonly ClusterNode[], token: string) {
  const refused: string[] = [];
  let accepted = 0;
  let isOver = false;
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const sendOne = async (id: number): Promise<void> => {
    const body = JSON.stringify({ type: "rotation", payload: { id } });
    for (const node of nodes) {
      const reply = await fetch(`${node.url}/api/v1/events`, { method: "POST", headers, body }).catch(() => null);
      if (reply === null) continue;
      const answer = await reply.text();
      if (answer.includes("SHUTTING_DOWN")) continue;
      if (reply.status === 202) accepted++;
      else refused.push(`${reply.status} ${answer}`);
      return;
    }
    refused.push("no node can be reached");
  };
  const done = (async () => {
    for (let id = 0; !isOver; id++) {
      await sendOne(id);
      await setTimeout(20, undefined, { ref: false });
    }
  })();
  return {
    async stop() {
      isOver = true;
      await done;
      return { accepted, refused };
    },
  };
}

test("the cluster's secret and the encryption key are rotated node by node, and no request is refused", async (t) => {
  const cluster = await startCluster(t, await startNats(t), ["a", "b"]);
  const token = await cluster.token();
  const heard = (leader: ClusterNode, { name }: ClusterNode) =>
    new RegExp(`"name": ?"${name}"[^}]*"live": ?true`).test(leader.command("api", "getCluster", "--json").stdout);
  const events = sending(cluster.nodes, token);
  const everywhere = async (env: Readonly<Record<string, string>>): Promise<void> => {
    const leader = await cluster.leader();
    const follower = other(cluster, leader);
    for (const [node, next] of [
      [follower, leader],
      [leader, follower],
    ] as const) {
      node.set(env);
      await node.stop();
      await node.start();
      await eventually("the other node leads", async () => (await cluster.leader()) === next);
      await eventually("it is heard", () => heard(next, node));
    }
  };
  await everywhere({ PRISM_CLUSTER_PREVIOUS_SECRETS: NEW_SECRET, PRISM_PREVIOUS_ENCRYPTION_KEYS: NEW_KEY });
  await everywhere({
    ...{ PRISM_CLUSTER_SECRET: NEW_SECRET, PRISM_CLUSTER_PREVIOUS_SECRETS: OLD_SECRET },
    ...{ PRISM_ENCRYPTION_KEY: NEW_KEY, PRISM_PREVIOUS_ENCRYPTION_KEYS: OLD_KEY },
  });
  const rotate = (await cluster.leader()).command("key", "rotate", "--encryption");
  assert.equal(rotate.status, 0, rotate.stderr);
  await everywhere({ PRISM_PREVIOUS_ENCRYPTION_KEYS: "" });
  const { accepted, refused } = await events.stop();
  assert.deepEqual(refused, []);
  assert.ok(accepted > 50, `${accepted} accepted`);
  await cluster.requireEqual();
});
