import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { purgeApplied } from "../../src/cluster/follow/join.ts";
import { fetchSnapshot, finishCopy, serveSnapshots } from "../../src/cluster/follow/snapshot.ts";
import { connectNats } from "../../src/cluster/log/nats-log.ts";
import { recordBox } from "../../src/cluster/log/record.ts";
import type { KnownNode } from "../../src/cluster/member.ts";
import { digestOf } from "../../src/cluster/tools/digest.ts";
import { silentLogger } from "../../src/core/log.ts";
import { closing, openForReading, openForWriting } from "../../src/store/sqlite/connection.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { openLog, startNats } from "./support/nats.ts";
import { type ClusterNode, makeCluster, startCluster } from "./support/nodes.ts";
import { other, sendEvent, typesAt } from "./support/sending.ts";

test("a server with data becomes the first node of a cluster, and ends it again with all its data", async (t) => {
  const servers = await startNats(t);
  const cluster = await makeCluster(t, servers, ["a", "b"]);
  const [a, b] = cluster.nodes as [ClusterNode, ClusterNode];
  await a.alone((token) => sendEvent(a, token, "alone"));
  const early = a.command("serve");
  assert.deepEqual([early.status, /prism cluster init/.test(early.stderr)], [3, true], early.stderr);
  const init = a.command("cluster", "init");
  assert.equal(init.status, 0, init.stderr);
  assert.equal(a.command("cluster", "init").status, 3, "a second time");
  const reset = a.command("migrate", "reset", "--yes");
  assert.deepEqual([reset.status, /belongs to a cluster/.test(reset.stderr)], [4, true], reset.stderr);
  // It has no data, and the log does not hold those of before: it waits for the node that has them.
  const starting = b.start();
  await eventually("it has reached the log", () =>
    /cannot copy the database from the leader yet|following the cluster/.test(b.output),
  );
  await a.start();
  assert.equal((await cluster.leader()).name, "a");
  await starting;
  const token = await cluster.token();
  await sendEvent(b, token, "together");
  await cluster.requireEqual();
  const [status, refused] = await Promise.all([
    a.run("cluster", "status", "--json"),
    a.run("cluster", "leave", "--yes"),
  ]);
  const { nodes } = JSON.parse(status.stdout) as { nodes: { node: string; isLeader: boolean }[] };
  assert.deepEqual(
    nodes.map(({ node, isLeader }) => [node, isLeader]),
    [
      ["a", true],
      ["b", false],
    ],
  );
  assert.deepEqual([refused.code, /stop the other nodes first, the leader last: b/.test(refused.stderr)], [3, true]);
  await a.stop();
  await eventually("the other node leads", async () => (await typesAt(b, token).catch(() => [])).length === 2, 60_000);
  assert.deepEqual(await typesAt(b, token), ["alone", "together"]);
  assert.equal(await b.stop(), 0);
  const [unconfirmed, { stdout }] = await Promise.all([
    b.run("cluster", "leave"),
    b.run("cluster", "digest", "--json"),
  ]);
  assert.equal(unconfirmed.code, 2, "not without a confirmation");
  const digest = JSON.parse(stdout) as { tables: { table: string }[] };
  assert.ok(digest.tables.some(({ table }) => table === "events"));
  await assert.rejects(
    b.alone(() => Promise.resolve()),
    /belongs to a cluster.*prism cluster leave$/m,
  );
  assert.notDeepEqual(await b.leaderNotes(), []);
  assert.equal(b.command("cluster", "leave", "--yes").status, 0);
  assert.deepEqual(await b.leaderNotes(), [], "nothing of the cluster is left");
  await b.alone(async (own) => assert.deepEqual(await typesAt(b, own), ["alone", "together"]));
  await servers[0]?.stop();
  const unreachable = a.command("cluster", "status");
  assert.deepEqual([unreachable.status, /no nats-server answers/.test(unreachable.stderr)], [4, true]);
});

test("a node that was away while the log was shortened copies the leader's database", async (t) => {
  const servers = await startNats(t);
  const cluster = await startCluster(t, servers, ["a", "b"]);
  const leader = await cluster.leader();
  const away = other(cluster, leader);
  const token = await cluster.token();
  await sendEvent(leader, token, "first");
  await cluster.requireEqual();
  await away.stop();
  await sendEvent(leader, token, "second");
  const log = await openLog(t, servers);
  await sendEvent(leader, token, "third");
  await log.purge(await log.last());
  const [stranger] = (
    await makeCluster(t, servers, ["c"], { PRISM_CLUSTER_SECRET: "another secret of the cluster of the tests" })
  ).nodes;
  assert.ok(stranger);
  await stranger.start().catch(() => undefined);
  assert.equal(await stranger.ended(), 3);
  assert.match(stranger.output, /different values of cluster\.secret/);
  const [status, doctor] = await Promise.all([stranger.run("cluster", "status"), stranger.run("doctor")]);
  assert.deepEqual([status.code, /cluster\.secret of this machine differs/.test(status.stderr)], [8, true]);
  assert.match(doctor.stdout, /FAIL +cluster nodes +messages of nodes cannot be opened: cluster\.secret/);
  // As of a database that had other rows.
  const noted = join(away.dir, "audit.head");
  writeFileSync(noted, `1:${"0".repeat(64)}\n`);
  await away.start();
  await eventually("it has the database", () => away.output.includes("copied the database from the leader"));
  assert.equal(existsSync(noted), false);
  await cluster.requireEqual();
  await leader.kill();
  await eventually("it leads", async () => (await typesAt(away, token).catch(() => [])).length === 3, 60_000);
  assert.deepEqual(await typesAt(away, token), ["first", "second", "third"]);
});

