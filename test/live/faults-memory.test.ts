import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { numbersOf } from "./support/live-client.ts";
import { PROJECT_PROTOCOLS, range } from "./support/live-server.ts";
import { adminOf, RAW_ENVIRONMENT, RAW_PROTOCOLS, RAW_SETTINGS } from "./support/raw-protocols.ts";
import { frame, OPCODE } from "./support/raw-socket.ts";
import { SpawnedServer } from "./support/spawned-server.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const DEFLATE = ["Sec-WebSocket-Extensions: permessage-deflate"];
/** The first reserved bit says that a message is compressed (RFC 7692 section 6). */
const COMPRESSED = { reserved: 4 };
const BOMB_BYTES = 256 * MIB;
/** Maximum size of a message; the library drops the connection at four times as many bytes. */
const MAX_MESSAGE_BYTES = 64 * KIB;

/**
 * The payload of a compressed message: the end that every one has stays away (RFC 7692 section
 * 7.2.1).
 */
function deflated(bytes: Buffer): Buffer {
  const whole = deflateRawSync(bytes, { level: 9, finishFlush: 2 });
  return whole.subarray(0, -4);
}

function rss(server: SpawnedServer): Promise<number> {
  return server.metric("process_resident_memory_bytes");
}

test("clients that never read cost bounded memory in every protocol, and all others receive everything in order", async (t) => {
  const server = await SpawnedServer.start(t, { PRISM_REALTIME_MAX_PER_USER: "1000" });
  const { target } = server;
  const readers = await Promise.all(PROJECT_PROTOCOLS.map((protocol) => protocol.connect(target)));
  t.after(() => Promise.all(readers.map((client) => client.close())));
  for (const protocol of PROJECT_PROTOCOLS) {
    for (let i = 0; i < 20; i++) {
      const slow = await protocol.connect(target);
      t.after(() => slow.close());
      slow.pause();
    }
  }
  const feed = server.newFeed();
  await feed.publish(100, { paddingBytes: 20_000 });
  const before = await rss(server);
  // Held for each client that does not read it would be more than 2 GB.
  for (let i = 0; i < 14; i++) await feed.publish(100, { paddingBytes: 20_000 });
  for (const client of readers) {
    await eventually("everything", () => numbersOf(client).length === 1500);
    assert.deepEqual(numbersOf(client), range(1, 1500));
  }
  const grown = (await rss(server)) - before;
  assert.ok(grown < 500 * MIB, `${Math.round(grown / MIB)} MiB more`);
});

test("messages that inflate to hundreds of MiB close their sockets, use no memory and affect no other client", async (t) => {
  const server = await SpawnedServer.start(t, RAW_ENVIRONMENT);
  const { target } = server;
  const url = { port: Number(new URL(target.url).port), token: target.token };
  const bomb = deflated(Buffer.alloc(BOMB_BYTES, 0x20));
  const before = await rss(server);
  for (const protocol of RAW_PROTOCOLS) {
    const other = await protocol.open(t, url, DEFLATE);
    const whole = frame(bomb, COMPRESSED);
    const pieces: Buffer[] = [];
    for (let at = 0; at < bomb.length; at += 10_000) {
      const opcode = at === 0 ? OPCODE.text : OPCODE.continuation;
      const isLast = at + 10_000 >= bomb.length;
      pieces.push(frame(bomb.subarray(at, at + 10_000), { opcode, isLast, reserved: at === 0 ? 4 : 0 }));
    }
    for (let i = 0; i < 5; i++) {
      const sockets = await Promise.all(Array.from({ length: 4 }, () => protocol.open(t, url, DEFLATE)));
      for (const [n, socket] of sockets.entries()) socket.send(n % 2 === 0 ? whole : Buffer.concat(pieces));
      for (const socket of sockets) assert.equal(await socket.closed(), 1006, protocol.name);
    }
    other.send(frame(protocol.ping));
    await other.expectText(protocol.pong);
  }
  const grown = (await rss(server)) - before;
  assert.ok(grown < 200 * MIB, `${Math.round(grown / MIB)} MiB more`);
});

test("compressed messages are limited by their inflated size; invalid compression aborts the connection", async (t) => {
  const prism = await startPrism(t, { settings: RAW_SETTINGS });
  const exactly = (bytes: number, ping: string) => deflated(Buffer.from(ping + " ".repeat(bytes - ping.length)));
  for (const protocol of RAW_PROTOCOLS) {
    const allowed = await protocol.open(t, adminOf(prism), DEFLATE);
    allowed.send(frame(exactly(MAX_MESSAGE_BYTES, protocol.ping), COMPRESSED));
    await allowed.expectText(protocol.pong);
    for (const [name, payload, code] of [
      ["a byte too many", exactly(MAX_MESSAGE_BYTES + 1, protocol.ping), protocol.codes.tooBig],
      ["beyond the library's limit", exactly(4 * MAX_MESSAGE_BYTES + 1, protocol.ping), 1006],
      ["noise", Buffer.from("\u0007\u00ff noise that is no deflate at all"), 1006],
      ["text that is no UTF-8", deflated(Buffer.from([0x22, 0xff, 0x22])), 1006],
    ] as const) {
      const socket = await protocol.open(t, adminOf(prism), DEFLATE);
      socket.send(frame(payload, COMPRESSED));
      assert.equal(await socket.closed(), code, `${protocol.name}, ${name}`);
    }
  }
});

test("a client without negotiated compression may not compress", async (t) => {
  const prism = await startPrism(t, { settings: { ...RAW_SETTINGS, "realtime.compression": "false" } });
  for (const protocol of RAW_PROTOCOLS) {
    const socket = await protocol.open(t, adminOf(prism), DEFLATE);
    socket.send(frame(deflated(Buffer.from(protocol.ping)), COMPRESSED));
    assert.equal(await socket.closed(), 1006);
  }
});
