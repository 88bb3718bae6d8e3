import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { NatsFiles } from "../../src/cluster/follow/shared-files.ts";
import { connectNats } from "../../src/cluster/log/nats-log.ts";
import { recordBox } from "../../src/cluster/log/record.ts";
import { PARTIAL } from "../../src/core/data-dir.ts";
import { wavFile } from "../helpers/audio.ts";
import { eventually } from "../helpers/eventually.ts";
import type { Scope } from "../helpers/scope.ts";
import { PASSWORD, startNats, startSecured } from "./support/nats.ts";
import { type ClusterNode, makeCluster } from "./support/nodes.ts";
import { other } from "./support/sending.ts";

interface Uploaded {
  readonly id: string;
  readonly url: string;
}

async function upload(node: ClusterNode, token: string, name: string, bytes: Buffer): Promise<Uploaded> {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "audio/wav" };
  const reply = await fetch(`${node.url}/api/v1/sounds?filename=${name}`, { method: "POST", headers, body: bytes });
  assert.equal(reply.status, 201, await reply.clone().text());
  return (await reply.json()) as Uploaded;
}

async function download(node: ClusterNode, url: string): Promise<Buffer> {
  const { pathname, search } = new URL(url);
  const reply = await fetch(`${node.url}${pathname}${search}`);
  assert.equal(reply.status, 200, `${pathname}: ${await reply.clone().text()}`);
  return Buffer.from(await reply.arrayBuffer());
}

/** Without those that are being written. */
const filesOf = (node: ClusterNode, folder: string): string[] => {
  const dir = join(node.dir, folder);
  const names = existsSync(dir) ? readdirSync(dir).sort() : [];
  return names.filter((name) => !name.endsWith(PARTIAL));
};

test("a node that takes over has the sounds and attachments of the one before, those of before the cluster too", async (t) => {
  const servers = await startNats(t);
  const cluster = await makeCluster(t, servers, ["a", "b"]);
  const [a, b] = cluster.nodes as [ClusterNode, ClusterNode];
  const [early, late] = [wavFile(2000), wavFile(600_000)];
  await a.alone(async (token) => {
    await upload(a, token, "early.wav", early);
  });
  assert.equal(a.command("cluster", "init").status, 0);
  await a.start();
  await cluster.leader();
  await b.start();
  const token = await cluster.token();
  const uploaded = await upload(b, token, "late.wav", late);
  const attachment = randomBytes(300_000);
  const published = await fetch(`${b.url}/ntfy/disk`, {
    method: "PUT",
    headers: { Authorization: `Bearer ${token}`, Filename: "graph.bin" },
    body: attachment,
  });
  assert.equal(published.status, 200, await published.clone().text());
  const message = (await published.json()) as { id: string; attachment: { url: string } };
  assert.deepEqual(filesOf(b, "sounds"), []);
  // It puts what it had before the cluster once its work has begun.
  const shared = await sharedOf(t, servers[0]?.address ?? "");
  await eventually("both sounds are shared", async () => (await shared.list("sounds")).size === 2);
  await cluster.requireEqual();
  await a.kill();
  await eventually("the other node leads", async () => ((await cluster.leader()) === b ? true : undefined));
  assert.deepEqual(await download(b, message.attachment.url), attachment, "before it was fetched by itself");
  assert.deepEqual(await download(b, uploaded.url), late);
  const names = filesOf(a, "sounds");
  assert.equal(names.length, 2);
  await eventually("it has all files", () => filesOf(b, "sounds").length === 2 && filesOf(b, "ntfy").length === 1);
  for (const name of names)
    assert.deepEqual(readFileSync(join(b.dir, "sounds", name)), readFileSync(join(a.dir, "sounds", name)));
  const headers = { Authorization: `Bearer ${token}` };
  const removed = await fetch(`${b.url}/api/v1/sounds/${uploaded.id}`, { method: "DELETE", headers });
  assert.equal(removed.status, 204);
  await eventually("the removed one is nowhere", async () => {
    return filesOf(b, "sounds").length === 1 && (await shared.list("sounds")).size === 1;
  });
  await a.start();
  await cluster.requireEqual();
  assert.equal(other(cluster, await cluster.leader()), a);
});

async function sharedOf(t: Scope, server: string): Promise<NatsFiles> {
  const nats = await connectNats({ servers: [server], name: "prism", replicas: 1, allowOldServer: false }, "test");
  t.after(() => nats.close());
  return new NatsFiles(nats, "prism", 1, recordBox(["the secret of the cluster of the tests"]));
}

test("files are sealed, and the account of the shipped configuration may store them", async (t) => {
  const { server, caFile } = await startSecured(t);
  const nats = await connectNats(
    {
      ...{ servers: [server.address], name: "prism", replicas: 1, allowOldServer: false },
      ...{ caFile, user: "prism", password: PASSWORD },
    },
    "test",
  );
  t.after(() => nats.close());
  const files = new NatsFiles(nats, "prism", 1, recordBox(["one"]));
  const content = Buffer.concat([Buffer.from("a text that servers must not see"), randomBytes(3_000_000)]);
  await files.put("sounds/x", content);
  assert.deepEqual(await files.get("sounds/x"), content);
  assert.equal(await files.get("sounds/y"), null);
  const found = (await files.list("sounds")).get("sounds/x");
  assert.equal(found?.isCurrent, true);
  const later = new NatsFiles(nats, "prism", 1, recordBox(["two", "one"]));
  assert.equal((await later.list("sounds")).get("sounds/x")?.isCurrent, false);
  assert.deepEqual(await later.get("sounds/x"), content, "a secret of before opens it");
  await assert.rejects(new NatsFiles(nats, "prism", 1, recordBox(["other"])).get("sounds/x"), /not configured/);
  await files.remove("sounds/x");
  await files.remove("sounds/x");
  assert.equal(await files.get("sounds/x"), null);
  assert.equal((await files.list("sounds")).size, 0);
});
