import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { DAY_MS } from "../../src/core/time/clock.ts";
import { EngineSession } from "../../src/live/protocols/socketio/engine.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { LiveServer, range } from "./support/live-server.ts";
import { frame, RawSocket } from "./support/raw-socket.ts";
import { SocketIoClient } from "./support/socketio-client.ts";

const PATH = "/socket.io/?EIO=4&transport=polling";

/** A polling session. @returns its path */
async function open(prism: TestPrism): Promise<string> {
  const { text } = await prism.get(PATH, { token: null });
  return `${PATH}&sid=${/"sid":"([^"]+)"/.exec(text)?.[1]}`;
}

async function post(prism: TestPrism, path: string, packet: string): Promise<void> {
  const headers = { "Content-Type": "text/plain" };
  assert.equal((await prism.post(path, packet, { token: null, headers })).status, 200);
}

/** A WebSocket that upgrades the session. */
function startProbe(t: TestContext, prism: TestPrism, path: string): Promise<RawSocket> {
  return RawSocket.open(t, prism.app.port, path.replace("transport=polling", "transport=websocket"));
}

function numbersIn(texts: readonly string[]): number[] {
  const events = texts.filter((packet) => packet.startsWith('42["event",'));
  return events.map((packet) => Number(/"n":(\d+)/.exec(packet)?.[1]));
}

test("a replay that fills a poll continues over the WebSocket after the upgrade", async (t) => {
  const server = await LiveServer.start(t);
  const { prism } = server;
  await server.feed.publish(300, { paddingBytes: 1000 });
  const path = await open(prism);
  await post(prism, path, `40${JSON.stringify({ token: prism.adminToken })}`);
  let came = "";
  while (!came.includes('["ready"')) came += (await prism.get(path, { token: null })).text;
  await post(prism, path, `420${JSON.stringify(["subscribe", { stream: `project:${server.projectId}`, from: 0 }])}`);
  const socket = await startProbe(t, prism, path);
  socket.send(frame("2probe"));
  await socket.expectText("3probe");
  socket.send(frame("5"));
  await eventually("everything", () => numbersIn(socket.texts).length >= 300);
  await server.feed.publish(10);
  await eventually("what comes live", () => numbersIn(socket.texts).length >= 310);
  assert.deepEqual(numbersIn(socket.texts), range(1, 310));
});

test("S3-05: an upgraded client that does not read for a while catches up later and is not closed", async (t) => {
  const server = await LiveServer.start(t);
  const client = SocketIoClient.start(t, server.prism.url, { auth: { token: server.apiKey } });
  await client.expect("ready");
  assert.equal((await client.ask("subscribe", { stream: `project:${server.projectId}` })).ok, true);
  const { engine } = client.socket.io;
  await eventually("the upgrade", () => engine.transport.name === "websocket");
  const { ws } = engine.transport as unknown as { ws: { pause(): void; resume(): void } };
  ws.pause();
  for (let i = 0; i < 10; i++) await server.feed.publish(100, { paddingBytes: 20_000 });
  ws.resume();
  const numbers = (): number[] => client.all("event").map(({ payload }) => (payload as { n: number }).n);
  await eventually("everything", () => numbers().length >= 1000 || !client.socket.connected, 60_000);
  assert.deepEqual(numbers(), range(1, 1000));
});

test("after a failed probe another one may start", async (t) => {
  const { prism } = await LiveServer.start(t);
  const path = await open(prism);
  (await startProbe(t, prism, path)).connection.destroy();
  const again = await eventually("room", () => startProbe(t, prism, path).catch(() => null));
  again.send(frame("2probe"));
  await again.expectText("3probe");
});

test("a session that ends between the probe and the upgrade gives its reason over the WebSocket", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const path = await open(prism);
  await post(prism, path, `40${JSON.stringify({ token: prism.adminToken })}`);
  let came = "";
  while (!came.includes('["ready"')) came += (await prism.get(path, { token: null })).text;
  const socket = await startProbe(t, prism, path);
  socket.send(frame("2probe"));
  await socket.expectText("3probe");
  clock.advance(7 * DAY_MS);
  await eventually("the end of the session", async () => (await prism.get(path, { token: null })).status === 400);
  // The client library polls no more, and takes the end of this WebSocket for a failed upgrade only.
  assert.equal(socket.connection.isClosed, false);
  socket.send(frame("5"));
  await eventually("the end of the WebSocket", () => socket.connection.isClosed);
});

test("an upgraded session keeps no poll request, whose headers contain credentials", async (t) => {
  const triedOut = t.mock.method(EngineSession.prototype, "startProbe");
  const prism = await startPrism(t);
  const client = SocketIoClient.start(t, prism.url, { extraHeaders: { Authorization: `Bearer ${prism.adminToken}` } });
  await client.expect("ready");
  const session = await eventually("a WebSocket that is tried out", () => triedOut.mock.calls[0]?.this as unknown);
  assert.ok(session instanceof EngineSession);
  await eventually("the upgrade", () => session.ws !== null);
  assert.equal(session.poll, null);
});
