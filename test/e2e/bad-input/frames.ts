import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import WebSocket from "ws";
import type { Target } from "./bad-request.ts";

/** What a client says on a socket that is open, and what becomes of it. */
export interface BadFrame {
  readonly name: string;
  readonly path: string;
  /** Sent one after another. */
  readonly messages: readonly (string | Buffer)[];
  /** The code of the error message, or with which code the socket is closed. */
  readonly outcome: string;
}

const KIB = 1024;
const NATIVE = "/ws";
const INVALID = "error VALIDATION_FAILED";
const FORBIDDEN = "error CHANNEL_FORBIDDEN";
const MALFORMED = "closed 4400";

const NOT_AN_OBJECT: readonly (readonly [string, string | Buffer])[] = [
  ["words", "hello"],
  ["half an object", '{"op":'],
  ["nothing", ""],
  ["a list", '[{"op":"ping"}]'],
  ["null", "null"],
  ["a number", "1"],
  ["a text", '"ping"'],
  ["a byte order mark", '\ufeff{"op":"ping"}'],
  ["33 levels", `${'{"op":'.repeat(33)}1${"}".repeat(33)}`],
  ["ten thousand brackets", "[".repeat(10_000)],
  ["a NUL behind it", '{"op":"ping"}\0'],
  ["binary", Buffer.from('{"op":"ping"}')],
  ["binary that is nothing", Buffer.from([0x00, 0xff])],
];

const MESSAGES: readonly (readonly [string, object, string])[] = [
  ["no op", {}, INVALID],
  ["an unknown op", { op: "publish" }, INVALID],
  ["an op in capitals", { op: "PING" }, INVALID],
  ["an op that is no text", { op: 1 }, INVALID],
  ["an op of the prototype", { op: "constructor" }, INVALID],
  ["an op of the prototype, once more", { op: "__proto__" }, INVALID],
  ["an unknown member", { op: "ping", extra: 1 }, INVALID],
  ["an id that is no text", { op: "ping", id: 1 }, INVALID],
  ["a long id", { op: "ping", id: "x".repeat(65) }, INVALID],
  ["subscribe without stream", { op: "subscribe" }, INVALID],
  ["a stream that is no text", { op: "subscribe", stream: 1 }, INVALID],
  ["a long stream", { op: "subscribe", stream: "x".repeat(161) }, INVALID],
  ["a negative offset", { op: "subscribe", stream: "user:me", from: -1 }, INVALID],
  ["half an offset", { op: "subscribe", stream: "user:me", from: 1.5 }, INVALID],
  ["an offset beyond 2^53", { op: "subscribe", stream: "user:me", from: 2 ** 53 }, INVALID],
  ["an offset beyond any", { op: "subscribe", stream: "user:me", from: 1e300 }, INVALID],
  ["an offset as text", { op: "subscribe", stream: "user:me", from: "7" }, INVALID],
  ["an offset that is null", { op: "subscribe", stream: "user:me", from: null }, INVALID],
  ["a word as offset", { op: "subscribe", stream: "user:me", from: "first" }, INVALID],
  ["a filter that is none", { op: "subscribe", stream: "user:me", filter: "a" }, INVALID],
  ["a filter of an unknown level", { op: "subscribe", stream: "user:me", filter: { level: ["loud"] } }, INVALID],
  ["a filter of an unknown member", { op: "subscribe", stream: "user:me", filter: { source: "a" } }, INVALID],
  ["ack that is no boolean", { op: "subscribe", stream: "user:me", ack: 1 }, INVALID],
  ["a stream without a kind", { op: "subscribe", stream: "everything" }, FORBIDDEN],
  ["an empty stream", { op: "subscribe", stream: "" }, FORBIDDEN],
  ["all projects", { op: "subscribe", stream: "project:*" }, FORBIDDEN],
  ["no project", { op: "subscribe", stream: "project:" }, FORBIDDEN],
  ["an unknown project", { op: "subscribe", stream: "project:0198c0de-0000-7000-8000-000000000000" }, FORBIDDEN],
  ["a slug of no project", { op: "subscribe", stream: "project:nowhere" }, FORBIDDEN],
  ["somebody else's stream", { op: "subscribe", stream: "user:0198c0de-0000-7000-8000-000000000000" }, FORBIDDEN],
  ["a stream of no kind", { op: "subscribe", stream: "systems" }, FORBIDDEN],
  ["a stream of the prototype", { op: "subscribe", stream: "__proto__:x" }, FORBIDDEN],
  ["unsubscribe without stream", { op: "unsubscribe" }, INVALID],
  ["unsubscribe from nothing", { op: "unsubscribe", stream: "nothing" }, FORBIDDEN],
  ["ack without offset", { op: "ack", stream: "user:me" }, INVALID],
  ["ack of a negative offset", { op: "ack", stream: "user:me", offset: -1 }, INVALID],
  ["ack of somebody else's", { op: "ack", stream: "user:x", offset: 1 }, FORBIDDEN],
  ["ack of a project", { op: "ack", stream: "project:x", offset: 1 }, FORBIDDEN],
  ["auth without token", { op: "auth" }, INVALID],
  ["auth with a word", { op: "auth", token: "nonsense" }, "error TOKEN_INVALID"],
  ["auth with a key that is none", { op: "auth", token: "prk_nonsense" }, "error INVALID_API_KEY"],
  ["auth with a long token", { op: "auth", token: "x".repeat(8193) }, INVALID],
];

