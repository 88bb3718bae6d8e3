import assert from "node:assert/strict";
import { copyFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { Forwarder } from "../../src/cluster/forward.ts";
import { Spool } from "../../src/cluster/spool.ts";
import { SealedBox } from "../../src/core/sealed-box.ts";
import { makeCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { startPrism } from "../helpers/prism.ts";
import type { Scope } from "../helpers/scope.ts";
import { TEST_KEY, temporaryDir } from "../helpers/store.ts";
import { dial, openPort, openServer } from "./support/port.ts";

const PING = { method: "GET", path: "/ping/5f8e", headers: { host: "a" }, body: Buffer.alloc(0) };

function openSpool(t: Scope, { dataDir = temporaryDir(t), caFile }: { dataDir?: string; caFile?: string } = {}) {
  const log = new LogLines();
  const forwarder = new Forwarder({ node: "b", advertise: "https://b.example.com", caFile, log });
  t.after(() => forwarder.close());
  const spool = new Spool({ dataDir, box: new SealedBox([TEST_KEY]), log, forwarder });
  const files = () => readdirSync(join(dataDir, "spool")).filter((name) => name.endsWith(".request"));
  const refused = () => readdirSync(join(dataDir, "spool/refused"));
  return { spool, forwarder, log, dataDir, files, refused };
}

const never = (): boolean => false;

test("what two nodes and a later outage have kept is all stored, also requests that are equal", async (t) => {
  const prism = await startPrism(t);
  const event = (type: string) => ({
    ...{ method: "POST", path: "/api/v1/events" },
    headers: { host: "a", "content-type": "application/json", authorization: `Bearer ${prism.adminToken}` },
    body: Buffer.from(JSON.stringify({ type, payload: {} })),
  });
  const [a, b] = [openSpool(t), openSpool(t)];
  for (const each of [a, b]) await each.spool.add(event("door.opened"));
  await b.spool.add(event("door.closed"));
  await Promise.all([a, b].map(({ spool }) => spool.sendTo(prism.url, never)));
  const later = openSpool(t, { dataDir: a.dataDir });
  await later.spool.add(event("door.broken"));
  await later.spool.sendTo(prism.url, never);
  const { body } = await prism.get<{ data: { type: string }[] }>("/api/v1/events?own=false");
  const types = body.data.map(({ type }) => type).filter((type) => type.startsWith("door."));
  assert.deepEqual(types.sort(), ["door.broken", "door.closed", "door.opened", "door.opened"]);
  for (const each of [a, b, later]) assert.deepEqual([...each.files(), ...each.refused()], []);
  assert.ok(a.spool.isEmpty && b.spool.isEmpty);
});

test("the same request of a spool that is sent twice is stored once", async (t) => {
  const prism = await startPrism(t);
  const { spool, dataDir, files } = openSpool(t);
  const headers = { host: "a", "content-type": "application/json", authorization: `Bearer ${prism.adminToken}` };
  await spool.add({ method: "POST", path: "/api/v1/events", headers, body: Buffer.from('{"type":"door.opened"}') });
  const [name = ""] = files();
  copyFileSync(join(dataDir, "spool", name), join(dataDir, "kept"));
  await spool.sendTo(prism.url, never);
  copyFileSync(join(dataDir, "kept"), join(dataDir, "spool", name));
  await openSpool(t, { dataDir }).spool.sendTo(prism.url, never);
  const { body } = await prism.get<{ data: { type: string }[] }>("/api/v1/events?own=false");
  assert.equal(body.data.filter(({ type }) => type === "door.opened").length, 1);
});

test("by https the spool is sent to a leader, to the node's own server, and the cause is logged when it cannot", async (t) => {
  const certificate = makeCertificate({ name: "b.example.com" });
  const caFile = join(temporaryDir(t), "ca.crt");
  writeFileSync(caFile, certificate.cert);
  const leader = await openServer(t, undefined, certificate);
  const { spool, forwarder, log } = openSpool(t, { caFile });
  await spool.add(PING);
  const isLogged = () => log.lines.some(({ fields }) => /altnames/.test(String(fields["err"])));
  await spool.sendTo(leader.url, isLogged);
  assert.deepEqual([isLogged(), spool.isEmpty, leader.seen.length], [true, false, 0]);
  forwarder.leadsAt(leader.url);
  await spool.sendTo(leader.url, never);
  assert.deepEqual([spool.isEmpty, leader.seen.length], [true, 1]);
});

test("a file that does not open is put aside, and what is behind it is sent", async (t) => {
  const leader = await openServer(t);
  const { spool, files, refused, dataDir, log } = openSpool(t);
  for (let n = 0; n < 3; n++) await spool.add({ ...PING, path: `/ping/${n}` });
  const damaged = files()[1] ?? "";
  writeFileSync(join(dataDir, "spool", damaged), "damaged");
  await spool.sendTo(leader.url, never);
  assert.deepEqual(
    leader.seen.map(({ line }) => line),
    ["GET /ping/0", "GET /ping/2"],
  );
  assert.deepEqual([files(), refused(), spool.isEmpty], [[], [damaged], true]);
  assert.equal(log.lines.filter(({ level }) => level === "error").length, 1);
});

test("requests that cannot be written count for nothing", async (t) => {
  const { spool, dataDir } = openSpool(t);
  rmSync(join(dataDir, "spool"), { recursive: true });
  writeFileSync(join(dataDir, "spool"), "no directory");
  const body = Buffer.alloc(100 * 2 ** 20);
  for (let n = 0; n < 3; n++) await assert.rejects(spool.add({ ...PING, body }));
  assert.deepEqual([spool.isFull, spool.isEmpty], [false, true]);
});

test("a request that the leader still works on is sent again, and not put aside", async (t) => {
  let tries = 0;
  const leader = await openServer(t, (_req, res) => {
    if (tries++ === 0) res.writeHead(409).end('{"error":{"code":"IDEMPOTENCY_IN_PROGRESS"}}');
    else res.end();
  });
  const { spool, refused } = openSpool(t);
  await spool.add(PING);
  await spool.sendTo(leader.url, never);
  const [first, second] = leader.seen.map(({ headers }) => headers["idempotency-key"]);
  assert.ok(first !== undefined && first === second);
  assert.deepEqual([spool.isEmpty, refused()], [true, []]);
});

test("dot segments in a path that is kept are passed on as they came", async (t) => {
  const copy = await openServer(t);
  const { spool } = openSpool(t);
  const port = await openPort(t, { degraded: { url: copy.url, spool } });
  const request = "POST /ping/../api/v1/rules HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
  const client = await dial(t, port.port, request);
  await eventually("an answer", () => client.text.endsWith("ok"));
  assert.match(client.text, /prism-spooled: 1/i);
  const leader = await openServer(t);
  await spool.sendTo(leader.url, never);
  for (const { seen } of [copy, leader]) assert.equal(seen[0]?.line, "POST /ping/../api/v1/rules");
  const prism = await startPrism(t);
  const real = await dial(t, prism.app.port, request);
  await eventually("an answer", () => real.text.includes("\r\n\r\n"));
  assert.match(real.text, /^HTTP\/1\.1 404 /);
});
