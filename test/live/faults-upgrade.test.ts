import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { errorCodeOf, RawConnection, requestText } from "../http/support/raw-connection.ts";
import { liveCount, RAW_PROTOCOLS, RAW_SETTINGS, withToken } from "./support/raw-protocols.ts";
import { frame, HANDSHAKE, OPCODE, RawSocket } from "./support/raw-socket.ts";

const PING = '{"op":"ping","id":"inside"}';

test("an upgrade with a body is refused and its connection closed, because a proxy may read frames as the body", async (t) => {
  const prism = await startPrism(t, { settings: RAW_SETTINGS });
  const { length } = frame(PING);
  for (const [name, lines, pieces] of [
    ["a body that comes along", [`Content-Length: ${length}`], [frame(PING)]],
    ["a body that comes later", [`Content-Length: ${length}`], [Buffer.alloc(0), frame(PING)]],
    ["a body in chunks", ["Transfer-Encoding: chunked"], [Buffer.from("5\r\nhello\r\n0\r\n\r\n")]],
    ["an empty body in chunks", ["Transfer-Encoding: chunked"], [Buffer.from("0\r\n\r\n"), frame(PING)]],
    ["two hosts", ["Host: elsewhere"], []],
  ] as const) {
    for (const { path } of RAW_PROTOCOLS) {
      const client = await RawConnection.open(t, prism.app.port);
      const head = requestText("GET", withToken(path, prism.adminToken), [...HANDSHAKE, ...lines]);
      const [first = Buffer.alloc(0), ...rest] = pieces;
      await client.sendAlone(Buffer.concat([Buffer.from(head), first]));
      const reply = await client.reply();
      for (const piece of rest) client.send(piece);
      assert.deepEqual([reply.status, errorCodeOf(reply)], [400, "VALIDATION_FAILED"], `${path}, ${name}`);
      await client.closed();
      assert.ok(!client.unread.includes("inside"), name);
    }
  }
  assert.equal(liveCount(prism), 0);
  const client = await RawConnection.open(t, prism.app.port);
  client.send(requestText("GET", `/ws?token=${prism.adminToken}`, [...HANDSHAKE, "Content-Length: 0"]));
  await eventually("a body of no bytes is none", () => client.unread.includes("welcome"));
});

for (const protocol of RAW_PROTOCOLS) {
  test(`${protocol.name}: messages sent before the upgrade response are ignored, later ones are processed`, async (t) => {
    const prism = await startPrism(t, { settings: RAW_SETTINGS });
    // RFC 6455 section 4.1: the client waits. The library drops what came in one piece with the
    // request.
    for (const ahead of [frame(protocol.ping), Buffer.from(requestText("GET", "/health"))]) {
      const eager = await RawConnection.open(t, prism.app.port);
      const head = requestText("GET", withToken(protocol.path, prism.adminToken), HANDSHAKE);
      eager.send(Buffer.concat([Buffer.from(head), ahead]));
      await eventually("the upgrade", () => eager.unread.includes("101 Switching Protocols"));
      eager.send(frame("behind", { opcode: OPCODE.ping }));
      await eventually("the pong", () => eager.unread.includes("behind"));
      assert.ok(!eager.unread.includes(protocol.pong));
      assert.equal(eager.unread.split("HTTP/1.1").length, 2, "one answer");
      eager.destroy();
    }
    await eventually("all connections are closed", () => liveCount(prism) === 0);
  });
}

test("no request header value is echoed in a response header", async (t) => {
  const prism = await startPrism(t, { settings: RAW_SETTINGS });
  for (const line of [
    "Sec-WebSocket-Protocol: prism.v1, Set-Cookie:a=b",
    "Sec-WebSocket-Protocol: evil.v1",
    "Sec-WebSocket-Protocol: prism.v1\tX-Evil: 1",
    "Sec-WebSocket-Extensions: permessage-deflate; evil=1; client_max_window_bits=99999999999; server_max_window_bits=0",
    `Sec-WebSocket-Extensions: ${"permessage-deflate, ".repeat(600)}evil`,
    "Sec-WebSocket-Extensions: x-webkit-deflate-frame, evil",
    "X-Request-Id: evil evil",
    "X-Correlation-Id: evil evil",
    "Upgrade: evil, websocket",
  ]) {
    const socket = await RawSocket.open(t, prism.app.port, `/ws?token=${prism.adminToken}`, [line]);
    await socket.expectText("welcome");
    const [head = ""] = socket.connection.unread.split("\r\n\r\n");
    assert.doesNotMatch(head, /evil|cookie/i, line);
    for (const field of head.split("\r\n").slice(1)) assert.match(field, /^[A-Za-z-]+: [\x21-\x7e][\x20-\x7e]*$/, line);
    socket.connection.destroy();
  }
});

test("a request with bare CR or LF in a field is never upgraded", async (t) => {
  const prism = await startPrism(t, { settings: RAW_SETTINGS });
  for (const value of ["prism.v1,\rX-Evil: 1", "prism.v1,\nX-Evil: 1", "prism.v1,\r\n X-Evil: 1", "prism.v1\u0000"]) {
    const client = await RawConnection.open(t, prism.app.port);
    const lines = [...HANDSHAKE, `Sec-WebSocket-Protocol: ${value}`];
    client.send(requestText("GET", `/ws?token=${prism.adminToken}`, lines));
    // Answered after it: it has been read.
    await prism.get("/health/live");
    assert.doesNotMatch(client.unread, /101 Switching|evil/i, JSON.stringify(value));
    client.destroy();
  }
  assert.equal(liveCount(prism), 0);
});

test("an upgrade may arrive in pieces, also of its first line", async (t) => {
  const prism = await startPrism(t, { settings: RAW_SETTINGS });
  const lines = [...HANDSHAKE, `Authorization: Bearer ${prism.adminToken}`];
  const head = requestText("GET", "/ws", lines);
  for (let cut = 1; cut < head.length; cut += 11) {
    const client = await RawConnection.open(t, prism.app.port);
    await client.sendAlone(head.slice(0, cut));
    client.send(head.slice(cut));
    await eventually("the welcome", () => client.unread.includes("welcome"));
    client.destroy();
  }
});
