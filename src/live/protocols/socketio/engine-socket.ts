import type { WebSocket } from "uWebSockets.js";
import { SEND_DROPPED } from "../../live-socket.ts";
import { isWorthCompressing } from "../../topic-broadcaster.ts";
import type { EngineQuery } from "./engine-http.ts";
import type { EngineTransport } from "./engine-types.ts";
import type { SocketIoSession } from "./socketio-session.ts";
import type { Visitor } from "./visitor.ts";

/** One WebSocket of a session, and what is known of it from its upgrade on. */
export class SocketIoSocket {
  readonly query: EngineQuery;
  /** Who opens a session with it; null when it is to carry one that began by polling. */
  readonly visitor: Visitor | null;
  session: SocketIoSession | null;
  /** Engine.io's part, once it has taken the socket. */
  transport: EngineTransport | null = null;
  /** Null before it is open, and once it is closed: the library's object must not be touched then. */
  ws: WebSocket<SocketIoSocket> | null = null;

  constructor(query: EngineQuery, visitor: Visitor | null, session: SocketIoSession | null) {
    this.query = query;
    this.visitor = visitor;
    this.session = session;
  }
}

/**
 * A WebSocket as engine.io holds it. Its transport neither asks whether the socket takes more nor whether it is still there, and would have rooms of
 * Socket.IO as topics of uWebSockets beside ours.
 */
export class EngineSocket {
  readonly #socket: SocketIoSocket;

  constructor(socket: SocketIoSocket) {
    this.#socket = socket;
  }

  getUserData(): { readonly transport: EngineTransport | null } {
    return this.#socket;
  }

  send(data: string): void {
    const { ws, session } = this.#socket;
    if (ws?.send(data, false, isWorthCompressing(data)) === SEND_DROPPED) session?.live.dropped();
  }

  end(): void {
    const { ws, session } = this.#socket;
    const { code, reason } = session?.carrier.closing ?? NORMAL;
    ws?.end(code, reason);
  }

  subscribe(): void {}

  unsubscribe(): void {}
}

const NORMAL = { code: 1000, reason: "" };

/** The answer to an upgrade that has been given already, as engine.io gives it afterwards: it takes the socket, or will not have it. */
export class EngineUpgradeReply {
  readonly #socket: SocketIoSocket;
  readonly #address: string;
  readonly #taken: () => void;

  constructor(socket: SocketIoSocket, address: string, taken: () => void) {
    this.#socket = socket;
    this.#address = address;
    this.#taken = taken;
  }

  getRemoteAddressAsText(): Buffer {
    return Buffer.from(this.#address);
  }

  onAborted(): void {}

  writeStatus(): this {
    return this;
  }

  writeHeader(): this {
    return this;
  }

  upgrade({ transport }: { readonly transport: EngineTransport }): void {
    this.#socket.transport = transport;
    // The client went away while engine.io made its mind up.
    if (this.#socket.ws) this.#taken();
    else transport.onClose();
  }

  end(): void {
    this.close();
  }

  close(): void {
    this.#socket.ws?.close();
  }
}
