import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { errorCodeOf, exchangeRaw, RawConnection, type RawReply, requestText } from "../http/support/raw-connection.ts";
import {
  adminOf,
  liveCount,
  RAW_PROTOCOLS,
  RAW_SETTINGS,
  type RawProtocol,
  type RawTarget,
} from "./support/raw-protocols.ts";
import { closePayload, frame, HANDSHAKE, OPCODE, RawSocket } from "./support/raw-socket.ts";

const KIB = 1024;
const MAX = 3;
/** Limits per user, and per address for unauthenticated clients. */
const LIMITS = { "realtime.maxPerUser": String(MAX), "realtime.maxPerIp": String(MAX) };
const SSE = "/realtime/default/sse";

/** Every way in which a connection may end. */
const ENDS: Readonly<Record<string, (socket: RawSocket, protocol: RawProtocol) => void>> = {
  "a close frame": (socket) => socket.send(frame(closePayload(1000), { opcode: OPCODE.close })),
  "a reset": (socket) => socket.connection.reset(),
  "the end of its half of the connection": (socket) => socket.connection.endWriting(),
  "the end of both": (socket) => socket.connection.destroy(),
  "the end inside a frame": (socket, { ping }) => {
    socket.send(frame(ping).subarray(0, 5));
    socket.connection.endWriting();
  },
  "too many messages": (socket, { ping }) => socket.send(...Array.from({ length: 1000 }, () => frame(ping))),
  "a malformed message": (socket) => socket.send(frame("[]")),
  "a message that is too big": (socket) => socket.send(frame(" ".repeat(65 * KIB))),
  "a message beyond the library's limit": (socket) => socket.send(frame(" ".repeat(257 * KIB))),
  "a broken frame": (socket) => socket.send(frame("", { opcode: 3 })),
};

for (const protocol of RAW_PROTOCOLS) {
  describe(`${protocol.name}: limits`, () => {
    test("however connections end, exactly as many may connect again", async (t) => {
      const prism = await startPrism(t, { settings: { ...RAW_SETTINGS, ...LIMITS } });
      for (const [name, end] of Object.entries(ENDS)) {
        const sockets = await fill(t, prism, protocol);
        for (const socket of sockets) end(socket, protocol);
        await eventually(`all connections are closed after ${name}`, () => liveCount(prism) === 0);
      }
      await fill(t, prism, protocol);
    });
  });
}

/** Opens as many as the user may have, and is refused one more. */
async function fill(t: TestContext, prism: TestPrism, protocol: RawProtocol): Promise<RawSocket[]> {
  const sockets: RawSocket[] = [];
  while (sockets.length < MAX) sockets.push(await protocol.open(t, adminOf(prism)));
  await assertRefused(t, adminOf(prism));
  return sockets;
}

/** @param headers lines of the request. */
async function assertRefused(
  t: TestContext,
  target: RawTarget,
  headers: readonly string[] = [],
  project = "default",
): Promise<void> {
  for (const [path, lines] of [
    ["/ws", HANDSHAKE],
    [`/realtime/${project}/sse`, []],
  ] as const) {
    const reply = await ask(t, target, path, [...lines, ...headers]);
    assert.deepEqual([reply.status, errorCodeOf(reply)], [429, "RATE_LIMITED"], path);
    assert.match(reply.headers.get("retry-after") ?? "", /^\d+$/, path);
    reply.connection.destroy();
  }
}

async function ask(
  t: TestContext,
  { port, token }: RawTarget,
  path: string,
  lines: readonly string[],
): Promise<RawReply & { readonly connection: RawConnection }> {
  return exchangeRaw(t, port, requestText("GET", path, [...lines, `Authorization: Bearer ${token}`]));
}

test("event streams: however they end, exactly as many may connect again", async (t) => {
  const prism = await startPrism(t, { settings: { ...RAW_SETTINGS, ...LIMITS } });
  const request = requestText("GET", SSE, [`Authorization: Bearer ${prism.adminToken}`]);
  const ends: Readonly<Record<string, (connection: RawConnection) => void>> = {
    "a reset": (connection) => connection.reset(),
    "the end of its half of the connection": (connection) => connection.endWriting(),
    "the end of both": (connection) => connection.destroy(),
    "a second request on the connection": (connection) => connection.send(request),
    "noise on the connection": (connection) => connection.send("\u0000\r\n\r\n"),
  };
  for (const [name, end] of Object.entries(ends)) {
    const streams: RawConnection[] = [];
    while (streams.length < MAX) {
      const stream = await RawConnection.open(t, prism.app.port);
      stream.send(request);
      await eventually("the beginning", () => stream.unread.includes("retry: 3000"));
      streams.push(stream);
    }
    await assertRefused(t, adminOf(prism));
    for (const stream of streams) end(stream);
    await eventually(`all connections are closed after ${name}`, () => liveCount(prism) === 0);
  }
});