test("nodes that copy a database at the same time share one copy", async (t) => {
  const dir = temporaryDir(t);
  const file = join(dir, "prism.db");
  closing(openForWriting({ file, busyTimeoutMs: 5000 }), (connection) => {
    connection.exec("create table a (n integer, bytes blob)");
    const insert = connection.prepare("insert into a values (?, ?)");
    for (let n = 0; n < 100; n++) insert.run(n, randomBytes(50_000));
  });
  const [server] = await startNats(t);
  const options = { servers: [server?.address ?? ""], name: "test", replicas: 1, allowOldServer: false };
  const copies: string[] = [];
  const log = { ...silentLogger, info: (_: object, text: string) => void copies.push(text) };
  const transport = async () => {
    const nats = await connectNats(options, "test");
    t.after(() => nats.close());
    return { nats, name: "test", box: recordBox(["secret"]), log };
  };
  const snapshots = serveSnapshots(await transport(), { file, minFreeBytes: 0 });
  assert.equal(snapshots.isInUse, false);
  const into = ["b", "c", "d"].map((name) => join(dir, `${name}.db`));
  await Promise.all(into.map(async (path) => fetchSnapshot(await transport(), path)));
  assert.equal(snapshots.isInUse, true);
  assert.equal(copies.filter((text) => text === "another node copies the database").length, 1);
  const digests = await Promise.all([file, ...into].map((path) => digestOf(openForReading(path))));
  for (const digest of digests) assert.deepEqual(digest, digests[0]);
});

/** Of a file whose process was killed: a part of its rows is in the write-ahead log only. */
function killedDatabase(file: string, rows: number): void {
  const connection = openForWriting({ file: `${file}.live`, busyTimeoutMs: 5000 });
  connection.pragma("journal_mode = WAL");
  connection.exec("create table a (n integer)");
  connection.pragma("wal_checkpoint(TRUNCATE)");
  const insert = connection.prepare("insert into a values (?)");
  for (let n = 0; n < rows; n++) insert.run(n);
  for (const suffix of ["", "-wal", "-shm"]) copyFileSync(`${file}.live${suffix}`, `${file}${suffix}`);
  connection.close();
  rmSync(`${file}.live`);
}

function rowsOf(file: string): number {
  return closing(openForWriting({ file, busyTimeoutMs: 5000 }), (connection) => {
    assert.equal(connection.pragma("quick_check", { simple: true }), "ok");
    return connection.prepare<[], number>("select count(*) from a").pluck().get() ?? 0;
  });
}

const [OLD, NEW] = [7, 3];

test("after a crash at any step of a copy the next start has the old database whole, or the new one", (t) => {
  const dir = temporaryDir(t);
  const whole = join(dir, "whole.db");
  killedDatabase(whole, NEW);
  rowsOf(whole);
  for (const [name, lay, expected] of [
    ["the copy is not whole", (file) => writeFileSync(`${file}.copy.partial`, "SQLite"), OLD],
    ["the copy is whole", (file) => copyFileSync(whole, `${file}.copy.partial`), OLD],
    ["the copy was checked", (file) => copyFileSync(whole, `${file}.copy`), NEW],
    ["without the log of before", (file) => layCopy(file, ["-wal"]), NEW],
    ["without all of before", (file) => layCopy(file, ["-wal", "-shm"]), NEW],
    ["the copy is in its place", (file) => layCopy(file, ["", "-wal", "-shm"], ""), NEW],
  ] as const satisfies readonly (readonly [string, (file: string) => void, number])[]) {
    const folder = temporaryDir(t);
    const [file, note] = [join(folder, "prism.db"), join(folder, "audit.head")];
    killedDatabase(file, OLD);
    writeFileSync(note, "of the old one");
    lay(file);
    finishCopy(file, [note]);
    assert.equal(rowsOf(file), expected, name);
    const kept = readdirSync(folder).filter((each) => /copy/.test(each));
    assert.deepEqual(kept, [], name);
    if (name === "the copy was checked") assert.equal(existsSync(note), false);
    if (expected === OLD) assert.equal(existsSync(note), true);
  }

  function layCopy(file: string, removed: readonly string[], suffix = ".copy"): void {
    for (const each of removed) rmSync(`${file}${each}`);
    copyFileSync(whole, `${file}${suffix}`);
  }
});

