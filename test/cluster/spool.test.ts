import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { setTimeout } from "node:timers/promises";
import { Forwarder, type WholeRequest } from "../../src/cluster/follow/forward.ts";
import { NotKept, Spool } from "../../src/cluster/spool/spool.ts";
import { SealedBox } from "../../src/core/crypto/sealed-box.ts";
import { Shares } from "../../src/core/limits/slots.ts";
import { makeCertificate } from "../helpers/certificate.ts";
import { eventually } from "../helpers/eventually.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { startPrism } from "../helpers/prism.ts";
import type { Scope } from "../helpers/scope.ts";
import { TEST_KEY, temporaryDir } from "../helpers/store.ts";
import { dial, openPort, openServer } from "./support/port.ts";

const PING = { method: "GET", path: "/ping/5f8e", headers: { host: "a" }, body: Buffer.alloc(0) };

interface SpoolOptions {
  readonly dataDir?: string;
  readonly caFile?: string;
  readonly mostLaterMs?: number;
  readonly unansweredEveryMs?: number;
}

function openSpool(t: Scope, { dataDir = temporaryDir(t), caFile, ...options }: SpoolOptions = {}) {
  const log = new LogLines();
  const forwarder = new Forwarder({ node: "b", advertise: "https://b.example.com", caFile, log });
  t.after(() => forwarder.close());
  const spool = new Spool({ dataDir, box: new SealedBox([TEST_KEY]), log, forwarder, retryMs: 20, ...options });
  const files = () => readdirSync(join(dataDir, "spool")).filter((name) => name.endsWith(".request"));
  const refused = () => readdirSync(join(dataDir, "spool/refused"));
  return { spool, forwarder, log, dataDir, files, refused };
}

/** Keeps a request, if there is room. */
async function isKept(spool: Spool, request: WholeRequest, owner: string | null = null): Promise<boolean> {
  try {
    await spool.add(request, owner);
    return true;
  } catch (error) {
    if (!(error instanceof NotKept)) throw error;
    return false;
  }
}

