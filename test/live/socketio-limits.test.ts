import assert from "node:assert/strict";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import test from "node:test";
import WebSocket from "ws";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { CARRIERS, SocketIoClient } from "./support/socketio-client.ts";

const POLLING = "/socket.io/?EIO=4&transport=polling";
const WEBSOCKET = "/socket.io/?EIO=4&transport=websocket";

interface ErrorBody {
  readonly error: { readonly code: string };
}

/** Starts a polling session that stays silent. */
async function handshake(prism: TestPrism): Promise<string> {
  const { status, text: opened } = await prism.get(POLLING, { token: null });
  assert.equal(status, 200, opened);
  return (JSON.parse(opened.slice(1)) as { sid: string }).sid;
}

function post(prism: TestPrism, sid: string, body: string, headers: Record<string, string> = {}) {
  return prism.request<ErrorBody>("POST", `${POLLING}&sid=${sid}`, body, {
    token: null,
    headers: { "Content-Type": "text/plain;charset=UTF-8", ...headers },
  });
}

/** How an upgrade is answered: `open`, or the status and the code. */
async function refusalOf(url: string, headers: Record<string, string> = {}): Promise<string> {
  const socket = new WebSocket(url, { headers });
  const answer = await new Promise<string>((resolve, reject) => {
    socket.on("open", () => resolve("open"));
    socket.on("unexpected-response", (_request, response) => {
      text(response).then(
        (body) => resolve(`${response.statusCode} ${(JSON.parse(body) as ErrorBody).error.code}`),
        reject,
      );
    });
    socket.on("error", reject);
  });
  socket.terminate();
  return answer;
}

test("requests that Engine.IO does not define are refused with a reason, by any method", async (t) => {
  const prism = await startPrism(t);
  const sid = await handshake(prism);
  for (const [method, path, status, code] of [
    ["GET", "/socket.io/", 400, "VALIDATION_FAILED"],
    ["GET", "/socket.io/?EIO=3&transport=polling", 400, "VALIDATION_FAILED"],
    ["GET", "/socket.io/?EIO=4&transport=smoke", 400, "VALIDATION_FAILED"],
    ["GET", WEBSOCKET, 400, "VALIDATION_FAILED"],
    ["GET", `${POLLING}&sid=unknown`, 400, "VALIDATION_FAILED"],
    ["GET", `${POLLING}&sid=__proto__`, 400, "VALIDATION_FAILED"],
    ["POST", POLLING, 400, "VALIDATION_FAILED"],
    ["PUT", POLLING, 400, "VALIDATION_FAILED"],
    ["DELETE", `${POLLING}&sid=${sid}`, 405, "METHOD_NOT_ALLOWED"],
    ["GET", "/socket.io/socket.io.js", 404, "NOT_FOUND"],
    ["GET", "/socket.io", 404, "NOT_FOUND"],
  ] as const) {
    const reply = await prism.request<ErrorBody>(method, path, undefined, { token: null });
    assert.deepEqual([reply.status, reply.body.error?.code], [status, code], `${method} ${path}`);
  }
  assert.equal((await prism.request("HEAD", POLLING, undefined, { token: null })).status, 405);
  assert.equal((await prism.request("OPTIONS", POLLING, undefined, { token: null })).status, 204);
  for (const query of ["EIO=3&transport=websocket", "EIO=4&transport=polling", "EIO=4&transport=websocket&sid=unknown"])
    assert.equal(await refusalOf(`${prism.wsUrl}/socket.io/?${query}`), "400 VALIDATION_FAILED", query);
});

test("a page of a foreign origin neither polls nor opens a socket; one of ours does both", async (t) => {
  const prism = await startPrism(t, { settings: { "cors.origins": "https://app.example" } });
  const [own, foreign] = [{ Origin: "https://app.example" }, { Origin: "https://evil.example" }];
  const refused = await prism.get<ErrorBody>(POLLING, { token: null, headers: foreign });
  assert.deepEqual([refused.status, refused.body.error.code], [403, "ORIGIN_REFUSED"]);
  const sid = await handshake(prism);
  assert.equal((await post(prism, sid, "40", foreign)).status, 403);
  const letIn = await prism.get(POLLING, { token: null, headers: own });
  assert.deepEqual([letIn.status, letIn.headers.get("access-control-allow-origin")], [200, own.Origin]);
  assert.equal(await refusalOf(prism.wsUrl + WEBSOCKET, foreign), "403 ORIGIN_REFUSED");
  assert.equal(await refusalOf(prism.wsUrl + WEBSOCKET, own), "open");
});

test("unauthenticated connections per address are limited in number, to 10 seconds and to 4 KiB each", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "realtime.maxPendingPerIp": "20" } });
  const counts = () => prism.parts.core.connections.counts;
  const sids: string[] = [];
  for (let i = 0; i < 10; i++) sids.push(await handshake(prism));
  const sockets: WebSocket[] = [];
  for (let i = 0; i < 10; i++) {
    const socket = new WebSocket(prism.wsUrl + WEBSOCKET);
    t.after(() => socket.terminate());
    await once(socket, "message");
    sockets.push(socket);
  }
  assert.equal(counts().socketio, 20);
  const refused = await prism.get<ErrorBody>(POLLING, { token: null });
  assert.deepEqual([refused.status, refused.body.error.code], [429, "RATE_LIMITED"]);
  assert.equal(await refusalOf(prism.wsUrl + WEBSOCKET), "429 RATE_LIMITED");

  const long = `40${JSON.stringify({ token: "x".repeat(4096) })}`;
  const tooLong = await post(prism, sids[0] ?? "", long);
  assert.deepEqual([tooLong.status, tooLong.body.error.code], [413, "PAYLOAD_TOO_LARGE"]);
  sockets[0]?.send(long);
  await eventually("both are ended", () => counts().socketio === 18);
  clock.advance(10_000);
  await eventually("all are ended", () => counts().socketio === 0);
  await SocketIoClient.ready(t, prism.url, "polling", { token: prism.adminToken });
});

