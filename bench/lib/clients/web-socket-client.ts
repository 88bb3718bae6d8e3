/**
 * A minimal WebSocket client, so that the server is measured: a plain socket, with frames split by
 * their lengths (RFC 6455 section 5.2) and decoded only if they belong to the protocol's handshake
 * or heartbeat.
 */
import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { Listener, OpenClient, Said, Target } from "./client.ts";

/**
 * A WebSocket protocol: its path, and its messages until the subscription is active and to keep it
 * alive.
 */
export interface SocketWords {
  path(target: Target): string;
  /** @returns undefined if no answer is needed. Throws if the server refuses. */
  hear(text: string, target: Target): Said | undefined;
}

/**
 * Messages of streams are longer; shorter frames are control messages, such as pings of Socket.IO
 * and Pusher.
 */
const CONVERSATION_BYTES = 64;
const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;

export function webSocketClient(words: SocketWords): OpenClient {
  return (target, listener) => void new WebSocketClient(words, target, listener);
}

class WebSocketClient {
  readonly #words: SocketWords;
  readonly #target: Target;
  readonly #listener: Listener;
  readonly #socket: Socket;
  #buffered: Buffer = Buffer.alloc(0);
  #isUpgraded = false;
  #isFollowing = false;

  constructor(words: SocketWords, target: Target, listener: Listener) {
    this.#words = words;
    this.#target = target;
    this.#listener = listener;
    this.#socket = connect({ port: target.port, host: "127.0.0.1", localAddress: target.from });
    const authorization = target.token === "" ? "" : `Authorization: Bearer ${target.token}\r\n`;
    this.#socket.write(
      `GET ${words.path(target)} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n${authorization}` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
    );
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk));
    this.#socket.on("error", (error) => listener.ended(error.message));
    this.#socket.on("close", () => listener.ended("the connection was closed"));
  }

  #read(chunk: Buffer): void {
    this.#buffered = this.#buffered.length === 0 ? chunk : Buffer.concat([this.#buffered, chunk]);
    if (!this.#isUpgraded && !this.#takeHead()) return;
    let at = 0;
    for (let end = frameEnd(this.#buffered, at); end >= 0; end = frameEnd(this.#buffered, at)) {
      this.#frame((this.#buffered[at] as number) & 15, at + headBytes(this.#buffered[at + 1] as number), end);
      at = end;
    }
    // Copies the rest: a slice would keep the whole chunk in memory, for ten thousand connections.
    this.#buffered = Buffer.from(this.#buffered.subarray(at));
  }

  /** @returns false while the head of the response is incomplete. */
  #takeHead(): boolean {
    const end = this.#buffered.indexOf("\r\n\r\n");
    if (end < 0) return false;
    if (this.#buffered.toString("latin1", 9, 12) !== "101") {
      this.#listener.ended(this.#buffered.toString("utf8"));
      this.#socket.destroy();
      return false;
    }
    this.#isUpgraded = true;
    this.#buffered = this.#buffered.subarray(end + 4);
    return true;
  }

  #frame(kind: number, from: number, to: number): void {
    const isEntry = kind === TEXT && this.#isFollowing && to - from >= CONVERSATION_BYTES;
    if (isEntry) this.#listener.message(this.#buffered, from, to);
    else if (kind === TEXT) this.#hear(this.#buffered.toString("utf8", from, to));
    else if (kind === PING) this.#send(PONG, Buffer.from(this.#buffered.subarray(from, to)));
    else if (kind === CLOSE) this.#listener.ended(`closed with ${this.#buffered.readUInt16BE(from)}`);
  }

  #hear(text: string): void {
    try {
      this.#act(this.#words.hear(text, this.#target) ?? {});
    } catch (error) {
      this.#listener.ended(String(error));
    }
  }

  #act({ isWelcome, isFollowing, say }: Said): void {
    if (isWelcome) this.#listener.welcomed();
    if (isFollowing) {
      this.#isFollowing = true;
      this.#listener.following();
    }
    if (typeof say === "string") this.#send(TEXT, Buffer.from(say));
    else
      say?.then(
        (text) => this.#send(TEXT, Buffer.from(text)),
        (error: unknown) => this.#listener.ended(String(error)),
      );
  }

  /** Masked with zeros, which leaves the body unchanged (RFC 6455 section 5.3 requires a mask). */
  #send(kind: number, body: Buffer): void {
    const head =
      body.length < 126
        ? Buffer.from([0x80 | kind, 0x80 | body.length])
        : Buffer.from([0x80 | kind, 0xfe, body.length >> 8, body.length & 255]);
    this.#socket.write(Buffer.concat([head, Buffer.alloc(4), body]));
  }
}

/** Bytes before the body of a frame with this second byte. Servers do not mask. */
function headBytes(second: number): number {
  const short = second & 127;
  return short === 126 ? 4 : short === 127 ? 10 : 2;
}

/** @returns the index after the frame that starts at `at`, -1 while it is incomplete. */
function frameEnd(bytes: Buffer, at: number): number {
  if (bytes.length < at + 2) return -1;
  const second = bytes[at + 1] as number;
  const from = at + headBytes(second);
  if (bytes.length < from) return -1;
  const short = second & 127;
  const length =
    short === 126 ? bytes.readUInt16BE(at + 2) : short === 127 ? Number(bytes.readBigUInt64BE(at + 2)) : short;
  return bytes.length < from + length ? -1 : from + length;
}
