import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout } from "node:timers/promises";
import { closing, openForWriting } from "../../src/store/sqlite/connection.ts";
import { webhookReceiver } from "../e2e/outage/receivers.ts";
import { callerOf } from "../e2e/outage/site.ts";
import { eventually } from "../helpers/eventually.ts";
import { startNats } from "./support/nats.ts";
import { type ClusterNode, makeCluster } from "./support/nodes.ts";
import { other } from "./support/sending.ts";

const PATIENCE_MS = 60_000;
const STEP_MS = 4000;

test("an escalation goes on at the next leader, and a heartbeat that was due meanwhile gets its grace", async (t) => {
  const cluster = await makeCluster(t, await startNats(t), ["a", "b"], {
    PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8",
    // With the old leader's lease and the start it is longer than the heartbeat may be silent.
    PRISM_CLUSTER_DEAD_MS: "5000",
  });
  const origin = cluster.nodes[0] as ClusterNode;
  let heartbeat = { id: "", pingUrl: "" };
  await origin.alone(async (own) => {
    const body = { name: "due meanwhile", kind: "simple", timeoutMs: 60_000, graceMs: 60_000, projectId: "default" };
    heartbeat = await callerOf(() => ({ url: origin.url, token: own })).call("POST", "/heartbeats", body);
  });
  // The API takes a minute at least. The grace is longer than the lease, which the next leader waits for.
  closing(openForWriting({ file: origin.file, busyTimeoutMs: 5000 }), (connection) =>
    connection.prepare("update heartbeats set timeoutMs = 1000, graceMs = 9000").run(),
  );
  assert.equal(origin.command("cluster", "init").status, 0);
  await Promise.all(cluster.nodes.map((node) => node.start()));
  const leader = await cluster.leader();
  const standby = other(cluster, leader);
  const token = await cluster.token();
  const server = callerOf(() => ({ url: standby.url, token }));
  const [first, second] = [await webhookReceiver(t, Date.now), await webhookReceiver(t, Date.now)];
  const steps = [
    { type: "webhook", url: first.url },
    { type: "wait", ms: STEP_MS },
    { type: "webhook", url: second.url },
  ];
  await server.call("POST", "/policies", { name: "two steps", steps });
  const times = { groupBy: ["..."], groupWaitMs: 0, groupIntervalMs: 1000, repeatMs: 14_400_000 };
  await server.call("PUT", "/routes", { route: { policy: "two steps", ...times, routes: [] } });
  const ping = () => fetch(`${standby.url}${new URL(heartbeat.pingUrl).pathname}`);
  const startPings = () => {
    let isOver = false;
    const pinging = (async () => {
      for (; !isOver; await setTimeout(200)) await ping().catch(() => null);
    })();
    return async () => {
      isOver = true;
      await pinging;
    };
  };
  const stopFirst = startPings();
  await server.call("POST", "/alerts", { alerts: [{ key: "one", labels: { alertname: "one" } }] });
  await eventually("the first step is done", () => first.ledger.accepted.length > 0, PATIENCE_MS);
  const dueAt = Date.now() + STEP_MS;
  await stopFirst();
  await leader.kill();
  // A ping that the standby holds would arrive before the new leader looks at what is due.
  await eventually("it is due, and the new leader works", () => standby.output.includes("Prism is ready"), PATIENCE_MS);
  const stopPings = startPings();
  await eventually("the second step is done", () => second.ledger.accepted.length > 0, PATIENCE_MS);
  await stopPings();
  t.diagnostic(`the second step was ${(second.ledger.accepted[0]?.at ?? 0) - dueAt} ms late`);
  const { status } = await server.call<{ status: string }>("GET", `/heartbeats/${heartbeat.id}`);
  const { data } = await server.call<{ data: { title: string }[] }>("GET", "/incidents");
  assert.deepEqual(
    data.map(({ title }) => title),
    ["one"],
    `the heartbeat is ${status}`,
  );
});
