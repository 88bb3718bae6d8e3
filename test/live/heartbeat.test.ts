import assert from "node:assert/strict";
import test from "node:test";
import type WebSocket from "ws";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { LiveServer } from "./support/live-server.ts";
import { nativeProtocol } from "./support/native-protocol.ts";
import { pulseProtocol } from "./support/pulse-protocol.ts";
import { RawStream } from "./support/raw-stream.ts";
import { WebSocketClient } from "./support/web-socket-client.ts";

const DAY = { "auth.accessExpires": "24h" };

function pingsOf(socket: WebSocket): { count: number } {
  const pings = { count: 0 };
  socket.on("ping", () => {
    pings.count++;
  });
  return pings;
}

/** A client's ping message, by the socket's path. */
const PINGS = { "/ws": { op: "ping" }, "/realtime/shop": { type: "ping" }, "/ws/updates": { type: "PING" } };

for (const [path, ping] of Object.entries(PINGS)) {
  test(`S3-38: ${path}: a client that is silent for 30 s is pinged; one that answers stays`, async (t) => {
    keepsPromise(t, "S3-38");
    const clock = new FakeClock();
    const prism = await startPrism(t, { clock, settings: DAY });
    await makeProject(prism);
    const client = await WebSocketClient.openFor(t, `${prism.wsUrl}${path}?token=${prism.adminToken}`);
    const pings = pingsOf(client.socket);
    const say = async (times: number) => {
      client.send(ping);
      await eventually("a pong", () => client.messages.filter(isPong).length === times);
    };
    await say(1);
    clock.advance(29_999);
    await say(2);
    assert.equal(pings.count, 0, "it has just been heard");
    for (let times = 1; times <= 3; times++) {
      clock.advance(30_000);
      await eventually("a ping", () => pings.count === times);
      // The answer to the ping is on its way before this is.
      await say(2 + times);
    }
    assert.equal(pings.count, 3, "one for each silence");
  });

  test(`S3-38: ${path}: a dead peer is dropped after 60 s`, async (t) => {
    keepsPromise(t, "S3-38");
    const clock = new FakeClock();
    const prism = await startPrism(t, { clock, settings: DAY });
    await makeProject(prism);
    const client = await WebSocketClient.openFor(t, `${prism.wsUrl}${path}?token=${prism.adminToken}`, {
      autoPong: false,
    });
    const { connections } = prism.parts.core;
    const live = () => Object.values(connections.counts).reduce((sum, count) => sum + count, 0);
    assert.equal(live(), 1);
    clock.advance(59_999);
    const pings = pingsOf(client.socket);
    await eventually("a ping", () => pings.count === 1);
    assert.equal(live(), 1);
    clock.advance(1);
    assert.equal((await client.end).code, 1006);
    assert.equal(live(), 0);
  });
}

function isPong(message: Readonly<Record<string, unknown>>): boolean {
  return /^pong$/i.test(String(message["op"] ?? message["type"]));
}

test("an event stream receives a comment every 15 s, which an EventSource ignores", async (t) => {
  const clock = new FakeClock();
  const server = await LiveServer.start(t, { clock, settings: DAY });
  const stream = await RawStream.open(t, server.target);
  await stream.expect("retry: 3000\n\n");
  for (let times = 1; times <= 3; times++) {
    clock.advance(15_000);
    await stream.expect(`retry: 3000\n\n${": ping\n\n".repeat(times)}`);
  }
});

test("60 s before its token expires a native client is notified, and a new token extends it", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const user = await makeUser(prism, "uma");
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, user.token);
  const end = clock.now() + 15 * 60_000;
  const tick = async (ms: number) => {
    for (let left = ms; left > 0; left -= 20_000) {
      clock.advance(Math.min(left, 20_000));
      await client.ask({ op: "ping", id: String(clock.now()) });
    }
  };
  await tick(14 * 60_000 - 1000);
  assert.equal(client.all({ op: "auth_expiring" }).length, 0);
  await tick(1000);
  const notice = await client.expect({ op: "auth_expiring" });
  assert.deepEqual(Object.keys(notice), ["op", "expiresAt"]);
  // JWTs count in seconds.
  assert.ok(Math.abs(Date.parse(String(notice["expiresAt"])) - end) <= 1000);

  const { token } = await prism.parts.offers.accessTokens.issue(user.id);
  const answer = await client.ask({ op: "auth", id: "renewal", token });
  assert.equal(answer["op"], "authenticated");
  assert.ok(Math.abs(Date.parse(String(answer["expiresAt"])) - (end + 14 * 60_000)) <= 1000);
  await tick(2 * 60_000);
  assert.equal(client.all({ op: "auth_expiring" }).length, 1, "told once for each token");
  await tick(12 * 60_000 + 1000);
  await eventually("the second notice", () => client.all({ op: "auth_expiring" }).length === 2);
  await tick(40_000);
  clock.advance(20_000);
  assert.deepEqual(await client.end, { code: 4401, reason: "expired" });
});

test("a token without expiry is reported as such", async (t) => {
  const prism = await startPrism(t);
  const { apiKey } = await makeProject(prism);
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, apiKey);
  const answer = await client.ask({ op: "auth", id: "1", token: apiKey });
  assert.deepEqual(answer, { op: "authenticated", id: "1", expiresAt: null });
});

test("a close is answered, and a disconnected client is removed", async (t) => {
  const server = await LiveServer.start(t);
  const { connections } = server.prism.parts.core;
  for (const protocol of [nativeProtocol, pulseProtocol]) {
    const client = await server.connect(protocol);
    await client.close();
  }
  const polite = await WebSocketClient.welcomed(t, server.prism.wsUrl, server.prism.adminToken);
  polite.socket.close(1000, "bye");
  assert.equal((await polite.end).code, 1000);
  await eventually("all connections are closed", () => connections.counts.websocket + connections.counts.pulse === 0);
});
