import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout } from "node:timers/promises";
import { webhookReceiver } from "../e2e/outage/receivers.ts";
import { callerOf } from "../e2e/outage/site.ts";
import { eventually } from "../helpers/eventually.ts";
import type { Scope } from "../helpers/scope.ts";
import { cutWay } from "./support/cut.ts";
import { startNats } from "./support/nats.ts";
import { type ClusterNode, makeCluster } from "./support/nodes.ts";

/** Nothing begins later than this after the last acknowledged record. */
const LEASE_MS = 6000;
const STEPS = 50;
const PATIENCE_MS = 60_000;

/** Cuts the way of a leader to the log while it escalates, with a call each second. */
async function cutLeader(t: Scope, degraded: "hold" | "page"): Promise<void> {
  const [server] = await startNats(t);
  assert.ok(server);
  const way = await cutWay(t, server.address);
  const cluster = await makeCluster(t, [server], ["a"], {
    PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8",
    PRISM_CLUSTER_DEGRADED: degraded,
    PRISM_CLUSTER_EMERGENCY_AFTER_MS: "3000",
    PRISM_CLUSTER_HOLD_MS: "1000",
  });
  const node = cluster.nodes[0] as ClusterNode;
  node.set({ PRISM_CLUSTER_SERVERS: way.address });
  await node.start();
  await cluster.leader();
  const token = await cluster.token();
  const caller = callerOf(() => ({ url: node.url, token }));
  const receiver = await webhookReceiver(t, Date.now);
  const step = [
    { type: "webhook", url: receiver.url },
    { type: "wait", ms: 1500 },
  ];
  await caller.call("POST", "/policies", {
    name: "each second",
    steps: Array.from({ length: STEPS / 2 }, () => step).flat(),
  });
  const times = { groupBy: ["..."], groupWaitMs: 0, groupIntervalMs: 1000, repeatMs: 14_400_000 };
  await caller.call("PUT", "/routes", { route: { policy: "each second", ...times, routes: [] } });
  await caller.call("POST", "/alerts", { alerts: [{ key: "one", labels: { alertname: "one" } }] });
  await eventually("it escalates", () => receiver.ledger.accepted.length >= 3, PATIENCE_MS);

  const cutAt = Date.now();
  way.cut();
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const sent = await fetch(`${node.url}/api/v1/events`, {
    ...{ method: "POST", headers, body: '{"type":"cut"}', signal: AbortSignal.timeout(10_000) },
  }).catch(() => null);
  assert.notEqual(sent?.status, 202, "it cannot be acknowledged");
  await eventually("the leader ends", () => node.output.includes("leads the cluster no longer"), PATIENCE_MS);
  assert.equal(await node.eventsOf("cut"), 0);
  const isMarked = (text: string): boolean => text.includes("The cluster has no leader");
  if (degraded === "page")
    await eventually("the copy pages", () => receiver.ledger.accepted.some(({ text }) => isMarked(text)), PATIENCE_MS);
  else await setTimeout(5000);
  const late = receiver.ledger.accepted.filter(({ at, text }) => at > cutAt + LEASE_MS && !isMarked(text));
  assert.deepEqual(late, [], `${degraded}: cut at ${cutAt}`);
  way.restore();
  await cluster.leader();
  const before = Date.now();
  await eventually("it escalates on", () => receiver.ledger.accepted.some(({ at }) => at > before), PATIENCE_MS);
}

test("a leader whose way to the log is cut writes nothing, and begins no call later than its lease", async (t) => {
  await Promise.all([cutLeader(t, "hold"), cutLeader(t, "page")]);
});
