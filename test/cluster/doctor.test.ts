import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { connectNats } from "../../src/cluster/log/nats-log.ts";
import { recordBox } from "../../src/cluster/log/record.ts";
import { natsSignals } from "../../src/cluster/signals.ts";
import { VERSION } from "../../src/core/runtime.ts";
import { eventually } from "../helpers/eventually.ts";
import type { Scope } from "../helpers/scope.ts";
import { type NatsServer, startNats } from "./support/nats.ts";
import { type ClusterNode, makeCluster, startCluster } from "./support/nodes.ts";
import { other } from "./support/sending.ts";

/** Findings about the cluster, as `status name: message`. */
async function findings(node: ClusterNode): Promise<string[]> {
  const { checks } = JSON.parse((await node.run("doctor", "--json")).stdout) as {
    checks: { name: string; status: string; message: string }[];
  };
  return checks
    .filter(({ name }) => /^(nats-server|cluster)/.test(name))
    .map(({ name, status, message }) => `${status} ${name}: ${message}`);
}

/** No command of a healthy node that follows ends as if something were wrong. */
async function checkFollower(follower: ClusterNode, leader: string, token: string): Promise<void> {
  const doctor = await follower.run("doctor");
  assert.equal(doctor.code, 0, doctor.stdout);
  assert.match(doctor.stdout, new RegExp(`PASS +port +${follower.port} is held by this node, which follows ${leader}`));
  assert.match(doctor.stdout, /PASS +audit /);
  assert.doesNotMatch(doctor.stdout, /cluster spool/);
  const refused = join(follower.dir, "spool/refused");
  mkdirSync(refused, { recursive: true });
  writeFileSync(join(refused, "000000000001-0.request"), "");
  const { stdout } = await follower.run("doctor");
  assert.match(stdout, /WARN +cluster spool +requests that the leader did not take, in spool\/refused: 1/);
  for (const args of [["health"], ["health", "--ready"]]) {
    const health = await follower.run(...args);
    assert.equal(health.code, 0, health.stderr);
  }
  const status = await follower.run("status");
  assert.deepEqual([status.code, status.stdout.includes(`which follows ${leader}`)], [0, true], status.stderr);
  const whole = await follower.run("status", "--token", token);
  assert.deepEqual([whole.code, /jobs/.test(whole.stdout)], [0, true], whole.stderr);
  const backup = await follower.run("backup", "--keep", "14");
  assert.deepEqual([backup.code, /the node that leads makes the archives/.test(backup.stdout)], [0, true]);
  assert.equal(existsSync(join(follower.dir, "backups")), false);
  const passed = await follower.run("incidents", "list", "--token", token);
  assert.equal(passed.code, 0, passed.stderr);
  follower.set({ NODE_ENV: "production" });
  for (const args of [
    ["send", "a"],
    ["user", "list"],
    ["incidents", "list"],
    ["key", "rotate", "--encryption"],
  ]) {
    const local = await follower.run(...args);
    assert.equal(local.code, 4, local.stdout);
    assert.ok(local.stderr.includes(`which follows ${leader}: run it on the machine of ${leader}`), local.stderr);
  }
  follower.set({ NODE_ENV: "development" });
}

