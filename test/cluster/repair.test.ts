import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import test, { describe } from "node:test";
import type { NatsLog } from "../../src/cluster/log/nats-log.ts";
import { differing, type TableDigest } from "../../src/cluster/tools/digest.ts";
import { closing, openForWriting } from "../../src/store/sqlite/connection.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryDir } from "../helpers/store.ts";
import { openLog, startNats } from "./support/nats.ts";
import { type ClusterNode, rolesOf, startCluster } from "./support/nodes.ts";
import { sendEvent, typesAt } from "./support/sending.ts";
import { shared } from "./support/shared.ts";

async function messagesOf(log: NatsLog): Promise<Uint8Array[]> {
  const { last } = await log.range();
  return Promise.all(Array.from({ length: last }, async (_, i) => (await log.at(i + 1)).bytes));
}

async function replaceBy(log: NatsLog, messages: readonly Uint8Array[]): Promise<void> {
  await log.remove();
  await log.create(1);
  for (const [after, message] of messages.entries()) await log.append([message], after);
}

/** Starts a node that ends by itself. @returns exit code and output */
async function refusalOf(node: ClusterNode): Promise<readonly [number | null, string]> {
  await node.start().catch(() => undefined);
  return [await node.ended(), node.output];
}

function isKnown(leader: ClusterNode, { name }: ClusterNode): boolean {
  const { stdout } = leader.command("api", "getCluster");
  return stdout.includes(`"${name}"`);
}