test("failed upgrades never count as connections, and use up their ticket", async (t) => {
  const prism = await startPrism(t, { settings: { "realtime.maxPerUser": "1" } });
  const { body: first } = await prism.post<{ ticket: string }>("/api/v1/realtime/ticket", { stream: "user:me" });
  const credential = `Authorization: Bearer ${prism.adminToken}`;
  for (const [name, path, lines, status] of [
    ["no credential", "/ws", HANDSHAKE, 401],
    ["a wrong token", "/ws?token=x", HANDSHAKE, 401],
    ["a foreign origin", "/ws", [...HANDSHAKE, credential, "Origin: https://evil.example"], 403],
    ["no version", "/ws", [...HANDSHAKE.slice(0, 3), credential], 426],
    ["no such project", "/realtime/nowhere", [...HANDSHAKE, credential], 404],
    ["no offset", "/realtime/default?from=x", [...HANDSHAKE, credential], 400],
    ["no offset of events", `${SSE}?lastEventId=x`, [credential], 400],
    ["a ticket for another stream", `/realtime/default?ticket=${first.ticket}`, HANDSHAKE, 403],
    ["the ticket again", `/ws?ticket=${first.ticket}`, HANDSHAKE, 401],
  ] as const) {
    for (let i = 0; i < 5; i++) {
      const reply = await exchangeRaw(t, prism.app.port, requestText("GET", path, lines));
      const again = path.includes("ticket") && i > 0 ? 401 : status;
      assert.equal(reply.status, again, `${name}: ${reply.body}`);
      reply.connection.destroy();
    }
    assert.equal(liveCount(prism), 0, name);
  }
  const head = await exchangeRaw(t, prism.app.port, requestText("HEAD", SSE, [credential]), "HEAD");
  assert.equal(head.status, 200);
  const { body: second } = await prism.post<{ ticket: string }>("/api/v1/realtime/ticket");
  await RawSocket.open(t, prism.app.port, `/ws?ticket=${second.ticket}`);
  assert.equal(liveCount(prism), 1);
});

test("a killed client is removed at once, with all its connections", async (t) => {
  const prism = await startPrism(t);
  const urls = ["/ws", "/realtime/default", "/ws/updates"].map(
    (path) => `${prism.wsUrl}${path}?token=${prism.adminToken}`,
  );
  const script = `
    import WebSocket from "ws";
    for (const url of ${JSON.stringify(urls)}) for (let i = 0; i < 5; i++) new WebSocket(url);
    for (let i = 0; i < 5; i++) fetch(${JSON.stringify(`${prism.url}${SSE}?token=${prism.adminToken}`)});
    setInterval(() => undefined, 1000);`;
  const root = join(import.meta.dirname, "../..");
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { cwd: root, stdio: "ignore" });
  t.after(() => child.kill("SIGKILL"));
  await eventually("all are connected", () => liveCount(prism) === 20);
  child.kill("SIGKILL");
  await once(child, "exit");
  await eventually("all connections are closed", () => liveCount(prism) === 0);
});

test("50 connections of a user, 1000 of an address, by default; IPv6 counts by /64", async (t) => {
  const prism = await startPrism(t, { settings: { trustedProxies: "127.0.0.0/8" } });
  const shop = await makeProject(prism);
  const keys: string[] = [];
  for (let i = 0; i < 20; i++) {
    const name = { name: `k${i}` };
    keys.push((await prism.post<{ key: string }>(`/api/v1/projects/${shop.id}/keys`, name)).body.key);
  }
  const open = (token: string, address: string) =>
    RawSocket.open(t, prism.app.port, `/ws?token=${token}`, [`X-Forwarded-For: ${address}`]);
  const network = "2001:db8:1:2";
  for (const key of keys) {
    await Promise.all(Array.from({ length: 50 }, (_, i) => open(key, `${network}:${i}::${i + 1}`)));
    if (key !== keys[0]) continue;
    await assertRefused(t, { port: prism.app.port, token: key }, ["X-Forwarded-For: 192.0.2.1"], "shop");
  }
  assert.equal(liveCount(prism), 1000);
  const user = await makeUser(prism, "uma", ["Viewer"]);
  const target = { port: prism.app.port, token: user.token };
  await assertRefused(t, target, [`X-Forwarded-For: ${network}:ffff::1`]);
  // The same address, written in other words.
  await assertRefused(t, target, ["X-Forwarded-For: 2001:0DB8:0001:0002:ffff:0:0:1"]);
  await open(user.token, "2001:db8:1:3::1");
  await open(user.token, "192.0.2.1");
});