/** @param projects ids of more projects than a connection may follow. */
export function badFrames({ apiKey }: Target, projects: readonly string[]): BadFrame[] {
  const pulse = "/realtime/default";
  const subscriptions = projects.map((id) => JSON.stringify({ op: "subscribe", stream: `project:${id}` }));
  return [
    ...[NATIVE, pulse].flatMap((path) => [
      ...NOT_AN_OBJECT.map(([name, message]) => ({ name, path, messages: [message], outcome: MALFORMED })),
      { name: "64 KiB and a byte", path, messages: [" ".repeat(64 * KIB + 1)], outcome: "closed 1009" },
      { name: "256 KiB and a byte", path, messages: [" ".repeat(256 * KIB + 1)], outcome: "closed 1006" },
      {
        name: "300 messages at once",
        path,
        messages: Array<string>(300).fill(path === NATIVE ? '{"op":"ping"}' : '{"type":"ping"}'),
        outcome: "closed 4429",
      },
    ]),
    ...MESSAGES.map(([name, message, outcome]) => ({
      name,
      path: NATIVE,
      messages: [JSON.stringify(message)],
      outcome,
    })),
    ...["{}", '{"type":"subscribe"}', '{"type":1}', '{"op":"ping"}', '{"type":"PING"}'].map((message) => ({
      name: message,
      path: pulse,
      messages: [message],
      outcome: MALFORMED,
    })),
    { name: "65 subscriptions", path: NATIVE, messages: subscriptions, outcome: "error RATE_LIMITED" },
    {
      name: "another caller's token",
      path: NATIVE,
      messages: [JSON.stringify({ op: "auth", token: apiKey })],
      outcome: "error FORBIDDEN",
    },
  ];
}

/** Sends the frames on a socket of its own. @returns what the server made of them. */
export function frameOutcome({ port, token }: Target, { path, messages }: BadFrame): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, {
      headers: { Authorization: `Bearer ${token}` },
      perMessageDeflate: false,
    });
    socket.on("error", (error) => {
      if (socket.readyState === WebSocket.CONNECTING) reject(error);
    });
    socket.on("unexpected-response", (_request, response) => resolve(`refused ${response.statusCode}`));
    socket.on("open", () => {
      for (const message of messages) socket.send(message);
    });
    socket.on("message", (data: Buffer) => {
      const message = JSON.parse(data.toString()) as { op?: string; error?: { code: string } };
      if (message.op !== "error") return;
      socket.terminate();
      resolve(`error ${message.error?.code}`);
    });
    socket.on("close", (code) => resolve(`closed ${code}`));
  });
}

const MASK = Buffer.from([1, 2, 3, 4]);

/**
 * A frame bit by bit (RFC 6455 section 5.2). @param first its first byte: FIN, the reserved bits,
 * the opcode.
 */
function frame(first: number, payload: Buffer, isMasked = true): Buffer {
  const length = payload.length < 126 ? [payload.length] : [126, payload.length >> 8, payload.length & 0xff];
  length[0] = (length[0] ?? 0) | (isMasked ? 0x80 : 0);
  const body = isMasked ? payload.map((byte, at) => byte ^ (MASK[at % 4] ?? 0)) : payload;
  return Buffer.concat([Buffer.from([first, ...length]), isMasked ? MASK : Buffer.alloc(0), body]);
}

/** Bytes that no WebSocket client sends: each ends the connection. */
export const BROKEN_FRAMES: readonly (readonly [string, Buffer])[] = [
  ["text that is no UTF-8", frame(0x81, Buffer.from([0x22, 0xff, 0xfe, 0x22]))],
  ["a reserved bit", frame(0xa1, Buffer.from("{}"))],
  ["an unknown opcode", frame(0x83, Buffer.from("{}"))],
  ["an unknown control frame", frame(0x8b, Buffer.from("{}"))],
  ["a ping in pieces", frame(0x09, Buffer.from("{}"))],
  ["a ping of 126 bytes", frame(0x89, Buffer.alloc(126))],
  ["a continuation of nothing", frame(0x80, Buffer.from("{}"))],
  ["a length of 2^63", Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, ...MASK])],
  ["a length of 16 MiB", Buffer.from([0x81, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, ...MASK])],
  ["a close with one byte", frame(0x88, Buffer.from([3]))],
  ["a close whose reason is no UTF-8", frame(0x88, Buffer.from([3, 0xe8, 0xff]))],
  ["a request in place of a frame", Buffer.from("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")],
];

/** Upgrades by hand and sends the bytes. @returns when the server has ended the connection. */
export async function sendBroken({ port, token }: Target, bytes: Buffer): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  const ended = once(socket, "close");
  socket.write(
    [
      "GET /ws HTTP/1.1",
      "Host: localhost",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      `Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}`,
      `Authorization: Bearer ${token}`,
      "\r\n",
    ].join("\r\n"),
  );
  await once(socket, "data");
  // Read on, or the end would never be seen.
  socket.resume();
  socket.write(bytes);
  await ended;
}
