import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { WebSocket } from "ws";
import type { StateReply } from "../../src/features/health/cluster/feature.ts";
import { eventually } from "../helpers/eventually.ts";
import { startNats } from "./support/nats.ts";
import { type ClusterNode, rolesOf, startCluster } from "./support/nodes.ts";
import { requireAll, sendingThroughStandby } from "./support/sending.ts";
import { shared } from "./support/shared.ts";

async function stateAt(node: ClusterNode, token: string) {
  const reply = await fetch(`${node.url}/api/v1/cluster`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(reply.status, 200);
  const { mode, cluster } = (await reply.json()) as StateReply;
  assert.equal(mode, "cluster");
  assert.ok(cluster);
  return cluster;
}

async function stepDown(node: ClusterNode, token: string, body: object) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const reply = await fetch(`${node.url}/api/v1/cluster/step-down`, {
    method: "POST",
    headers,
    body: JSON.stringify(body),
  });
  return [reply.status, (await reply.json()) as { to?: string; error?: { code: string } }] as const;
}

async function metricsAt(node: ClusterNode, token: string): Promise<string> {
  return (await fetch(`${node.url}/metrics`, { headers: { Authorization: `Bearer ${token}` } })).text();
}

/** Metrics of a cluster that the shipped rules of Prometheus and the dashboard read. */
function shippedMetrics(): string[] {
  const shipped = ["prometheus/rules.yml", "grafana/prism.json"]
    .map((file) => readFileSync(join(import.meta.dirname, "../../deploy", file), "utf8"))
    .join("\n");
  return [...new Set(shipped.match(/prism_cluster_[a-z_]+/g)?.map((name) => name.replace(/_bucket$/, "")))];
}

function clusterMetricsIn(text: string): string[] {
  return [...new Set(text.match(/\bprism_cluster_[a-z_]+[a-z]/g))].sort();
}

function closeCodeOf(node: ClusterNode, token: string) {
  const socket = new WebSocket(`${node.url.replace("http", "ws")}/ws`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  const opened = new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  return { opened, closed };
}

describe("two nodes", () => {
  const clusterOf = shared(async (t) => startCluster(t, await startNats(t), ["a", "b"]));

  test("the leader steps down for a node, and no write fails; the state shows it", async () => {
    const cluster = clusterOf();
    const { first, standby, token, sending, before } = await sendingThroughStandby(cluster);
    const state = await eventually("the other node is heard", async () => {
      const found = await stateAt(standby, token);
      // A message that a busy machine takes late makes its clock look slow for a moment.
      const isKnown = found.nodes.length === 2 && found.warnings.length === 0;
      return isKnown && Math.abs(found.nodes[1]?.skewMs ?? 1000) < 500 ? found : undefined;
    });
    assert.deepEqual(
      state.nodes.map(({ name, role, live }) => [name, role, live]),
      [
        [first.name, "leader", true],
        [standby.name, "follower", true],
      ],
    );
    assert.deepEqual([state.name, state.leader, state.takeOver, state.warnings], ["prism", first.name, null, []]);
    assert.ok((state.log?.last ?? 0) > 20);
    const leading = await metricsAt(first, token);
    for (const name of shippedMetrics()) assert.match(leading, new RegExp(`^# TYPE ${name} `, "m"));
    assert.match(leading, /^prism_cluster_leader 1$/m);
    assert.match(leading, new RegExp(`^prism_cluster_lag_records{node="${standby.name}"} `, "m"));
    assert.match(leading, /^prism_cluster_append_seconds_count [1-9]/m);
    const following = await metricsAt(standby, token);
    assert.match(following, /^prism_cluster_leader 0$/m);
    assert.match(following, /^prism_cluster_has_leader 1$/m);
    assert.match(following, /^prism_cluster_term [1-9]/m);
    assert.match(following, new RegExp(`^prism_cluster_lag_ms{node="${standby.name}"} `, "m"));
    assert.match(following, /^prism_cluster_refused_total{code="NO_LEADER"} 0$/m);
    const served = `${leading}${following}`.match(/^# TYPE prism_cluster_[a-z_]+/gm)?.join() ?? "";
    const documented = readFileSync(join(import.meta.dirname, "../../docs/operating.md"), "utf8");
    assert.deepEqual(clusterMetricsIn(served), clusterMetricsIn(documented));
    const [status, unknown] = await stepDown(standby, token, { to: "c" });
    assert.deepEqual([status, unknown.error?.code], [409, "NO_STANDBY"]);
    const socket = closeCodeOf(first, token);
    await socket.opened;
    const [accepted, { to }] = await stepDown(standby, token, { to: standby.name });
    assert.deepEqual([accepted, to], [202, standby.name], first.output.slice(-3000));
    assert.equal(await socket.closed, 1012);
    await eventually("events are stored again", () => sending.acknowledged.length > before + 20, 60_000);
    const after = await eventually("the other node leads, the first one follows", async () => {
      const found = await stateAt(first, token).catch(() => undefined);
      return found?.leader === standby.name && found.nodes[1]?.live ? found : undefined;
    });
    assert.deepEqual(
      [after.takeOver?.kind, after.takeOver?.from, after.term],
      ["handed-over", first.name, state.term + 1],
    );
    assert.ok((after.takeOver?.withoutLeaderMs ?? 60_000) < 60_000, `${after.takeOver?.withoutLeaderMs} ms`);
    await requireAll(standby, token, await sending.stop());
    assert.deepEqual(sending.failed, []);
    const back = standby.command("cluster", "step-down");
    assert.equal(back.status, 0, back.stderr);
    assert.match(back.stdout, new RegExp(`${standby.name} ends its work; ${first.name} leads next`));
    await eventually(
      "the first node leads again",
      async () => (await stateAt(first, token).catch(() => null))?.leader === first.name,
      60_000,
    );
    await cluster.requireEqual();
    const audit = await fetch(`${first.url}/api/v1/audit?action=cluster.step_down`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    const { data } = (await audit.json()) as { data: { metadata: { to: string } }[] };
    assert.deepEqual(
      data.map(({ metadata }) => metadata.to),
      [first.name, standby.name],
    );
  });

  test("a leader without another live node does not step down, and says that the other one is gone", async () => {
    const cluster = clusterOf();
    const [leader, gone] = await rolesOf(cluster);
    const token = await cluster.token();
    await eventually("the other node is heard", async () => (await stateAt(leader, token)).nodes.length === 2);
    await gone.kill();
    const state = await eventually("it is gone", async () => {
      const found = await stateAt(leader, token);
      return found.nodes[1]?.live === false ? found : undefined;
    });
    assert.match(state.warnings.join(), new RegExp(`The node ${gone.name} is gone`));
    const [status, { error }] = await stepDown(leader, token, {});
    assert.deepEqual([status, error?.code], [409, "NO_STANDBY"]);
    assert.equal((await stateAt(leader, token)).leader, leader.name);
  });
});
