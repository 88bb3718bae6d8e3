import assert from "node:assert/strict";
import { setTimeout } from "node:timers/promises";
import { eventually } from "../../helpers/eventually.ts";
import { type ClusterNode, rolesOf, type TestCluster } from "./nodes.ts";

/** Between two events: the nodes have other work, too. */
const PAUSE_MS = 5;

/** Sends events one after the other until it is stopped. @returns the ids that were acknowledged */
export function sendEvents(target: () => string, token: string) {
  const acknowledged: string[] = [];
  /** Of all other answers; 0: none. */
  const failed: number[] = [];
  let isStopped = false;
  const done = (async () => {
    for (let n = 0; !isStopped; n++) {
      const reply = await fetch(`${target()}/api/v1/events`, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body: JSON.stringify({ type: "ledger", dedupeKey: `k${n}`, payload: { n } }),
        signal: AbortSignal.timeout(30_000),
      }).catch(() => null);
      const body = (await reply?.json().catch(() => null)) as { id?: string } | null;
      if (reply?.status === 202 && body?.id !== undefined) acknowledged.push(body.id);
      else failed.push(reply?.status ?? 0);
      // Where a test has failed before it stops this, its process may end.
      await setTimeout(PAUSE_MS, undefined, { ref: false });
    }
  })();
  return {
    acknowledged,
    failed,
    async stop() {
      isStopped = true;
      await done;
      return acknowledged;
    },
  };
}

/** Sends one event, which is accepted. */
export async function sendEvent(node: ClusterNode, token: string, type: string): Promise<void> {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const body = JSON.stringify({ type, payload: { text: "Grüße 🎉" } });
  const reply = await fetch(`${node.url}/api/v1/events`, { method: "POST", headers, body });
  assert.equal(reply.status, 202, await reply.text());
}

/** Types of the events that the API shows, the oldest first. */
export async function typesAt(node: ClusterNode, token: string): Promise<string[]> {
  const reply = await fetch(`${node.url}/api/v1/events?own=false`, { headers: { Authorization: `Bearer ${token}` } });
  return ((await reply.json()) as { data: { type: string }[] }).data.map(({ type }) => type).reverse();
}

export async function requireAll(node: ClusterNode, token: string, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const reply = await fetch(`${node.url}/api/v1/events/${id}`, { headers: { Authorization: `Bearer ${token}` } });
    assert.equal(reply.status, 200, `${id}: ${await reply.text()}`);
  }
}

export function other(cluster: TestCluster, node: ClusterNode): ClusterNode {
  const found = cluster.nodes.find((each) => each !== node);
  assert.ok(found);
  return found;
}

/** Events that come through the one of two nodes that follows. */
export async function sendingThroughStandby(cluster: TestCluster) {
  const [first, standby] = await rolesOf(cluster);
  const token = await cluster.token();
  const sending = sendEvents(() => standby.url, token);
  await eventually("events are stored", () => sending.acknowledged.length > 20);
  return { first, standby, token, sending, before: sending.acknowledged.length };
}