/** Commands say how far a clock differs, and in which direction; how far a node is behind, and that it lacks room. */
async function checkSlowClock(t: Scope, servers: readonly NatsServer[], follower: ClusterNode): Promise<void> {
  const options = { servers: servers.map(({ address }) => address), name: "prism", replicas: 3, allowOldServer: false };
  const connection = await connectNats(options, "slow");
  t.after(() => connection.close());
  const signals = natsSignals(connection, "prism", recordBox(["the secret of the cluster of the tests"]));
  const startedAt = Date.now();
  let count = 0;
  const timer = setInterval(() => {
    const node = { node: "slow", run: "0123456789abcdef", startedAt, isLeader: false, isEnding: false, mayLead: false };
    const keys = { encryption: "", tokens: "" };
    const place = {
      term: 0,
      sequence: 1,
      hasRoom: false,
      advertise: "http://127.0.0.1:1",
      version: VERSION,
      fenced: 0,
    };
    const recordAt = Date.now() - 90_000;
    signals.send({ ...node, ...place, recordAt, keys, count: count++, at: Date.now() - 60_000 });
  }, 500);
  const doctor = await follower.run("doctor");
  assert.match(doctor.stdout, /the clock of slow is (59|60|61)\d{3} ms behind this machine's/);
  const status = await follower.run("cluster", "status");
  clearInterval(timer);
  assert.match(status.stdout, /^slow +follows +1 +[1-9]\d* +(8|9)\d{4} +no +0 +-(59|60|61)\d{3} /m);
  const [, leads = "", follows = ""] = status.stdout.split("\n");
  for (const line of [leads, follows])
    assert.match(line, /^\w +(leader +- +- +-|follows +\d+ +\d+ +\d+) +yes +\d+ +-?\d+ /, status.stdout);
}

/* At the same time: mostly they wait. */
describe("doctor", { concurrency: true }, () => {
  test("doctor checks the servers and the nodes of a cluster", async (t) => {
    const servers = await startNats(t, 3);
    const cluster = await startCluster(t, servers, ["a", "b"]);
    const leader = await cluster.leader();
    const follower = other(cluster, leader);
    // Right after the start a server may not be current yet, and a node not heard.
    const [first = "", second, third, log = "", nodes = "", ...places] = await eventually(
      "all are current",
      async () => {
        const all = await findings(follower);
        return all.some((each) => each.startsWith(`PASS cluster nodes: ${leader.name} leads; heard: a, b`)) &&
          all.some((each) => each.startsWith("PASS cluster log: 3 of 3"))
          ? all
          : undefined;
      },
    );
    assert.match(first, /^PASS nats-server: 127\.0\.0\.1:\d+ has the version 2\.\d+\.\d+$/);
    for (const each of [second, third]) assert.match(each ?? "", /^PASS nats-server/);
    assert.match(log, /^PASS cluster log: 3 of 3 nats-servers keep it; .*sync_interval: always/);
    assert.equal(nodes, `PASS cluster nodes: ${leader.name} leads; heard: a, b`);
    const addresses = servers.map(({ address }) => address).join(", ");
    assert.deepEqual(places, [
      `WARN cluster place: these nats-servers are on one machine: ${addresses}`,
      "WARN cluster place: these nodes are on one machine: a, b",
    ]);
    await checkFollower(follower, leader.name, await cluster.token());
    await checkSlowClock(t, servers, follower);
    await follower.kill();
    await servers[2]?.stop("SIGKILL");
    const found = await eventually(
      "what is missing is found",
      async () => {
        const all = await findings(leader);
        const isFound = all.some((each) =>
          /^WARN cluster log: these nats-servers do not have all of it: n2/.test(each),
        );
        return isFound ? all : undefined;
      },
      60_000,
    );
    assert.ok(
      found.some((each) => /^WARN nats-server: 127\.0\.0\.1:\d+ does not answer/.test(each)),
      found.join("\n"),
    );
    await servers[1]?.stop("SIGKILL");
    await eventually(
      "only those that are down are named",
      async () =>
        (await findings(leader)).some((each) =>
          /^FAIL cluster log: 2 of 3 .* do not answer: (n1, n2|n2, n1);/.test(each),
        ),
      60_000,
    );
  });

  test("a leader that cannot be reached where it says is named, by the follower, status and doctor", async (t) => {
    const wrong = "http://127.0.0.1:1";
    const cluster = await makeCluster(t, await startNats(t), ["a", "b"], { PRISM_CLUSTER_HOLD_MS: "500" });
    const [a, b] = cluster.nodes as [ClusterNode, ClusterNode];
    a.set({ PRISM_CLUSTER_ADVERTISE: wrong });
    await a.start();
    await cluster.leader();
    await b.start();
    const ask = async (headers: Record<string, string>): Promise<string> => {
      const reply = await fetch(`${b.url}/api/v1/incidents`, { headers });
      return `${reply.status} ${await reply.text()}`;
    };
    const named = /^503 .*NO_LEADER.*The leader a of the cluster cannot be reached at http:\/\/127\.0\.0\.1:1;/;
    await eventually("its machine sees the name", async () => named.test(await ask({})), 60_000);
    const stranger = await ask({ "X-Forwarded-For": "203.0.113.7" });
    assert.match(stranger, /^503 .*NO_LEADER.*This node cannot reach the leader of the cluster; nothing was stored/);
    assert.doesNotMatch(stranger, /127\.0\.0\.1:1/);
    assert.match(await ask({ Accept: "text/html" }), /<h1>The leader a of the cluster cannot be reached at /);
    const [status, asJson, doctor] = await Promise.all([
      b.run("cluster", "status"),
      b.run("cluster", "status", "--json"),
      b.run("doctor"),
    ]);
    assert.match(status.stdout, /^The leader a cannot be reached at http:\/\/127\.0\.0\.1:1 from this machine: /m);
    const { unreachable } = JSON.parse(asJson.stdout) as { unreachable: object[] };
    assert.deepEqual(Object.keys(unreachable[0] ?? {}).sort(), ["advertise", "isLeader", "node", "reason"]);
    assert.equal(doctor.code, 8);
    const found = (await findings(b)).filter((each) => each.includes("cluster reach"));
    assert.match(
      found.join(),
      /^FAIL cluster reach: the leader a cannot be reached at http:\/\/127\.0\.0\.1:1: [^,]+$/,
    );
  });
});
