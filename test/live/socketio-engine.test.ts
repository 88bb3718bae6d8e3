import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { frame, RawSocket } from "./support/raw-socket.ts";

const PATH = "/socket.io/?EIO=4&transport=polling";
const WEBSOCKET = "/socket.io/?EIO=4&transport=websocket";

/** Starts a polling session. @returns its path */
async function open(prism: TestPrism): Promise<string> {
  const { text } = await prism.get(PATH, { token: null });
  return `${PATH}&sid=${(JSON.parse(text.slice(1)) as { sid: string }).sid}`;
}

function poll(prism: TestPrism, path: string): Promise<{ status: number; text: string }> {
  return prism.get(path, { token: null });
}

function post(prism: TestPrism, path: string, body: string): Promise<{ status: number; text: string }> {
  return prism.post(path, body, { token: null, headers: { "Content-Type": "text/plain" } });
}

function tryOut(t: TestContext, prism: TestPrism, path: string): Promise<RawSocket> {
  return RawSocket.open(t, prism.app.port, path.replace("transport=polling", "transport=websocket"));
}

// What the protocol's own suite asks for (github.com/socketio/engine.io-protocol, test-suite), with
// the messages of Socket.IO.
test("the handshake contains the session id, the upgrades and the intervals", async (t) => {
  const prism = await startPrism(t);
  const { text } = await prism.get(PATH, { token: null });
  const { sid, ...polling } = JSON.parse(text.slice(1)) as Record<string, unknown>;
  const times = { pingInterval: 30_000, pingTimeout: 30_000, maxPayload: 65_536 };
  assert.match(String(sid), /^[\w-]{20}$/);
  assert.deepEqual([text[0], polling], ["0", { upgrades: ["websocket"], ...times }]);
  const socket = await RawSocket.open(t, prism.app.port, WEBSOCKET);
  await eventually("the handshake", () => socket.texts.length === 1);
  const { sid: other, ...websocket } = JSON.parse(socket.texts[0]?.slice(1) ?? "") as Record<string, unknown>;
  assert.notEqual(other, sid);
  assert.deepEqual(websocket, { upgrades: [], ...times });
});

test("two polls at once end the session", async (t) => {
  const prism = await startPrism(t);
  const path = await open(prism);
  const replies = await Promise.all([poll(prism, path), poll(prism, path)]);
  assert.deepEqual(replies.map(({ status, text }) => [status, text]).sort(), [
    [200, "1"],
    [500, ""],
  ]);
  assert.equal((await poll(prism, path)).status, 400);
});

test("a client closes its session with a packet: a pending poll is answered, a WebSocket is closed", async (t) => {
  const prism = await startPrism(t);
  const path = await open(prism);
  const waiting = poll(prism, path);
  await prism.get("/health/live");
  assert.deepEqual([(await post(prism, path, "1")).text, (await waiting).text], ["ok", "6"]);
  assert.equal((await poll(prism, path)).status, 400);
  const socket = await RawSocket.open(t, prism.app.port, WEBSOCKET);
  await eventually("the handshake", () => socket.texts.length === 1);
  socket.send(frame("1"));
  await eventually("the end", () => socket.connection.isClosed);
  assert.equal(prism.parts.core.connections.counts.socketio, 0);
});

test("a probe answers the pending poll, and polls are refused after the upgrade", async (t) => {
  const prism = await startPrism(t);
  const path = await open(prism);
  const socket = await tryOut(t, prism, path);
  socket.send(frame("2probe"));
  await socket.expectText("3probe");
  assert.equal((await poll(prism, path)).text, "6");
  socket.send(frame("5"), frame(`40${JSON.stringify({ token: prism.adminToken })}`));
  await eventually("the namespace", () => socket.texts.some((packet) => packet.startsWith("40")));
  assert.deepEqual([(await poll(prism, path)).status, (await post(prism, path, "3")).status], [400, 400]);
  await assert.rejects(tryOut(t, prism, path), /VALIDATION_FAILED/);
});

test("a probe that sends anything other than the upgrade is closed, and the session continues to poll", async (t) => {
  const prism = await startPrism(t);
  const path = await open(prism);
  const socket = await tryOut(t, prism, path);
  socket.send(frame("3"));
  await eventually("the end of the WebSocket", () => socket.connection.isClosed);
  await post(prism, path, `40${JSON.stringify({ token: prism.adminToken })}`);
  assert.match((await poll(prism, path)).text, /^40\{/);
});
