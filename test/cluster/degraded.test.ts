import assert from "node:assert/strict";
import { existsSync, utimesSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { type Treatment, treatmentOf } from "../../src/cluster/lead/degraded.ts";
import { callerOf, environmentOf, type Fired, fire, prepare, Targets } from "../e2e/outage/site.ts";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { startRecorder } from "../helpers/webhook-recorder.ts";
import { startNats } from "./support/nats.ts";
import { type ClusterNode, startCluster } from "./support/nodes.ts";
import { other } from "./support/sending.ts";

const PATIENCE_MS = 60_000;

test("without a leader what alarms is kept, people may read, and everything else waits", () => {
  const treatments: readonly (readonly [Treatment, string, string])[] = [
    ["kept", "POST", "/api/v1/alerts"],
    ["kept", "POST", "/api/v1/events"],
    ["kept", "POST", "/alertmanager/shop/api/v2/alerts"],
    ["kept", "POST", "/v2/enqueue"],
    ["kept", "POST", "/in/token/grafana"],
    ["kept", "GET", "/ping/5f8e"],
    ["kept", "GET", "/in/token"],
    ...["/events", "/ingest", "/api/ingest", "/api/v1/ingest"].map((path) => ["kept", "POST", path] as const),
    ["kept", "POST", "/api/v1/incidents/1/acknowledge"],
    ["answered", "GET", "/api/v1/incidents"],
    ["answered", "POST", "/api/v1/auth/login"],
    ["answered", "GET", "/ntfy/backups/json"],
    ["answered", "GET", "/status/send"],
    ["refused", "GET", "/ntfy/backups/publish"],
    ["refused", "GET", "/backups/send"],
    ["refused", "POST", "/api/v1/auth/refresh"],
    ["refused", "POST", "/api/v1/rules"],
    ["refused", "DELETE", "/api/v1/incidents/1"],
    ["refused", "POST", "/api/v1/time/trigger"],
  ];
  for (const [treatment, method, path] of treatments) assert.equal(treatmentOf(method, path), treatment, path);
});

test("another path of a route that is kept is kept, too", async (t) => {
  const prism = await startPrism(t);
  const { mounts } = prism.parts.core.router;
  const treatment = (method: string, path: string) => treatmentOf(method, path.replace(/:\w+/g, "1"));
  const isKept = ({ route }: (typeof mounts)[number]) => treatment(route.method, route.path) === "kept";
  const aliases = mounts.filter((mount) => mount.isAlias && isKept(mount));
  assert.ok(aliases.length > 3);
  for (const { route, path } of aliases) assert.equal(treatment(route.method, path), "kept", path);
});

test("without a majority of nats-servers people are paged, also by a node that starts then; the next leader has it all", async (t) => {
  const servers = await startNats(t, 3);
  const targets = await Targets.open(t, Date.now, ["webhook", "channel-http"]);
  const contact = await startRecorder<{ reason: string; text: string }>(t);
  const own = {
    PRISM_CLUSTER_EMERGENCY_AFTER_MS: "2000",
    PRISM_CLUSTER_HOLD_MS: "1000",
    PRISM_EMERGENCY_WEBHOOK: contact.url,
  };
  const cluster = await startCluster(t, servers, ["a", "b"], { ...environmentOf(targets.settings), ...own });
  const token = await cluster.token();
  const leader = await cluster.leader();
  await prepare(
    callerOf(() => ({ url: leader.url, token })),
    targets,
  );
  const admin = callerOf(() => ({ url: leader.url, token }));
  const { id: me } = await admin.call<{ id: string }>("GET", "/users/me");
  const rule = { name: "page", condition: 'event.type == "rule.page"', titleTemplate: "Page", projectId: "default" };
  await admin.call("POST", "/rules", { ...rule, targetUsers: [me] });
  // A leader that is left alone would lead on for twenty seconds.
  const [restarted, kept] = [leader, other(cluster, leader)];
  // What a follower has not received yet is not in its copy.
  await cluster.requireEqual();
  await Promise.all(servers.slice(1).map((server) => server.stop("SIGKILL")));
  await restarted.kill();
  await restarted.start();
  const fired: Fired[] = [];
  for (const node of [kept, restarted]) {
    await eventually("the node answers from a copy", () => isDegraded(node), PATIENCE_MS);
    const server = callerOf(() => ({ url: node.url, token }));
    for (let n = 0; n < 5; n++) fired.push(...(await fire(server, targets, `${node.name}${n}`, Date.now)));
    await assert.rejects(server.call("POST", "/rules", {}), /503 .*NO_LEADER/s);
    const { data } = await server.call<{ data: unknown[] }>("GET", "/incidents");
    assert.equal(data.length, 10, "a person sees what this node was sent");
    assert.deepEqual(await server.call("GET", "/cluster"), { mode: "no-leader", cluster: null });
    await server.call("POST", "/events", { type: "sent.to.each" });
    const sent = await node.run("send", "hello", "--url", node.url, "--token", token);
    assert.deepEqual([sent.code, /kept for the next leader/.test(sent.stderr)], [0, true], sent.stderr);
    assert.equal((await fetch(`${node.url}/health/ready`)).status, 200, "a proxy sends requests here");
    await requireNoLeader(node, token);
    await server.call("POST", "/events", { type: "rule.page" });
    let found: readonly Record<string, string>[] = [];
    const titles = () => `the notification of a rule is marked, of ${found.map(({ title }) => title).join(", ")}`;
    await eventually(titles, async () => {
      ({ data: found } = await server.call<{ data: Record<string, string>[] }>("GET", "/notifications"));
      const page = found.find(({ title }) => title === "Page");
      return page?.["message"]?.startsWith("The cluster has no leader: this may be repeated.");
    });
  }
  assert.equal(fired.length, 20);
  const isPaged = ({ name }: Fired) => targets.accepted.some(({ text }) => text.includes(name));
  await eventually("everyone is paged", () => fired.every(isPaged), PATIENCE_MS);
  assert.ok(targets.accepted.some(({ text }) => text.includes("The cluster has no leader")));
  const reasons = contact.posts.map(({ body }) => body.reason);
  assert.ok(reasons.includes("no-leader"), `emergency: ${reasons}`);
  const texts = contact.posts.map(({ body }) => body.text).join("\n");
  assert.match(texts, /^Node: [ab]\nServer: .*\nWhat to do: .* run: prism doctor\./m);
  for (const node of cluster.nodes) assert.doesNotMatch(node.output, /audit\.head/, "the copy is no damaged database");

  await Promise.all(servers.slice(1).map((server) => server.start()));
  const next = await cluster.leader();
  const server = callerOf(() => ({ url: next.url, token }));
  await eventually(
    "the leader has all alerts",
    async () => {
      const { data } = await server.call<{ data: { labels: { alertname: string } }[] }>("GET", "/alerts?limit=100");
      return fired.every(({ name }) => data.some(({ labels }) => labels.alertname === name));
    },
    PATIENCE_MS,
  );
  const isStored = async () => (await next.eventsOf("sent.to.each")) === 2;
  await eventually("the leader has the equal events of both nodes", isStored, PATIENCE_MS);
  const isRemoved = ({ dir }: ClusterNode) => !existsSync(join(dir, "without-leader"));
  await eventually("no copy of a database is left", () => cluster.nodes.every(isRemoved), PATIENCE_MS);
  await cluster.requireEqual();
});

test("with cluster.degraded hold nothing is paged without a leader, and nothing is kept", async (t) => {
  const servers = await startNats(t, 3);
  const own = {
    PRISM_CLUSTER_EMERGENCY_AFTER_MS: "1000",
    PRISM_CLUSTER_HOLD_MS: "100",
    PRISM_CLUSTER_DEGRADED: "hold",
  };
  const cluster = await startCluster(t, servers, ["a"], own);
  const token = await cluster.token();
  const [node] = cluster.nodes;
  assert.ok(node);
  await Promise.all(servers.slice(1).map((server) => server.stop("SIGKILL")));
  // A leader that is left alone would lead on for twenty seconds.
  await eventually("it has noted that it lives", () => existsSync(join(node.dir, "alive")), PATIENCE_MS);
  await node.kill();
  await node.start();
  await eventually("it follows without a leader", async () => (await node.health())?.leader === null, PATIENCE_MS);
  const server = callerOf(() => ({ url: node.url, token }));
  const alerts = [{ key: "a", labels: { alertname: "a" } }];
  for (const until = Date.now() + 4000; Date.now() < until; )
    await assert.rejects(server.call("POST", "/alerts", { alerts }), /503 .*NO_LEADER/s);
  assert.equal(await isDegraded(node), false);
  assert.equal((await fetch(`${node.url}/health/ready`)).status, 503, "a proxy sends requests elsewhere");

  await node.stop();
  const earlier = Date.now() / 1000 - 600;
  utimesSync(join(node.dir, "alive"), earlier, earlier);
  assert.equal(node.command("cluster", "leave", "--yes").status, 0);
  await node.alone(async (ownToken) => {
    const alone = callerOf(() => ({ url: node.url, token: ownToken }));
    const { watch } = await alone.call<{ watch: { lastDown: { text: string } } }>("GET", "/status");
    assert.match(watch.lastDown.text, /^No server led from [^ ]+ to [^ ]+, 10 min\. (Late|Nothing)/);
  });
});

/** `prism status`, with a token and without one, says that no node leads and how much waits. */
async function requireNoLeader(node: ClusterNode, token: string): Promise<void> {
  const waits = /No node of the cluster leads: pages leave from a copy .* and [1-9]\d* requests? waits? for the next/;
  const asked = await node.run("status", "--token", token, "--json");
  const status = JSON.parse(asked.stdout) as { status: string; cluster: unknown; warnings: string[] };
  assert.deepEqual([asked.code, status.status, status.cluster], [8, "degraded", null], asked.stderr);
  assert.match(status.warnings[0] ?? "", waits);
  const shown = await node.run("status", "--token", token);
  assert.match(shown.stdout, waits);
  const bare = await node.run("status");
  assert.equal(bare.code, 8, bare.stderr);
  assert.match(bare.stdout, /pages +leave from a copy .*\nwait for the next leader +[1-9]\d* requests?\n/);
  const { leader, spooled } = JSON.parse((await node.run("status", "--json")).stdout) as Record<string, unknown>;
  assert.deepEqual([leader, Number(spooled) > 0], [null, true]);
}

async function isDegraded(node: ClusterNode): Promise<boolean> {
  return (await node.health())?.degraded === true;
}
