import type { WebSocket } from "uWebSockets.js";
import type { CloseReason } from "../../close-codes.ts";
import type { SocketIoSocket } from "./engine-socket.ts";
import { DISCONNECT, ENGINE_MESSAGE, type EngineSession, PACKET_SEPARATOR } from "./engine-types.ts";
import { closingOf, inNamespace, isFinal } from "./socketio-message.ts";

/** What a write returns that has not gone to a WebSocket; uWebSockets returns the same for a message that it has sent. */
export const NOT_DROPPED = 1;

/**
 * What all namespaces of a session write to: the session's WebSocket once it has one, else engine.io's buffer, which the next poll takes. Packets go to
 * the WebSocket itself, past engine.io, which would make objects of them; its own buffer is empty then, so nothing is overtaken.
 */
export class SessionCarrier {
  /** Namespaces that the client has joined: it understands events of these only. */
  readonly namespaces = new Set<string>();
  readonly #conn: EngineSession;
  #ws: WebSocket<SocketIoSocket> | null;
  /** Bytes that the next poll will take. */
  #waitingBytes = 0;
  /** To be called when the next poll has taken what waits. */
  #untaken: (() => void)[] = [];
  /** Said at the end, to be given along with it; null before. */
  #lastWords: string[] | null = null;
  /** How the WebSocket is to be closed. */
  closing: { readonly code: number; readonly reason: string } | null = null;
  /** The client is told why, by the poll that waits or the next one. */
  onFarewell: (packets: string) => void = () => undefined;

  constructor(conn: EngineSession, ws: WebSocket<SocketIoSocket> | null) {
    this.#conn = conn;
    this.#ws = ws;
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

  get bufferedBytes(): number {
    return this.#ws ? this.#ws.getBufferedAmount() : this.#waitingBytes;
  }

  /** From now on everything goes over this WebSocket; engine.io writes what waits before anything else does. */
  switchTo(ws: WebSocket<SocketIoSocket>): void {
    this.#ws = ws;
    this.#waitingBytes = 0;
  }

  /** @param packet an Engine.IO message. @returns as WebSocket.send does. */
  write(packet: string, isCompressed = false): number {
    if (this.#ws) return this.#ws.send(packet, false, isCompressed);
    if (this.#lastWords) this.#lastWords.push(packet);
    else this.#conn.write(packet.slice(ENGINE_MESSAGE.length));
    return NOT_DROPPED;
  }

  /** Calls when everything sent so far is on its way: at once over a WebSocket, and never for what no poll comes for. */
  whenTaken(told: () => void): void {
    if (this.#ws || this.#waitingBytes === 0) told();
    else this.#untaken.push(told);
  }

  cork(write: () => void): void {
    if (this.#ws) this.#ws.cork(write);
    else {
      this.#lastWords = [];
      write();
    }
  }

  /**
   * The session ends at once, with what waits and what was said in the same {@link cork}. Every namespace learns why, and whether to come back.
   * @param told the namespace that has been told why already.
   */
  end(code: number, reason: string, told: string | null): void {
    const parting = this.#parting(reason, told);
    this.closing = { code, reason };
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

  /** The session is gone. */
  closed(): void {
    this.#untaken = [];
  }

  #parting(reason: string, told: string | null): string[] {
    const { text } = closingOf(reason as CloseReason);
    const names = [...this.namespaces];
    return [
      ...names.filter((name) => name !== told).map((name) => inNamespace(name, text)),
      ...(isFinal(reason) ? names.map((name) => inNamespace(name, DISCONNECT)) : []),
    ];
  }
}