test("a polling session that ends without packets is unknown to the next poll", async (t) => {
  const prism = await startPrism(t);
  const sid = await handshake(prism);
  assert.equal((await post(prism, sid, "abc")).status, 200);
  const { status, body } = await prism.get<ErrorBody>(`${POLLING}&sid=${sid}`, { token: null });
  assert.deepEqual([status, body.error?.code], [400, "VALIDATION_FAILED"]);
});

for (const carrier of CARRIERS) {
  test(`over ${carrier} 100 messages at once are accepted, and one more ends the connection`, async (t) => {
    const clock = new FakeClock();
    const prism = await startPrism(t, { clock });
    const client = await SocketIoClient.ready(t, prism.url, carrier, { token: prism.adminToken });
    // Its handshake was one.
    for (let i = 0; i < 99; i++) client.socket.emit("unsubscribe", { stream: "channel:a" });
    assert.equal(client.socket.connected, true);
    clock.advance(1000);
    for (let i = 0; i < 120; i++) client.socket.emit("unsubscribe", { stream: "channel:a" });
    assert.equal(await client.end, "4429 rate, stays away");
  });

  test(`over ${carrier} a packet that is too deep or invalid ends the connection, and the server continues`, async (t) => {
    const prism = await startPrism(t);
    const open = () => SocketIoClient.ready(t, prism.url, carrier, { token: prism.adminToken });
    const nested = JSON.parse("[".repeat(40) + "]".repeat(40)) as unknown;
    const deep = await open();
    deep.socket.emit("subscribe", { deep: nested });
    assert.equal(await deep.end, "4400 malformed, stays away");
    const hidden = `2/",["unsubscribe",${JSON.stringify(nested)}]`;
    for (const packet of ["2[", "2{}", "9", "4{}", '2["connect"]', "51-[]", "511-[]", "5-[]", '2["x"', hidden]) {
      const client = await open();
      client.socket.io.engine.write(packet);
      assert.equal(await client.end, "4400 malformed, stays away", packet);
    }
    const tooBig = await open();
    if (carrier === "websocket") {
      tooBig.socket.emit("subscribe", { stream: "x".repeat(70_000) });
      assert.equal(await tooBig.end, "1009 tooBig, stays away");
    }
    assert.equal((await (await open()).ask("subscribe", { stream: "channel:a" })).ok, true);
  });
}

const ONE_ATTACHMENT = '51-["subscribe",{"_placeholder":true,"num":0}]';

for (const carrier of CARRIERS) {
  test(`over ${carrier} binary arguments are answered with an error, and the connection stays`, async (t) => {
    const prism = await startPrism(t);
    const client = await SocketIoClient.ready(t, prism.url, carrier, { token: prism.adminToken });
    const bytes = Buffer.from([0, 1, 2, 0xff]);
    for (const [event, payload] of [
      ["subscribe", bytes],
      ["subscribe", { stream: bytes }],
      ["unsubscribe", { stream: "channel:a", more: [bytes, bytes] }],
      ["unheard-of", bytes],
    ] as const) {
      const answer = await client.ask(event, payload);
      assert.deepEqual([answer.ok, answer.error?.code], [false, "VALIDATION_FAILED"], event);
    }
    client.socket.emit("subscribe", bytes);
    await client.expect("exception", { event: "subscribe", code: "VALIDATION_FAILED" });
    client.socket.io.engine.write('61-7[{"_placeholder":true,"num":0}]');
    client.socket.io.engine.write(bytes as never);
    assert.equal((await client.ask("unsubscribe", { stream: "channel:a" })).ok, true);
  });

  test(`over ${carrier} attachments are bounded, and come after their packet`, async (t) => {
    const prism = await startPrism(t);
    const half = Buffer.alloc(40_000);
    for (const [packets, end] of [
      [[Buffer.from("x")], "4400 malformed, stays away"],
      [[ONE_ATTACHMENT, '2["subscribe",{}]'], "4400 malformed, stays away"],
      [['511-["subscribe"]'], "4400 malformed, stays away"],
      [['52-["subscribe"]', half, half], "1009 tooBig, stays away"],
    ] as const) {
      const client = await SocketIoClient.ready(t, prism.url, carrier, { token: prism.adminToken });
      for (const packet of packets) client.socket.io.engine.write(packet as string);
      assert.equal(await client.end, end);
    }
  });
}

test("clients that disconnect, cleanly or not, leak nothing", async (t) => {
  const prism = await startPrism(t);
  for (const carrier of CARRIERS) {
    const polite = await SocketIoClient.ready(t, prism.url, carrier, { token: prism.adminToken });
    const rude = await SocketIoClient.ready(t, prism.url, carrier, { token: prism.adminToken });
    assert.equal(prism.parts.core.connections.counts.socketio, 2);
    polite.socket.disconnect();
    rude.socket.io.engine.close();
    await eventually("none is left", () => prism.parts.core.connections.counts.socketio === 0);
  }
});
