import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { makeProject } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { errorCodeOf, exchangeRaw, requestText } from "../http/support/raw-connection.ts";
import { type LiveClient, Refused } from "./support/live-client.ts";
import { LiveServer, PROTOCOLS } from "./support/live-server.ts";
import { pulseProtocol } from "./support/pulse-protocol.ts";
import { HANDSHAKE } from "./support/raw-socket.ts";
import { WebSocketClient } from "./support/web-socket-client.ts";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";

async function refusalOf(connecting: Promise<LiveClient | WebSocketClient>): Promise<string> {
  try {
    await (await connecting).close();
    return "let in";
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return `${error.status} ${error.code}`;
  }
}

test("a page of an unlisted origin is refused, whatever its credential", async (t) => {
  const server = await LiveServer.start(t, {
    settings: { "cors.origins": "https://app.example.com", publicUrl: "http://localhost:4000/prism" },
  });
  for (const [origin, answer] of [
    ["https://app.example.com", "let in"],
    ["http://localhost:4000", "let in"],
    ["https://app.example.com.evil.example", "403 ORIGIN_REFUSED"],
    ["http://app.example.com", "403 ORIGIN_REFUSED"],
    ["http://localhost:5173", "403 ORIGIN_REFUSED"],
    ["null", "403 ORIGIN_REFUSED"],
  ] as const) {
    for (const protocol of PROTOCOLS) {
      const connecting = protocol.connect(server.target, { headers: { Origin: origin } });
      assert.equal(await refusalOf(connecting), answer, `${protocol.name}, ${origin}`);
    }
  }
});

test("in development without a list only pages of this machine may connect, on any port", async (t) => {
  const server = await LiveServer.start(t);
  for (const protocol of PROTOCOLS) {
    for (const [origin, answer] of [
      ["http://localhost:5173", "let in"],
      ["http://[::1]:1", "let in"],
      ["http://192.168.1.2:3000", "403 ORIGIN_REFUSED"],
    ] as const) {
      const connecting = protocol.connect(server.target, { headers: { Origin: origin } });
      assert.equal(await refusalOf(connecting), answer, `${protocol.name}, ${origin}`);
    }
  }
});

test("a plain request gets 426", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  for (const path of ["/ws", `/realtime/${shop.id}`, `/api/v1/realtime/${shop.id}`]) {
    const reply = await prism.get<{ error: { code: string } }>(path);
    assert.deepEqual([reply.status, reply.body.error.code], [426, "UPGRADE_REQUIRED"], path);
    assert.equal(reply.headers.get("upgrade"), "websocket");
    assert.equal((await prism.request("HEAD", path)).status, 426);
    assert.equal((await prism.post(path, {})).status, 405);
  }
});

test("an upgrade with a wrong version, key or path gets an HTTP answer and no socket", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const lines = ["Connection: Upgrade", "Upgrade: websocket", `Authorization: Bearer ${prism.adminToken}`];
  for (const [name, path, more, status, code] of [
    ["an old version", "/ws", [`Sec-WebSocket-Key: ${KEY}`, "Sec-WebSocket-Version: 8"], 426, "UPGRADE_REQUIRED"],
    ["no version", "/ws", [`Sec-WebSocket-Key: ${KEY}`], 426, "UPGRADE_REQUIRED"],
    ["no key", "/ws", ["Sec-WebSocket-Version: 13"], 426, "UPGRADE_REQUIRED"],
    ["a short key", "/ws", ["Sec-WebSocket-Key: abc", "Sec-WebSocket-Version: 13"], 426, "UPGRADE_REQUIRED"],
    ["no such path", "/wss", [`Sec-WebSocket-Key: ${KEY}`, "Sec-WebSocket-Version: 13"], 404, "NOT_FOUND"],
    [
      "a path that is no socket",
      `/realtime/${shop.id}/sse/x`,
      [`Sec-WebSocket-Key: ${KEY}`, "Sec-WebSocket-Version: 13"],
      404,
      "NOT_FOUND",
    ],
  ] as const) {
    const reply = await exchangeRaw(t, prism.app.port, requestText("GET", path, [...lines, ...more]));
    assert.deepEqual([reply.status, errorCodeOf(reply)], [status, code], name);
    if (name === "an old version") assert.equal(reply.headers.get("sec-websocket-version"), "13");
  }
});