/** Keeps a request as often as there is room. */
async function fill(spool: Spool, request: WholeRequest, owner: string | null = null): Promise<void> {
  while (await isKept(spool, request, owner));
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

test("what was taken without a leader ends no alert that its sender has reported again since", async (t) => {
  const prism = await startPrism(t);
  const headers = { host: "a", "content-type": "application/json", authorization: `Bearer ${prism.adminToken}` };
  const report = (key: string, status: string) => {
    const body = { alerts: [{ key, status, labels: { alertname: key } }] };
    return { method: "POST", path: "/api/v1/alerts", headers, body: Buffer.from(JSON.stringify(body)) };
  };
  const { spool, files, refused } = openSpool(t);
  for (const status of ["firing", "resolved"])
    for (const key of ["again", "over"]) await spool.add(report(key, status));
  await setTimeout(20);
  const again = report("again", "firing");
  const live = await fetch(`${prism.url}${again.path}`, { method: "POST", headers, body: again.body });
  assert.equal(live.status, 200);
  await spool.sendTo(prism.url, never);
  const { body } = await prism.get<{ data: { labels: { alertname: string } }[] }>("/api/v1/alerts");
  assert.deepEqual(
    body.data.map(({ labels }) => labels.alertname),
    ["again"],
  );
  assert.deepEqual([files(), refused()], [[], []]);
});

test("by https the spool is sent to a leader, to the node's own server, and the cause is logged when it cannot", async (t) => {
  const certificate = makeCertificate({ name: "b.example.com" });
  const caFile = join(temporaryDir(t), "ca.crt");
  writeFileSync(caFile, certificate.cert);
  const leader = await openServer(t, undefined, certificate);
  const { spool, forwarder, log, files } = openSpool(t, { caFile });
  await spool.add(PING);
  const isLogged = () => log.lines.some(({ fields }) => /altnames/.test(String(fields["err"])));
  await spool.sendTo(leader.url, isLogged);
  assert.deepEqual([isLogged(), files().length, leader.seen.length], [true, 1, 0]);
  forwarder.leadsAt(leader.url);
  await spool.sendTo(leader.url, never);
  assert.deepEqual([files().length, leader.seen.length], [0, 1]);
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
  assert.deepEqual([files(), refused(), spool.waiting], [[], [damaged], 0]);
  assert.equal(log.lines.filter(({ level }) => level === "error").length, 1);
});

test("requests that cannot be written count for nothing", async (t) => {
  const { spool, dataDir } = openSpool(t);
  rmSync(join(dataDir, "spool"), { recursive: true });
  writeFileSync(join(dataDir, "spool"), "no directory");
  const body = Buffer.alloc(100 * 2 ** 20);
  for (let n = 0; n < 3; n++) await assert.rejects(spool.add({ ...PING, body }));
  assert.equal(spool.waiting, 0);
  rmSync(join(dataDir, "spool"));
  for (let n = 0; n < 3; n++) await spool.add({ ...PING, path: `/ping/${n}` });
});

test("a request that the leader still works on is sent again, and not put aside", async (t) => {
  let tries = 0;
  const leader = await openServer(t, (_req, res) => {
    if (tries++ === 0) res.writeHead(409).end('{"error":{"code":"IDEMPOTENCY_IN_PROGRESS"}}');
    else res.end();
  });
  const { spool, files, refused } = openSpool(t);
  await spool.add(PING);
  await spool.sendTo(leader.url, never);
  const [first, second] = leader.seen.map(({ headers }) => headers["idempotency-key"]);
  assert.ok(first !== undefined && first === second);
  assert.deepEqual([files(), refused()], [[], []]);
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

test("without a leader a preflight is not kept, and an offer of HTTP/2 is", async (t) => {
  const copy = await openServer(t);
  const { spool, files } = openSpool(t);
  const port = await openPort(t, { degraded: { url: copy.url, spool } });
  const request = "OPTIONS /ping/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}";
  const preflight = await dial(t, port.port, request);
  await eventually("an answer", () => preflight.text.endsWith("ok"));
  assert.deepEqual(files(), []);
  const offer =
    "POST /ping/1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n{}";
  const client = await dial(t, port.port, offer);
  await eventually("an answer", () => client.text.endsWith("ok"));
  assert.match(client.text, /prism-spooled: 1/i);
  assert.equal(files().length, 1);
  const rule = await dial(t, port.port, offer.replace("/ping/1", "/api/v1/rules"));
  await eventually("a refusal", () => rule.isClosed);
  assert.match(rule.text, /^HTTP\/1\.1 503 .*NO_LEADER/s);
});

test("of a ping the beginning of the body is kept", async (t) => {
  const copy = await openServer(t);
  const { spool } = openSpool(t);
  const port = await openPort(t, { degraded: { url: copy.url, spool } });
  const body = "a".repeat(1_000_000);
  const client = await dial(
    t,
    port.port,
    `POST /ping/1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  await eventually("an answer", () => client.text.endsWith("ok"));
  assert.equal(copy.seen[0]?.body.length, 10_000);
});

test("one address cannot take all the memory for bodies, nor one sender all of the spool", async (t) => {
  const copy = await openServer(t);
  const { spool } = openSpool(t);
  const port = await openPort(t, { degraded: { url: copy.url, spool } });
  const part = "a".repeat(6_000_000);
  const head = `POST /in/1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${part.length + 1}\r\n\r\n`;
  const halves: Awaited<ReturnType<typeof dial>>[] = [];
  for (let n = 0; n < 4; n++) halves.push(await dial(t, port.port, head + part));
  const isRefused = () => halves.some(({ text }) => /^HTTP\/1\.1 503 /.test(text));
  await eventually("one is refused", isRefused);
  for (const { socket } of halves) socket.destroy();
  await eventually("there is room again", async () => {
    const ping = await dial(t, port.port, "POST /in/2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}");
    await eventually("an answer", () => ping.text.includes("\r\n\r\n"));
    return /prism-spooled/i.test(ping.text);
  });
  const large = { ...PING, path: "/in/3", body: Buffer.alloc(8_000_000) };
  await fill(spool, large);
  assert.ok(await isKept(spool, { ...large, path: "/in/4" }));
});

test("one token is one sender, whatever else its requests have, also for files of an earlier process", async (t) => {
  const { spool, dataDir } = openSpool(t);
  const body = Buffer.alloc(8_000_000);
  const variants = ["/ping/1", "/ping/1/start", "/ping/1?n=2"];
  const variant = (n: number) => variants[n % variants.length] ?? "";
  for (let n = 0; ; n++)
    if (!(await isKept(spool, { ...PING, path: variant(n), headers: { host: "a", cookie: String(n) }, body }))) break;
  for (const path of variants) assert.equal(await isKept(spool, { ...PING, path, body }), false, path);
  const busy = await openServer(t, (_req, res) => void res.writeHead(429).end());
  const later = openSpool(t, { dataDir }).spool;
  let asked = 0;
  await later.sendTo(busy.url, () => asked++ > 0);
  assert.ok(await isKept(later, { ...PING, path: "/ping/2" }));
});

test("spellings of one credential are one sender, and a key that another value holds is not the sender's", async (t) => {
  const { spool } = openSpool(t);
  const large = Buffer.alloc(8_000_000, " ");
  const events = (authorization: string) => ({
    ...PING,
    path: "/api/v1/events",
    headers: { authorization },
    body: large,
  });
  await fill(spool, events("Bearer x"), "user-1");
  for (const spelling of ["bearer x", "BEARER   x", "ApiKey x"])
    assert.equal(await isKept(spool, events(spelling), "user-1"), false);
  const queried = (query: string) => ({ ...PING, path: `/api/v1/events?${query}`, headers: {}, body: large });
  await fill(spool, queried("token=x"), "user-2");
  for (const spelling of ["access_token=x", "a=?&t%6fken=%78"])
    assert.equal(await isKept(spool, queried(spelling), "user-2"), false, spelling);
  assert.ok(await isKept(spool, queried("token=y"), "user-2"));
  const enqueue = (body: string, headers = {}) => ({ ...PING, path: "/v2/enqueue", headers, body: Buffer.from(body) });
  const own = `{"x":{"routing_key":"bob"},"routing_key":"own","p":"${"a".repeat(1_000_000)}"}`;
  await fill(spool, enqueue(own), "user-3");
  const spelled = own.replace(',"routing_key"', ',"routing\\u005fkey"');
  assert.equal(await isKept(spool, enqueue(spelled, { cookie: "1" }), "user-3"), false);
  assert.ok(await isKept(spool, enqueue('{"routing_key":"bob"}'), "user-3"));
});

test("a request that the leader does not answer holds back only its sender", async (t) => {
  const leader = await openServer(t, (req, res) => {
    if (req.url === "/in/1") req.socket.destroy();
    else res.end();
  });
  const { spool, files } = openSpool(t);
  for (const path of ["/in/1", "/ping/2"]) await spool.add({ ...PING, path });
  let isOver = false;
  const sending = spool.sendTo(leader.url, () => isOver);
  await eventually("the other one is sent", () => files().length === 1);
  isOver = true;
  await sending;
  assert.ok(leader.seen.some(({ line }) => line === "GET /ping/2"));
});

test("a sender to which the leader says later does not hold back the others, and keeps its order", async (t) => {
  let isLimited = true;
  const leader = await openServer(t, (req, res) => {
    res.writeHead(req.headers["x-api-key"] === "a" && isLimited ? 429 : 202).end();
  });
  const { spool, files } = openSpool(t);
  const from = (key: string, path: string) => ({ ...PING, path, headers: { host: "a", "x-api-key": key } });
  for (const name of ["a1", "a2", "b1", "a3", "b2"]) await spool.add(from(name.slice(0, 1), `/${name}`));
  const sending = spool.sendTo(leader.url, never);
  await eventually("the others are sent", () => files().length === 3);
  assert.deepEqual(leader.seen.map(({ line }) => line).slice(0, 3), ["GET /a1", "GET /b1", "GET /b2"]);
  isLimited = false;
  await sending;
  assert.deepEqual(leader.seen.map(({ line }) => line).slice(-3), ["GET /a1", "GET /a2", "GET /a3"]);
  assert.deepEqual(files(), []);
});

/** A request of one credential; the copy says who owns it. */
const from = (key: string, body = Buffer.alloc(8_000_000)) => ({
  ...{ ...PING, method: "POST", path: "/api/v1/events", body },
  headers: { host: "a", "x-api-key": key },
});

test("an owner with many keys leaves room for another one, also after a restart, and the disk counts", async (t) => {
  const { spool, dataDir } = openSpool(t);
  let stored = 0;
  const fill = async (owner: string) => {
    for (let n = 0; ; n++)
      try {
        await spool.add(from(`${owner}${n}`), owner);
        stored++;
      } catch (error) {
        assert.match(String(error), /has filled its share/);
        return;
      }
  };
  await fill("user-1");
  const ofFirst = stored;
  assert.ok(ofFirst > 8, "more than one key may take");
  await fill("user-2");
  assert.ok(stored > ofFirst * 1.4, `${stored - ofFirst} beside ${ofFirst}`);
  const later = openSpool(t, { dataDir }).spool;
  await assert.rejects(later.add(from("another"), "user-1"), /has filled its share/);
  await later.add(from("first"), "user-3");
});

test("requests that no one owns are together one owner, and small ones count as what they take on disk", async (t) => {
  const { spool } = openSpool(t);
  const large = Buffer.alloc(8_000_000);
  let kept = 0;
  for (; kept < 32; kept++)
    try {
      await spool.add(from(`k${kept}`, large), null);
    } catch {
      break;
    }
  assert.ok(kept < 20, `${kept}`);
  await spool.add(from("of a user"), "user-1");
  const shares = new Shares(40_960, 1);
  assert.ok(shares.take("a", 20_480) && !shares.take("a", 1) && shares.take("b", 4096));
});

test("a request that the leader gets and never answers is put aside with the reason, and comes after the others", async (t) => {
  const seen: string[] = [];
  const leader = await openServer(t);
  leader.server.removeAllListeners("request").on("request", (req, res) => {
    seen.push(req.url ?? "");
    if (req.url === "/in/1") req.socket.destroy();
    else res.end("ok");
  });
  const first = openSpool(t, { unansweredEveryMs: 0 });
  for (const path of ["/in/1", "/ping/2"]) await first.spool.add({ ...PING, path });
  let rounds = 0;
  await first.spool.sendTo(leader.url, () => rounds++ > 3);
  assert.deepEqual(seen.slice(0, 2), ["/in/1", "/ping/2"]);
  // The number is on disk: what ends a leader may end this node, too.
  const { spool, files, refused, log } = openSpool(t, { dataDir: first.dataDir, unansweredEveryMs: 0 });
  await spool.add({ ...PING, path: "/in/1" });
  await spool.sendTo(leader.url, never);
  assert.equal(seen.filter((path) => path === "/in/1").length, 20);
  assert.deepEqual([files().length, refused().length], [0, 2]);
  const reasons = log.lines
    .filter(({ message }) => message.includes("spool/refused"))
    .map(({ fields }) => fields["reason"]);
  assert.deepEqual(reasons, ["no answer, 10 times", "no answer, 10 times"]);
});

test("a request that the leader puts off for too long is put aside, and what is behind it is sent", async (t) => {
  const leader = await openServer(t, (req, res) => {
    res.writeHead(req.headers["idempotency-key"] === undefined || req.url !== "/in/1" ? 202 : 503).end();
  });
  const { spool, files, refused } = openSpool(t, { mostLaterMs: 0 });
  for (const path of ["/in/1", "/in/1/more"]) await spool.add({ ...PING, path });
  await spool.sendTo(leader.url, never);
  assert.deepEqual([files().length, refused().length], [0, 1]);
  assert.ok(leader.seen.some(({ line }) => line === "GET /in/1/more"));
});

test("attempts without an answer in a row are one: a proxy may accept connections while no leader listens", async (t) => {
  const leader = await openServer(t);
  leader.server.removeAllListeners("request").on("request", (req) => req.socket.destroy());
  const { spool, files, refused } = openSpool(t);
  await spool.add(PING);
  let rounds = 0;
  await spool.sendTo(leader.url, () => rounds++ > 60);
  assert.deepEqual([files().length, refused().length], [1, 0]);
});

test("how long a leader puts a request off counts anew for the next leader", async (t) => {
  const { spool, files, refused } = openSpool(t, { mostLaterMs: 300 });
  await spool.add(PING);
  const busy = await openServer(t, (_req, res) => void res.writeHead(503).end());
  await spool.sendTo(busy.url, () => busy.seen.length > 0);
  await setTimeout(400);
  let asked = 0;
  const next = await openServer(t, (_req, res) => void res.writeHead(asked++ === 0 ? 429 : 202).end());
  await spool.sendTo(next.url, never);
  assert.deepEqual([files().length, refused().length, next.seen.length], [0, 0, 2]);
});

test("a file with an error of the disk keeps its place, and others are sent, also without the folder of refused ones", async (t) => {
  const leader = await openServer(t, (req, res) => void res.writeHead(req.url === "/ping/0" ? 400 : 202).end());
  const { spool, files, refused, dataDir, log } = openSpool(t);
  for (let n = 0; n < 3; n++) await spool.add({ ...PING, path: `/ping/${n}` });
  const [, unreadable = ""] = files().sort();
  const kept = join(dataDir, "kept");
  copyFileSync(join(dataDir, "spool", unreadable), kept);
  rmSync(join(dataDir, "spool", unreadable));
  mkdirSync(join(dataDir, "spool", unreadable));
  rmSync(join(dataDir, "spool/refused"), { recursive: true });
  const later = openSpool(t, { dataDir });
  rmSync(join(dataDir, "spool/refused"), { recursive: true });
  let isOver = false;
  const sending = later.spool.sendTo(leader.url, () => isOver);
  await eventually("the others are sent", () => files().length === 1 && later.log.lines.length > 1);
  isOver = true;
  await sending;
  assert.deepEqual([files(), refused().length, log.lines.length], [[unreadable], 1, 0]);
  rmSync(join(dataDir, "spool", unreadable), { recursive: true });
  copyFileSync(kept, join(dataDir, "spool", unreadable));
  await later.spool.sendTo(leader.url, never);
  assert.deepEqual(files(), []);
});

test("what a leader does not get counts as no try", async (t) => {
  const { spool, files, refused } = openSpool(t);
  await spool.add(PING);
  let rounds = 0;
  await spool.sendTo("http://127.0.0.1:9", () => rounds++ > 60);
  assert.deepEqual([files().length, refused().length], [1, 0]);
});

test("what is taken away or put back while the node runs counts, in the order of arrival", async (t) => {
  const leader = await openServer(t);
  const { spool, files, dataDir } = openSpool(t);
  for (const path of ["/ping/1", "/ping/2", "/ping/3"]) await spool.add({ ...PING, path });
  const [first = "", second = ""] = files().sort();
  copyFileSync(join(dataDir, "spool", first), join(dataDir, "kept"));
  rmSync(join(dataDir, "spool", first));
  rmSync(join(dataDir, "spool", second));
  let asked = 0;
  await spool.sendTo("http://127.0.0.1:9", () => asked++ > 1);
  assert.equal(spool.waiting, 1);
  copyFileSync(join(dataDir, "kept"), join(dataDir, "spool", first));
  await spool.sendTo(leader.url, never);
  assert.deepEqual(
    leader.seen.map(({ line }) => line),
    ["GET /ping/1", "GET /ping/3"],
  );
  assert.deepEqual([spool.waiting, files()], [0, []]);
});

test("the copy names the owner of what it took, and clients do not see it", async (t) => {
  const copy = await openServer(t, (_req, res) => void res.writeHead(200, { "Prism-Owner": "user-1" }).end("ok"));
  const { spool } = openSpool(t);
  const port = await openPort(t, { degraded: { url: copy.url, spool } });
  for (const path of ["/in/1", "/api/v1/incidents"]) {
    const method = path === "/in/1" ? "POST" : "GET";
    const client = await dial(t, port.port, `${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}`);
    await eventually("an answer", () => client.text.includes("ok"));
    assert.doesNotMatch(client.text, /prism-owner/i);
  }
  for (let n = 0; await isKept(spool, from(`k${n}`), "user-1"); n++);
  const seen = copy.seen.length;
  const full = await dial(t, port.port, `POST /in/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n`);
  full.socket.write("a".repeat(8_000_000));
  await eventually("it is to be sent again", () => /^HTTP\/1\.1 503 .*Retry-After/is.test(full.text));
  assert.equal(copy.seen.length, seen + 1, "the copy has it, and pages people");
});

test("a ping replaces an earlier one of the same heartbeat and kind, also without room for one more", async (t) => {
  const leader = await openServer(t);
  const { spool, files } = openSpool(t);
  const ping = (path: string, body = "") => ({ ...PING, path, body: Buffer.from(body) });
  const requests = [ping("/ping/1"), ping("/ping/1/fail"), ping("/ping/1"), ping("/ping/2"), ping("/ping/2", "failed")];
  for (const request of [...requests, ping("/in/1"), ping("/in/1")]) await spool.add(request, "user-1");
  for (let n = 0; await isKept(spool, from(`k${n}`), "user-1"); n++);
  await fill(spool, from("rest", Buffer.alloc(4096)), "user-1");
  const before = files().length;
  await spool.add(ping("/ping/2"), "user-1");
  assert.equal(files().length, before);
  await spool.sendTo(leader.url, never);
  assert.deepEqual(
    leader.seen.filter(({ line }) => line.startsWith("GET")).map(({ line, body }) => line + body),
    ["GET /ping/1/fail", "GET /ping/1", "GET /ping/2failed", "GET /in/1", "GET /in/1", "GET /ping/2"],
  );
});
