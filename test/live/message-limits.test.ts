import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { WebSocketClient } from "./support/web-socket-client.ts";

const KIB = 1024;
const PATHS = ["/ws", "/realtime/default"] as const;

function open(t: test.TestContext, prism: TestPrism, path: string, options = {}): Promise<WebSocketClient> {
  return WebSocketClient.openFor(t, `${prism.wsUrl}${path}?token=${prism.adminToken}`, options);
}

/** A ping of exactly this many bytes. */
function pingOf(bytes: number): string {
  const text = '{"op":"ping","type":"ping"}';
  return text + " ".repeat(bytes - text.length);
}

test("a message may have 64 KiB; up to 256 KiB closes with 1009, more aborts the connection", async (t) => {
  const prism = await startPrism(t);
  for (const path of PATHS) {
    const options = { perMessageDeflate: false };
    const allowed = await open(t, prism, path, options);
    allowed.send({ op: "ping", id: "x" });
    for (const [bytes, code] of [
      [64 * KIB + 1, 1009],
      [256 * KIB, 1009],
      [256 * KIB + 1, 1006],
    ] as const) {
      const client = await open(t, prism, path, options);
      client.send(pingOf(bytes));
      assert.equal((await client.end).code, code, `${path}, ${bytes} bytes`);
    }
  }
  const native = await open(t, prism, "/ws");
  native.send(`{"op":"ping","id":"1"}${" ".repeat(64 * KIB - 22)}`);
  await native.expect({ op: "pong", id: "1" });
});

test("a small message that inflates beyond the limit, and text that is not UTF-8, abort the connection", async (t) => {
  const prism = await startPrism(t);
  for (const path of PATHS) {
    const bomb = await open(t, prism, path, { perMessageDeflate: { threshold: 0 } });
    bomb.send(pingOf(8 * KIB * KIB));
    assert.equal((await bomb.end).code, 1006);
    const garbled = await open(t, prism, path);
    garbled.socket.send(Buffer.from([0x22, 0xff, 0xfe, 0x22]), { binary: false });
    assert.equal((await garbled.end).code, 1006);
  }
  const health = await prism.get("/health");
  assert.equal(health.status, 200);
});

test("50 messages a second, 100 at once; the one after closes with 4429", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  for (const path of PATHS) {
    const client = await open(t, prism, path);
    const ping = path === "/ws" ? { op: "ping" } : { type: "ping" };
    let sent = 0;
    const send = async (count: number) => {
      for (let i = 0; i < count; i++) client.send(ping);
      sent += count;
      await eventually("as many pongs", () => client.texts.filter((text) => text.includes("pong")).length === sent);
    };
    await send(100);
    clock.advance(1000);
    await send(50);
    clock.advance(20_000);
    await send(100);
    client.send(ping);
    assert.deepEqual(await client.end, { code: 4429, reason: "rate" }, path);
  }
});

test("a connection may follow 64 streams; subscribing to one of them again does not count", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, prism.adminToken);
  const ids: string[] = [];
  for (let i = 0; i < 64; i++) ids.push((await makeProject(prism, `p${i}`)).id);
  await client.ask({ op: "subscribe", id: "user", stream: "user:me" });
  for (const id of ids.slice(0, 63)) {
    clock.advance(20);
    assert.equal((await client.ask({ op: "subscribe", id, stream: `project:${id}` }))["op"], "subscribed");
  }
  const last = `project:${ids[63]}`;
  const refused = await client.ask({ op: "subscribe", id: "65", stream: last });
  assert.equal((refused["error"] as { code: string }).code, "RATE_LIMITED");
  assert.equal((await client.ask({ op: "subscribe", id: "again", stream: "user:me" }))["op"], "subscribed");
  await client.ask({ op: "unsubscribe", id: "less", stream: `project:${ids[0]}` });
  assert.equal((await client.ask({ op: "subscribe", id: "66", stream: last }))["op"], "subscribed");
});

test("a client that asks and does not read the answers is closed as too slow", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "auth.accessExpires": "24h" } });
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, prism.adminToken);
  const { connections } = prism.parts.core;
  client.socket.pause();
  // Comes back several times as long.
  const id = "\u0001".repeat(64);
  while (connections.counts.websocket === 1) {
    clock.advance(1000);
    for (let i = 0; i < 50; i++) client.send({ op: "subscribe", id, stream: "nowhere:x" });
    // Answered after them: they have been read, or the server waits for room and reads no more.
    await prism.get("/health/live");
  }
  assert.equal(connections.slowClosed, 1);
});

test("permessage-deflate is negotiated, and used for messages of 512 bytes and more", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const stream = `project:${shop.id}`;
  for (const path of ["/ws", `/realtime/${shop.id}`]) {
    const packed = await open(t, prism, path);
    const plain = await open(t, prism, path, { perMessageDeflate: false });
    assert.match(String(packed.upgradeHeaders["sec-websocket-extensions"]), /^permessage-deflate/);
    assert.equal(plain.upgradeHeaders["sec-websocket-extensions"], undefined);
    const clients = [packed, plain];
    if (path === "/ws") for (const client of clients) await client.ask({ op: "subscribe", id: "1", stream });
    const bytesOf = async (act: () => unknown, isDone: (text: string) => boolean): Promise<number[]> => {
      const before = clients.map(({ socket }) => bytesRead(socket));
      await act();
      await eventually("both have it", () => clients.every(({ texts }) => texts.some(isDone)));
      assert.equal(packed.texts.find(isDone), plain.texts.find(isDone));
      return clients.map(({ socket }, i) => bytesRead(socket) - (before[i] ?? 0));
    };
    const event = { type: "long", text: "a".repeat(20_000) };
    const [packedBytes = 0, plainBytes = 0] = await bytesOf(
      () => prism.post("/events", event, { apiKey: shop.apiKey }),
      (text) => text.includes('"type":"long"'),
    );
    assert.ok(packedBytes < 1000 && plainBytes > 20_000, `${packedBytes}, ${plainBytes}`);
    const ping = path === "/ws" ? { op: "subscribe", id: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", stream } : { type: "ping" };
    const [short, shortPlain] = await bytesOf(
      () => clients.map((client) => client.send(ping)),
      (text) => text.includes("pong") || text.includes("aaaaaa"),
    );
    assert.equal(short, shortPlain);
  }
});

function bytesRead(socket: WebSocketClient["socket"]): number {
  const { _socket } = socket as unknown as { _socket: { bytesRead: number } };
  return _socket.bytesRead;
}

test("a client may compress what it says", async (t) => {
  const prism = await startPrism(t);
  const client = await open(t, prism, "/ws", { perMessageDeflate: { threshold: 0 } });
  client.send({ op: "ping", id: "packed" });
  await client.expect({ op: "pong", id: "packed" });
  client.send(`{"op":"nonsense","id":"big","noise":"${randomBytes(20_000).toString("base64")}"}`);
  await client.expect({ op: "error", id: "big" });
});

test("compression can be switched off", async (t) => {
  const prism = await startPrism(t, { settings: { "realtime.compression": "false" } });
  await makeUser(prism, "uma");
  const client = await open(t, prism, "/ws");
  assert.equal(client.upgradeHeaders["sec-websocket-extensions"], undefined);
  client.send({ op: "ping", id: "1" });
  await client.expect({ op: "pong", id: "1" });
});
