import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { runCli } from "../cli/run-cli.ts";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { temporaryDir } from "../helpers/store.ts";
import { startNats } from "./support/nats.ts";
import { type ClusterNode, makeCluster, startCluster } from "./support/nodes.ts";
import { other, sendEvent } from "./support/sending.ts";

/** Runs a command that must succeed. @returns its JSON */
async function jsonOf(node: ClusterNode, ...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await node.run("cluster", ...args, "--json");
  assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
}

const OFFLINE = ["status", "digest", "init", "leave", "reseed", "join"];

test("commands that need the settings of a cluster, or its database, say what is missing", async (t) => {
  const cwd = temporaryDir(t);
  const run = (...args: string[]) => runCli(["cluster", ...args], { cwd, env: { PRISM_DATA_DIR: cwd } });
  for (const name of ["status", "init", "reseed", "join"]) {
    const { status, stderr } = await run(name);
    assert.deepEqual(
      [status, /cluster\.servers is not set: this is no node of a cluster/.test(stderr)],
      [3, true],
      name,
    );
  }
  for (const name of ["digest", "leave"]) assert.equal((await run(name)).status, 4, name);
  for (const name of OFFLINE) {
    const { status, stderr } = await run(name, "--url", "http://127.0.0.1:1");
    assert.deepEqual([status, /takes no --url/.test(stderr)], [2, true], `${name}: ${stderr}`);
  }
});

test("commands for a running node say at a single server that there is no cluster", async (t) => {
  const prism = await startPrism(t);
  const cwd = temporaryDir(t);
  const run = (...args: string[]) =>
    runCli(["cluster", ...args, "--url", prism.url, "--token", prism.adminToken, "--json"], { cwd });
  for (const [status, ...args] of [
    [7, "step-down"],
    [7, "compare"],
    [6, "remove", "b"],
  ] as const) {
    const done = await run(...args);
    assert.equal(done.status, status, `${args.join(" ")}: ${done.stderr}`);
    assert.match(done.stderr, /no node of a cluster/);
  }
});