test("a project is named by its slug, too; one that does not exist is refused with 404", async (t) => {
  const { prism } = await LiveServer.start(t);
  for (const [ref, answer] of [
    ["01980000-0000-7000-8000-000000000000", "404 PROJECT_NOT_FOUND"],
    ["nowhere", "404 PROJECT_NOT_FOUND"],
    ["shop", "let in"],
  ] as const) {
    const asPage = WebSocketClient.open(`${prism.wsUrl}/realtime/${ref}?token=${prism.adminToken}`);
    assert.equal(await refusalOf(asPage), answer, `PulseBoard WS, ${ref}`);
    const { status } = await prism.request("HEAD", `/realtime/${ref}/sse`);
    assert.equal(status, answer === "let in" ? 200 : 404, `SSE, ${ref}`);
  }
});

test("an invalid offset is refused before the stream starts", async (t) => {
  const server = await LiveServer.start(t);
  const { prism, projectId } = server;
  for (const from of ["-1", "1.5", "abc", "0x1", "1e3", "99999999999999999999", "1%00", "Latest"]) {
    for (const name of ["from", "lastEventId"]) {
      const query = `?${name}=${from}&token=${prism.adminToken}`;
      const answer = await refusalOf(WebSocketClient.open(`${prism.wsUrl}/realtime/${projectId}${query}`));
      assert.equal(answer, "400 VALIDATION_FAILED", query);
      const reply = await fetch(`${prism.url}/realtime/${projectId}/sse${query}`);
      assert.equal(reply.status, 400, query);
      await reply.body?.cancel();
    }
  }
  const reply = await prism.get<{ error: { code: string } }>(`/realtime/${projectId}/sse`, {
    headers: { "Last-Event-ID": "abc" },
  });
  assert.deepEqual([reply.status, reply.body.error.code], [400, "VALIDATION_FAILED"]);
});

test("connections beyond the limits per caller, per address and in total are refused until another one closes", async (t) => {
  for (const [name, settings, limit, answer] of [
    ["of a user", { "realtime.maxPerUser": "2" }, 2, "429 RATE_LIMITED"],
    ["of an address", { "realtime.maxPerIp": "3" }, 3, "429 RATE_LIMITED"],
    ["in all", { "realtime.maxConnections": "4" }, 4, "503 OVERLOADED"],
  ] as const) {
    await t.test(name, async (t) => {
      const server = await LiveServer.start(t, { settings });
      const clients: LiveClient[] = [];
      for (let i = 0; i < limit; i++) {
        const protocol = PROTOCOLS[i % PROTOCOLS.length];
        assert.ok(protocol);
        clients.push(await server.connect(protocol));
      }
      for (const protocol of PROTOCOLS) {
        const connecting = protocol.connect(server.target);
        await assert.rejects(connecting, (error) => {
          assert.ok(error instanceof Refused);
          assert.equal(`${error.status} ${error.code}`, answer, protocol.name);
          assert.match(String(error.headers["retry-after"]), /^\d+$/);
          return true;
        });
      }
      const byKey = pulseProtocol.connect({ ...server.target, token: server.apiKey });
      assert.equal(await refusalOf(byKey), name === "of a user" ? "let in" : answer, "another caller");

      await clients[0]?.close();
      const { connections } = server.prism.parts.core;
      await eventually("one has gone", () => {
        const { websocket, pulse, sse } = connections.counts;
        return websocket + pulse + sse < limit;
      });
      await server.connect(pulseProtocol);
    });
  }
});

test("a request with a WebSocket key but without Upgrade is answered 426", async (t) => {
  const prism = await startPrism(t);
  const headers = [
    `Authorization: Bearer ${prism.adminToken}`,
    ...HANDSHAKE.filter((line) => !line.startsWith("Upgrade")),
  ];
  const reply = await exchangeRaw(t, prism.app.port, requestText("GET", "/ws", headers));
  assert.deepEqual([reply.status, errorCodeOf(reply)], [426, "UPGRADE_REQUIRED"]);
});