/* Each test leaves two nodes that run, but for the last one. */
describe("two nodes", () => {
  const parts = shared(async (t) => {
    const servers = await startNats(t);
    return { log: await openLog(t, servers), cluster: await startCluster(t, servers, ["a", "b"]) };
  });

  test("a node that is gone for good is removed; a live one is not", async () => {
    const { cluster } = parts();
    const [leader, gone] = await rolesOf(cluster);
    await eventually("the other node is heard", () => isKnown(leader, gone));
    const live = leader.command("cluster", "remove", gone.name);
    assert.match(live.stderr, /is live: stop it first; after its stop it counts as live for \d+ s/);
    assert.match(leader.command("cluster", "remove", "x").stderr, /knows no node x/);
    await gone.stop();
    await eventually("it is removed", () => leader.command("cluster", "remove", gone.name).status === 0, 30_000);
    assert.equal(isKnown(leader, gone), false);
    const audit = await fetch(`${leader.url}/api/v1/audit?action=cluster.remove`, {
      headers: { Authorization: `Bearer ${await cluster.token()}` },
    });
    const { data } = (await audit.json()) as { data: { metadata: object }[] };
    assert.deepEqual(
      data.map(({ metadata }) => metadata),
      [{ node: gone.name }],
    );
    await gone.start();
    await eventually("it is there again", () => isKnown(leader, gone));
  });

  test("a row that was changed by hand is found by the digests, and the node copies the leader's database", async () => {
    const { cluster } = parts();
    const [leader, bent] = await rolesOf(cluster);
    await sendEvent(leader, await cluster.token(), "straight");
    await cluster.requireEqual();
    await bent.stop();
    closing(openForWriting({ file: bent.file, busyTimeoutMs: 5000 }), (connection) =>
      connection.prepare("update events set type = 'bent'").run(),
    );
    const [ours, theirs] = [leader, bent].map(
      (node) => (JSON.parse(node.command("cluster", "digest", "--json").stdout) as { tables: TableDigest[] }).tables,
    );
    assert.ok(ours && theirs && differing(ours, theirs).includes("events"));
    assert.equal(bent.command("cluster", "join", "--yes").status, 0);
    await bent.start();
    await cluster.requireEqual();
    assert.equal(await bent.eventsOf("straight"), 1);
  });

  test("a node without the encryption key of the leader is refused by name", async () => {
    const { cluster } = parts();
    const [leader, stranger] = await rolesOf(cluster);
    await stranger.stop();
    stranger.set({ PRISM_ENCRYPTION_KEY: "08".repeat(32) });
    const [code, output] = await refusalOf(stranger);
    assert.equal(code, 3, output);
    assert.ok(
      output.includes(`this node (${stranger.name}) lacks the encryption key of the leader ${leader.name}`),
      output,
    );
    stranger.set({ PRISM_ENCRYPTION_KEY: "08".repeat(32), PRISM_PREVIOUS_ENCRYPTION_KEYS: "07".repeat(32) });
    await stranger.start();
    // It has looked at the leader's key by then.
    await rolesOf(cluster);
    await cluster.requireEqual();
    await stranger.stop();
    stranger.set({ PRISM_ENCRYPTION_KEY: "07".repeat(32), PRISM_PREVIOUS_ENCRYPTION_KEYS: "" });
    await stranger.start();
  });

  test("the backup of a leader is restored without a cluster, and begins a new one", async (t) => {
    const { cluster } = parts();
    const [node, absent] = await rolesOf(cluster);
    await absent.stop();
    const token = await cluster.token();
    const types = async (own: string) => (await typesAt(node, own)).filter((type) => type.startsWith("backup."));
    await sendEvent(node, token, "backup.with");
    const file = `${temporaryDir(t)}/backup.tar`;
    const backup = node.command("backup", file);
    assert.equal(backup.status, 0, backup.stderr);
    await sendEvent(node, token, "backup.without");
    await node.stop();
    const restore = node.command("restore", file, "--yes");
    assert.equal(restore.status, 0, restore.stderr);
    const early = node.command("cluster", "init");
    assert.match(
      early.stderr,
      /has a log already\. To follow it: \S*prism cluster join .*Only if .*: \S*prism cluster reseed$/m,
    );
    await node.alone(async (own) => assert.deepEqual(await types(own), ["backup.with"]));
    assert.equal(node.command("cluster", "reseed", "--yes").status, 0);
    await node.start();
    assert.equal(await cluster.leader(), node);
    assert.deepEqual(await types(await cluster.token()), ["backup.with"]);
    assert.equal(absent.command("cluster", "join", "--yes").status, 0);
    await absent.start();
  });

  test("a log that was cut, replaced or lost stops every node; a new one begins with all that was acknowledged", async () => {
    const { cluster, log } = parts();
    const [a, b] = cluster.nodes as [ClusterNode, ClusterNode];
    const [, follower] = await rolesOf(cluster);
    const token = await cluster.token();
    for (const type of ["log.one", "log.two", "log.three"]) await sendEvent(a, token, type);
    await cluster.requireEqual();
    await follower.stop();
    const busy = follower.command("cluster", "reseed", "--yes");
    assert.deepEqual([busy.status, /stop all nodes first: [ab]$/m.test(busy.stderr)], [3, true], busy.stderr);
    for (const node of cluster.nodes) await node.stop();
    const messages = await messagesOf(log);
    const kept = messages.slice(0, Math.min(await a.position(), await b.position()) - 1);

    await replaceBy(log, kept);
    for (const [code, output] of await Promise.all(cluster.nodes.map(refusalOf))) {
      assert.equal(code, 3, output);
      assert.match(output, /it lost its end; .*prism cluster reseed/);
    }
    const first = messages[0] as Uint8Array;
    await replaceBy(log, [...kept, ...Array.from({ length: messages.length }, () => first)]);
    const [code, output] = await refusalOf(a);
    assert.equal(code, 3, output);
    assert.match(output, /the log was cut or replaced/);
    await log.remove();
    for (const [lost, said] of await Promise.all(cluster.nodes.map(refusalOf))) {
      assert.equal(lost, 3, said);
      assert.match(said, /the log of the cluster is gone.*prism cluster reseed/);
    }
    assert.equal(await log.exists(), false, "a node with data makes no log");
    const [last, earlier] = (await a.position()) >= (await b.position()) ? [a, b] : [b, a];
    const [status, doctor, unconfirmed] = await Promise.all([
      a.run("cluster", "status"),
      a.run("doctor"),
      last.run("cluster", "reseed"),
    ]);
    assert.equal(status.code, 8);
    assert.match(status.stderr, /the log of the cluster is gone, .*prism cluster reseed/);
    assert.match(doctor.stdout, /FAIL +cluster log +it is gone, .*prism cluster reseed/);
    assert.equal(unconfirmed.code, 2, "not without a confirmation");

    const reseed = last.command("cluster", "reseed", "--yes", "--json");
    assert.equal(reseed.status, 0, reseed.stderr);
    assert.equal((JSON.parse(reseed.stdout) as { node: string }).node, last.name);
    const early = earlier.command("cluster", "join", "--yes");
    assert.deepEqual([early.status, /no node leads/.test(early.stderr)], [8, true], early.stderr);
    await last.start();
    await cluster.leader();
    const [differs, why] = await refusalOf(earlier);
    assert.equal(differs, 3, why);
    assert.equal(earlier.command("cluster", "join").status, 2, "not without a confirmation");
    const join = earlier.command("cluster", "join", "--yes", "--json");
    assert.equal(join.status, 0, join.stderr);
    const { kept: before } = JSON.parse(join.stdout) as { kept: string };
    assert.ok(before.startsWith(`${earlier.file}.before-join`) && existsSync(before), before);
    await earlier.start();
    await sendEvent(earlier, token, "log.four");
    await cluster.requireEqual();
    const types = await typesAt(await cluster.leader(), await cluster.token());
    assert.deepEqual(
      types.filter((type) => type.startsWith("log.")),
      ["log.one", "log.two", "log.three", "log.four"],
    );
  });

  test("a node that follows a log that is gone says so, pages people, and claims no leader when it ends", async () => {
    const { cluster, log } = parts();
    const [node, next] = await rolesOf(cluster);
    await sendEvent(node, await cluster.token(), "gone.one");
    await cluster.requireEqual();
    await node.stop();
    await eventually("it leads", async () => (await cluster.leader()) === next, 60_000);
    node.set({ PRISM_CLUSTER_EMERGENCY_AFTER_MS: "2000", PRISM_CLUSTER_HOLD_MS: "1000" });
    await node.start();
    await cluster.requireEqual();
    await log.remove();
    // It would lead on for twenty seconds.
    await next.kill();
    await eventually(
      "the cause and the remedy",
      async () => /the log of the cluster is gone.*reseed/.test((await node.health())?.problem ?? ""),
      90_000,
    );
    await eventually("people are paged", async () => (await node.health())?.degraded === true, 90_000);
    await node.stop();
    assert.match(node.output, /the log of the cluster is gone.*this node cannot take over/);
    assert.doesNotMatch(node.output.slice(node.output.indexOf("no node leads")), /leads the cluster again/);
  });
});