/** A connection to a nats-server of its own, and what is logged through it. */
async function loggedTransport(t: TestContext) {
  const [server] = await startNats(t);
  const options = { servers: [server?.address ?? ""], name: "test", replicas: 1, allowOldServer: false };
  const nats = await connectNats(options, "test");
  t.after(() => nats.close());
  const said: string[] = [];
  const note = (object: { readonly err?: Error }, text: string) => void said.push(object.err?.message ?? text);
  const log = { ...silentLogger, info: note, warn: note };
  return { transport: { nats, name: "test", box: recordBox(["secret"]), log }, said };
}

test("a node that lacks room for the leader's database says so, and copies it when there is room", async (t) => {
  const dir = temporaryDir(t);
  const [file, into] = [join(dir, "prism.db"), join(dir, "b.db")];
  killedDatabase(file, NEW);
  rowsOf(file);
  const { transport, said } = await loggedTransport(t);
  serveSnapshots(transport, { file, minFreeBytes: 0 });
  let looks = 0;
  await fetchSnapshot(transport, into, {
    free() {
      assert.equal(existsSync(into), false);
      return looks++ < 2 ? 4096 : 1_000_000_000;
    },
  });
  assert.equal(rowsOf(into), NEW);
  assert.equal(looks, 4);
  assert.deepEqual(
    said.map((text) => text.replace(/\d+/, "N").replace(dir, "DIR")),
    [
      "another node copies the database",
      "the leader's database has N bytes, and the disk of DIR less room: free some",
      "copied the database from the leader",
    ],
  );
});

const PAGE_BYTES = 4096;

test("a leader begins no copy without room, and removes what it has written of one that fails", async (t) => {
  const dir = temporaryDir(t);
  const [file, partial] = [join(dir, "prism.db"), join(dir, ".cluster-snapshot.partial")];
  closing(openForWriting({ file, busyTimeoutMs: 5000 }), (connection) => {
    connection.exec("create table a (bytes blob)");
    const insert = connection.prepare("insert into a values (?)");
    for (let n = 0; n < 100; n++) insert.run(randomBytes(1000));
  });
  const whole = readFileSync(file);
  const damaged = Buffer.from(whole).fill(0xff, 10 * PAGE_BYTES, 11 * PAGE_BYTES);
  const { transport, said } = await loggedTransport(t);
  let room = whole.length;
  serveSnapshots(transport, { file, minFreeBytes: PAGE_BYTES, free: () => room });
  const ask = async (): Promise<string> => {
    const before = said.length;
    transport.nats.publish(
      "prism.test.snapshot",
      transport.box.seal("prism cluster snapshot", Buffer.from('{"id":"","offset":0}')),
    );
    await eventually("it is said", () => said.length > before);
    return said.at(-1) ?? "";
  };
  assert.match(await ask(), /^a copy of the database needs \d+ bytes, and the disk of .* has \d+: free some$/);
  assert.equal(existsSync(partial), false);
  room += PAGE_BYTES;
  writeFileSync(file, damaged);
  assert.match(await ask(), /malformed/);
  assert.equal(existsSync(partial), false);
  writeFileSync(file, whole);
  assert.equal(await ask(), "another node copies the database");
  assert.equal(existsSync(partial), true);
});

const [MINUTE_MS, KEPT] = [60_000, 10_000];

test("the log is kept for a node that goes on, and not for one that has applied nothing for an hour", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const lead = { sequence: 100_000 };
  const known = { ...{ run: "1", startedAt: 0, count: 0, isLeader: false, isEnding: false, term: 1, recordAt: 0 } };
  const nodes = new Map<string, number>();
  const purged: number[] = [];
  purgeApplied({
    journal: { purge: async (before) => void purged.push(before) },
    member: {
      get nodes() {
        return [...nodes].map(([node, sequence]) => ({ ...known, node, sequence, heardAt: now }) as KnownNode);
      },
    },
    ...{ lead, snapshots: { isInUse: false }, log: silentLogger },
  });
  const pass = (minutes: number, goesOn: boolean): number | undefined => {
    for (let n = 0; n < minutes; n += 10) {
      now += 10 * MINUTE_MS;
      lead.sequence += 100;
      if (goesOn) nodes.set("slow", (nodes.get("slow") ?? 0) + 1);
      t.mock.timers.tick(10 * MINUTE_MS);
    }
    return purged.at(-1);
  };
  nodes.set("slow", 20_000);
  assert.equal(pass(180, true), 20_018 - KEPT, "it is far behind, and goes on");
  assert.equal(pass(50, false), 20_018 - KEPT, "its disk is full");
  assert.equal(pass(20, false), lead.sequence - KEPT, "the others must go on");
  nodes.set("slow", lead.sequence);
  assert.equal(pass(10, true), lead.sequence - 99 - KEPT, "it has copied the leader's file");
});