/* At the same time: mostly they wait. */
describe("commands at nodes", { concurrency: true }, () => {
  test("init changes nothing when the nats-servers cannot make the log, and works once they can", async (t) => {
    const cluster = await makeCluster(t, await startNats(t), ["a"]);
    const [a] = cluster.nodes as [ClusterNode];
    const empty = await a.run("cluster", "init");
    assert.deepEqual([empty.code, /an empty node needs no command: \S*prism serve/.test(empty.stderr)], [4, true]);
    assert.match((await a.run("cluster", "status")).stdout, /no log yet: the first start of prism serve makes it/);
    await a.alone(async () => undefined);
    assert.match(
      (await a.run("cluster", "status")).stdout,
      /no log yet: prism cluster init makes it from this database/,
    );
    a.set({ PRISM_CLUSTER_REPLICAS: "3" });
    const refused = await a.run("cluster", "init");
    assert.deepEqual([refused.code, /the log cannot be made: /.test(refused.stderr)], [3, true], refused.stderr);
    await a.alone(async () => undefined);
    a.set({ PRISM_CLUSTER_REPLICAS: "1" });
    await jsonOf(a, "init");
    await a.start();
    assert.equal((await cluster.leader()).name, "a");
  });

  test("from a single server to a cluster and back, the JSON of each command has what its page says", async (t) => {
    const servers = await startNats(t);
    const cluster = await makeCluster(t, servers, ["a", "b"]);
    const [a, b] = cluster.nodes as [ClusterNode, ClusterNode];
    await a.alone(async () => undefined);
    assert.equal(((await jsonOf(a, "digest")) as { position: unknown }).position, null);
    const never = await a.run("cluster", "leave", "--yes");
    assert.deepEqual([never.code, /the database is in no cluster/.test(never.stderr)], [3, true], never.stderr);
    assert.deepEqual(await jsonOf(a, "init"), { cluster: "prism", node: "a" });
    assert.equal((await a.run("cluster", "init")).code, 3, "it is in a cluster");
    const none = await a.run("cluster", "status", "--json");
    assert.deepEqual(
      [none.code, (JSON.parse(none.stdout) as { log: unknown }).log],
      [8, { first: 1, last: 1 }],
      none.stderr,
    );
    await a.start();
    await cluster.leader();
    await b.start();
    await eventually(
      "both are heard",
      async () => ((await jsonOf(a, "status")) as { nodes: object[] }).nodes.length === 2,
      60_000,
    );
    const status = (await jsonOf(b, "status")) as { nodes: Record<string, unknown>[]; log: Record<string, unknown> };
    assert.deepEqual(
      status.nodes.map(({ node, isLeader }) => [node, isLeader]),
      [
        ["a", true],
        ["b", false],
      ],
    );
    const members = ["node", "run", "startedAt", "count", "isLeader", "isEnding", "term", "sequence", "recordAt"];
    members.push("mayLead", "hasRoom", "advertise", "at", "keys", "version", "fenced", "skewMs");
    assert.deepEqual(Object.keys(status.nodes[0] ?? {}).sort(), members.sort());
    assert.deepEqual(Object.keys(status.log).sort(), ["first", "last"]);
    assert.deepEqual((status as { unreachable?: unknown }).unreachable, []);
    for (const { sequence } of status.nodes)
      assert.ok(Number(sequence) <= Number(status.log["last"]), "it is in the log");
    assert.deepEqual(Object.keys(((await jsonOf(b, "digest")) as { position: object }).position).sort(), [
      "id",
      "sequence",
      "term",
    ]);
    assert.deepEqual(await jsonOf(a, "step-down", "--to", "b"), { from: "a", to: "b" });
    await eventually("b leads", async () => (await cluster.leader()).name === "b", 60_000);

    await a.stop();
    await eventually(
      "a is removed",
      async () => (await b.run("cluster", "remove", "a", "--json")).stdout.includes('"a"'),
      60_000,
    );
    assert.equal((await a.run("cluster", "join", "--json")).code, 2, "not without a confirmation");
    const kept = `${a.file}.before-join`;
    assert.deepEqual(await jsonOf(a, "join", "--yes"), { leader: "b", kept, files: [kept] });
    writeFileSync(a.file, "second");
    writeFileSync(`${a.file}-wal`, "its log");
    const again = await a.run("cluster", "join", "--yes");
    assert.ok(again.stdout.includes(`remove ${kept}-2 ${kept}-2-wal\n`), again.stdout);
    assert.notEqual(readFileSync(kept, "latin1"), "second", "the first one is still there");
    await b.stop();
    assert.equal((await b.run("cluster", "leave")).code, 2, "not without a confirmation");
    assert.ok((await b.leaderNotes()).includes("cluster.drillAskedAt"), "a leader notes something in the settings");
    assert.deepEqual(await jsonOf(b, "leave", "--standalone", "--yes"), { left: true, notChecked: null, waiting: 0 });
    assert.deepEqual(await b.leaderNotes(), [], "nothing of the cluster is left");
    assert.deepEqual(Object.keys(await jsonOf(b, "reseed", "--yes")).sort(), ["before", "cluster", "log", "node"]);
  });

  test("leave refuses on a node that lacks changes of the log, and says when it could not look", async (t) => {
    const servers = await startNats(t);
    const cluster = await startCluster(t, servers, ["a", "b"]);
    const [last, token] = [await cluster.leader(), await cluster.token()];
    const behind = other(cluster, last);
    assert.equal((await last.run("backup")).code, 0);
    await cluster.requireEqual();
    await behind.stop();
    await sendEvent(last, token, "late");
    await last.stop();
    const refused = await behind.run("cluster", "leave", "--yes");
    assert.equal(refused.code, 3, refused.stdout);
    assert.match(
      refused.stderr,
      /has \d+ of \d+ records of the log: run it on the machine that led last, or start this/,
    );
    const asks = await behind.run("cluster", "leave", "--without-records");
    assert.deepEqual([asks.code, /nothing was changed/.test(asks.stderr)], [2, true], asks.stderr);
    // Its own signs of life are in the log only.
    assert.deepEqual(await jsonOf(last, "leave", "--yes"), { left: true, notChecked: null, waiting: 0 });
    for (const server of servers) await server.stop();
    const { code, stdout, stderr } = await behind.run("cluster", "leave", "--yes", "--json");
    const notChecked = "no nats-server answers: could not look for other nodes of the cluster";
    assert.equal(code, 0, stderr);
    assert.match(stderr, new RegExp(`^${notChecked}$`, "m"));
    assert.deepEqual(JSON.parse(stdout), { left: true, notChecked, waiting: 0 });
    for (const node of cluster.nodes) node.set({ PRISM_CLUSTER_SERVERS: "" });
    const elsewhere = new RegExp(`WARN +backups +the newest .* by the node ${last.name}, and is not here: ${last.dir}`);
    assert.match((await last.run("doctor")).stdout, /PASS +backups /);
    // The nodes of a test are on one machine.
    rmSync(join(last.dir, "backups"), { recursive: true });
    const found = (await behind.run("doctor")).stdout;
    assert.match(found, elsewhere);
    assert.match(found, /PASS +audit /, "it never led");
  });

  test("a node that leaves sends itself what it took without a leader", async (t) => {
    const servers = await startNats(t);
    const own = { PRISM_CLUSTER_EMERGENCY_AFTER_MS: "2000", PRISM_CLUSTER_HOLD_MS: "1000" };
    const cluster = await startCluster(t, servers, ["a"], own);
    const [a] = cluster.nodes as [ClusterNode];
    const token = await cluster.token();
    for (const server of servers) await server.stop();
    const health = () => fetch(`${a.url}/health`).then((reply) => reply.text());
    const isDegraded = () =>
      health().then(
        (text) => text.includes('"degraded":true'),
        () => false,
      );
    await eventually("it pages from a copy", isDegraded, 90_000);
    await sendEvent(a, token, "spooled");
    const backup = await a.run("backup");
    assert.deepEqual([backup.code, backup.stdout], [8, ""]);
    assert.match(backup.stderr, /no archive: no node leads, and the node that leads makes the archives/);
    await a.stop();
    assert.equal((await jsonOf(a, "leave", "--yes"))["waiting"], 1);
    a.set({ PRISM_CLUSTER_SERVERS: "" });
    const warning = /WARN +cluster spool +requests that this server took as a node .* in no database: 1/;
    assert.match((await a.run("doctor")).stdout, warning);
    await a.alone(async () => {
      await eventually("it is stored", async () => (await a.eventsOf("spooled")) === 1);
    });
    assert.deepEqual([await a.eventsOf("spooled"), existsSync(join(a.dir, "spool"))], [1, false]);
    assert.doesNotMatch((await a.run("doctor")).stdout, /cluster spool/);
  });
});
