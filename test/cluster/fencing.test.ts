import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createServer } from "node:http";
import type { Socket } from "node:net";
import test, { describe } from "node:test";
import { setTimeout } from "node:timers/promises";
import { webhookReceiver } from "../e2e/outage/receivers.ts";
import { callerOf } from "../e2e/outage/site.ts";
import { eventually } from "../helpers/eventually.ts";
import { listening } from "../helpers/listening.ts";
import type { Scope } from "../helpers/scope.ts";
import { cutWay } from "./support/cut.ts";
import { makeNamespace, type Namespace } from "./support/namespace.ts";
import { startNats } from "./support/nats.ts";
import { type ClusterNode, makeCluster, startCluster } from "./support/nodes.ts";
import { other } from "./support/sending.ts";

/** Nothing begins later than this after the last acknowledged record. */
const LEASE_MS = 6000;
const STEPS = 50;
const PATIENCE_MS = 60_000;

/** Opens an incident with a call to `url` every 1.5 s. */
async function escalate({ call }: Pick<ReturnType<typeof callerOf>, "call">, url: string): Promise<void> {
  const step = [
    { type: "webhook", url },
    { type: "wait", ms: 1500 },
  ];
  await call("POST", "/policies", { name: "often", steps: Array.from({ length: STEPS / 2 }, () => step).flat() });
  const times = { groupBy: ["..."], groupWaitMs: 0, groupIntervalMs: 1000, repeatMs: 14_400_000 };
  await call("PUT", "/routes", { route: { policy: "often", ...times, routes: [] } });
  await call("POST", "/alerts", { alerts: [{ key: "one", labels: { alertname: "one" } }] });
}

/** The node that has the other end of a connection on this machine. */
function nodeAt({ localPort = 0, remotePort = 0 }: Socket, nodes: readonly ClusterNode[]): string | undefined {
  const end = (port: number) => `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const connections = readFileSync("/proc/net/tcp", "latin1").split("\n");
  const fields = connections.map((line) => line.trim().split(/\s+/));
  const own = fields.find((field) => field[1]?.endsWith(end(remotePort)) && field[2]?.endsWith(end(localPort)));
  const socket = `socket:[${own?.[9]}]`;
  // Processes end meanwhile, and close files.
  const has = (pid: number) =>
    orNull(() => readdirSync(`/proc/${pid}/fd`))?.some(
      (fd) => orNull(() => readlinkSync(`/proc/${pid}/fd/${fd}`)) === socket,
    );
  return nodes.find((node) => orNull(() => node.pids)?.some(has))?.name;
}

function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/** Stops the processes of a leader while it escalates, until the other node does. */
async function hangLeader(t: Scope, degraded: "hold" | "page"): Promise<void> {
  const cluster = await startCluster(t, await startNats(t), ["a", "b"], {
    PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8",
    PRISM_CLUSTER_DEGRADED: degraded,
  });
  const leader = await cluster.leader();
  const calls: { readonly at: number; readonly from: string | undefined }[] = [];
  const receiver = createServer((req, res) => {
    calls.push({ at: Date.now(), from: nodeAt(req.socket, cluster.nodes) });
    req.resume();
    res.end();
  });
  const url = `http://127.0.0.1:${await listening(t, receiver)}`;
  const token = await cluster.token();
  await escalate(
    callerOf(() => ({ url: leader.url, token })),
    url,
  );
  const callsOf = ({ name }: ClusterNode) => calls.filter(({ from }) => from === name);
  await eventually("it escalates", () => callsOf(leader).length >= 3, PATIENCE_MS);

  const stoppedAt = Date.now();
  leader.signal("SIGSTOP");
  await eventually("the other one escalates", () => callsOf(other(cluster, leader)).length >= 3, PATIENCE_MS);
  leader.signal("SIGCONT");
  await eventually("it follows", () => leader.output.includes("it starts again as a follower"), PATIENCE_MS);
  const before = callsOf(other(cluster, leader)).length;
  await eventually("it goes on", () => callsOf(other(cluster, leader)).length >= before + 3, PATIENCE_MS);
  assert.deepEqual(
    callsOf(leader).filter(({ at }) => at > stoppedAt + LEASE_MS),
    [],
    `${degraded}: stopped at ${stoppedAt}`,
  );
  assert.ok(calls.every(({ from }) => from !== undefined));
  await cluster.requireEqual();
}

/** Cuts the way of a leader to the log while it escalates, with a call each second. @param namespace of the log */
async function cutLeader(t: Scope, degraded: "hold" | "page", namespace: Namespace | null): Promise<void> {
  const [server] = await startNats(t, 1, { namespace });
  assert.ok(server);
  const way = namespace ? { ...namespace, address: server.address } : await cutWay(t, server.address);
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
  await escalate(caller, receiver.url);
  await eventually("it escalates", () => receiver.ledger.accepted.length >= 3, PATIENCE_MS);

  // When the receiver could not note at once that it was called.
  let [seenAt, stalledMs] = [Date.now(), 0];
  const stalls = setInterval(() => {
    stalledMs = Math.max(stalledMs, Date.now() - seenAt);
    seenAt = Date.now();
  }, 50);
  t.after(() => clearInterval(stalls));
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
  const lastAt = cutAt + LEASE_MS + stalledMs;
  const late = receiver.ledger.accepted.filter(({ at, text }) => at > lastAt && !isMarked(text));
  assert.deepEqual(late, [], `${degraded}: cut at ${cutAt}`);
  way.restore();
  await cluster.leader();
  const before = Date.now();
  await eventually("it escalates on", () => receiver.ledger.accepted.some(({ at }) => at > before), PATIENCE_MS);
}

/* At the same time, because a leader that is cut off goes on for twenty seconds. */
describe("a leader that is cut off, or hangs", { concurrency: true }, () => {
  test("a leader whose way to the log is cut writes nothing, and begins no call later than its lease", async (t) => {
    // Only root may make namespaces; others cut the way by a process between that passes nothing.
    const namespaces = [makeNamespace(t), makeNamespace(t)] as const;
    t.diagnostic(namespaces[0] ? "cut: the cable of a network namespace" : "cut: a process between");
    await Promise.all([
      cutLeader(t, "hold", namespaces[0]),
      cutLeader(t, "page", namespaces[1]),
      ...(namespaces[0] ? [cutLeader(t, "hold", null)] : []),
    ]);
  });

  test("a leader that hangs writes nothing and begins no call when it goes on", async (t) => {
    await Promise.all([hangLeader(t, "hold"), hangLeader(t, "page")]);
  });
});
