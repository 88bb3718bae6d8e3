import type { RecognizedString, WebSocket } from "uWebSockets.js";
import type { Channel } from "../live-socket.ts";
import type { SocketIoSocket } from "./engine-socket.ts";
import { DISCONNECT, ENGINE_MESSAGE, type EngineSession, PACKET_SEPARATOR } from "./engine-types.ts";
import { isFinal } from "./socketio-message.ts";
import type { SocketIoTopics } from "./socketio-topics.ts";

const NO_SOCKET_YET = 1;

/**
 * What a live connection writes to: the session's WebSocket once it has one, else engine.io's buffer, which the next poll takes. Packets of a stream go
 * to the WebSocket itself, past engine.io, which would make objects of them; its own buffer is empty then, so nothing is overtaken.
 */
export class SessionChannel implements Channel {
  readonly #conn: EngineSession;
  readonly #topics: SocketIoTopics;
  readonly #followed = new Set<string>();
  #ws: WebSocket<SocketIoSocket> | null;
  /** Bytes that the next poll will take. */
  #waitingBytes = 0;
  /** To be called when the next poll has taken what waits. */
  #untaken: (() => void)[] = [];
  /** Said at the end, to be given along with it; null before. */
  #lastWords: string[] | null = null;
  /** The client is in the main namespace: it understands events. */
  isJoined = false;
  /** How the WebSocket is to be closed. */
  closing: { readonly code: number; readonly reason: string } | null = null;
  /** The client is told why, by the poll that waits or the next one. */
  onFarewell: (packets: string) => void = () => undefined;

  constructor(conn: EngineSession, ws: WebSocket<SocketIoSocket> | null, topics: SocketIoTopics) {
    this.#conn = conn;
    this.#ws = ws;
    this.#topics = topics;
    conn.on("packetCreate", ({ data }) => {
      if (!this.#ws && typeof data === "string") this.#waitingBytes += data.length;
    });
    conn.on("drain", () => {
      this.#waitingBytes = 0;
      const taken = this.#untaken;
      if (taken.length === 0) return;
      this.#untaken = [];
      for (const told of taken) told();
    });
  }

  get ws(): WebSocket<SocketIoSocket> | null {
    return this.#ws;
  }

  /** From now on everything goes over this WebSocket; engine.io writes what waits before anything else does. */
  switchTo(ws: WebSocket<SocketIoSocket>): void {
    this.#ws = ws;
    this.#waitingBytes = 0;
    for (const topic of this.#followed) {
      this.#topics.leave(topic, this);
      ws.subscribe(topic);
    }
  }

  send(message: RecognizedString, isBinary = false, isCompressed = false): number {
    const text = message as string;
    // Before it has joined the client would take an event for a mistake.
    if (!this.isJoined) return NO_SOCKET_YET;
    if (this.#ws) return this.#ws.send(text, isBinary, isCompressed);
    if (this.#lastWords) this.#lastWords.push(text);
    else this.#conn.write(text.slice(ENGINE_MESSAGE.length));
    return NO_SOCKET_YET;
  }

  /** Calls when everything sent so far is on its way: at once over a WebSocket, and never for what no poll comes for. */
  whenTaken(told: () => void): void {
    if (this.#ws || this.#waitingBytes === 0) told();
    else this.#untaken.push(told);
  }

  getBufferedAmount(): number {
    return this.#ws ? this.#ws.getBufferedAmount() : this.#waitingBytes;
  }

  /** The session ends at once, with what waits, what was said in the same {@link cork}, and whether to come back. */
  end(code = 1000, reason: RecognizedString = ""): void {
    const parting = this.isJoined && isFinal(String(reason)) ? [DISCONNECT] : [];
    this.closing = { code, reason: String(reason) };
    if (this.#ws) for (const packet of parting) this.#ws.send(packet);
    else {
      const waiting = this.#conn.writeBuffer.flatMap(({ type, data }) =>
        type === "message" && typeof data === "string" ? [ENGINE_MESSAGE + data] : [],
      );
      this.onFarewell([...waiting, ...(this.#lastWords ?? []), ...parting].join(PACKET_SEPARATOR));
    }
    this.#conn.close(true);
  }

  close(): void {
    if (this.#ws) this.#ws.close();
    else this.#conn.close(true);
  }

  cork(write: () => void): WebSocket<unknown> {
    if (this.#ws) this.#ws.cork(write);
    else {
      this.#lastWords = [];
      write();
    }
    return this as unknown as WebSocket<unknown>;
  }

  /** Engine.IO has pings of its own, which the client waits for. */
  ping(): number {
    return NO_SOCKET_YET;
  }

  subscribe(topic: RecognizedString): boolean {
    const name = String(topic);
    this.#followed.add(name);
    if (this.#ws) this.#ws.subscribe(name);
    else this.#topics.join(name, this);
    return true;
  }

  unsubscribe(topic: RecognizedString): boolean {
    const name = String(topic);
    this.#followed.delete(name);
    if (this.#ws) this.#ws.unsubscribe(name);
    else this.#topics.leave(name, this);
    return true;
  }

  /** No entry names one of these connections as where it came from. */
  publish(): boolean {
    return false;
  }

  /** The session is gone; of a WebSocket the library forgets by itself what it followed. */
  closed(): void {
    for (const topic of this.#followed) this.#topics.leave(topic, this);
    this.#followed.clear();
    this.#untaken = [];
  }
}
