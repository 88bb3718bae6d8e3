import type { WebSocket } from "uWebSockets.js";
import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import type { Server as SocketIo } from "socket.io";
import { scanJson } from "../../../core/text/json-text.ts";
import { MAX_JSON_DEPTH } from "../../../http/body/input.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { CloseReason } from "../../connections.ts";
import { PENDING_LIMIT_MS } from "../../connections.ts";
import { isWorthCompressing } from "../../topic-broadcaster.ts";

/** The default path of Socket.IO clients. */
export const SOCKETIO_PATH = "/socket.io/";
/** Limit for one packet of a client with its attachments, announced in the handshake. */
export const MAX_PACKET_BYTES = 65_536;
/** Separates packets in the body of a poll. */
export const PACKET_SEPARATOR = "\x1e";
/**
 * Engine.IO's packet types (github.com/socketio/engine.io-protocol), the first character of a
 * packet.
 */
const OPEN = "0";
const CLOSE = "1";
const PING = "2";
const MESSAGE = "4";
const NOOP = "6";
const ATTACHMENT = "b";
const PROBE = "2probe";
const PROBE_ANSWER = "3probe";
const UPGRADE = "5";
/** A Socket.IO event, and the disconnect from the main namespace, as Engine.IO messages. */
export const EVENT_PREFIX = `${MESSAGE}2`;
export const DISCONNECT = `${MESSAGE}1`;

const PING_EVERY_MS = 30_000;
/** The client disconnects when no ping arrives in both intervals together. */
const PING_ANSWER_MS = 30_000;
const UPGRADE_LIMIT_MS = 10_000;
/** How often polls are answered during a probe: the client switches once its polls have ended. */
const RELEASE_POLL_MS = 100;
/** Result of `WebSocket.send` for a sent message. */
const SENT = 1;

/** Socket.IO, and how sessions are passed to it. */
export interface Engine {
  readonly io: SocketIo;
  start(session: EngineSession): void;
}

/**
 * Socket.IO over our own engine, by `Server.bind`. The library is loaded here, so that servers
 * without such clients start faster and use less memory.
 */
export async function openEngine(): Promise<Engine> {
  const { Server } = await import("socket.io");
  // Clients choose the names of namespaces.
  const io = new Server({ serveClient: false, connectTimeout: PENDING_LIMIT_MS, cleanupEmptyChildNamespaces: true });
  const engine = new EventEmitter();
  io.bind(engine);
  return { io, start: (session) => engine.emit("connection", session) };
}

type CarrierSocket = WebSocket<unknown>;

interface EngineEvents {
  /** A Socket.IO packet, or an attachment of the previous one. */
  data: [packet: string | Buffer];
  /** The client can take more. */
  drain: [];
  /** The session continues over a WebSocket. */
  upgrade: [];
  /**
   * The session ends while it polls: the unsent packets, which contain the reason; empty for none.
   */
  unsent: [packets: string];
  close: [reason: string];
}

/**
 * One client's session of Engine.IO 4, as `Server.bind` requires it: heartbeat, polls, and the
 * upgrade from polls to a WebSocket. It is `open` until the client leaves, violates the protocol or
 * {@link end} is called, then `closed`. Packets of streams bypass Socket.IO, which would build
 * objects of them.
 */
export class EngineSession extends EventEmitter<EngineEvents> {
  readonly id = randomBytes(15).toString("base64url");
  readonly protocol = 4;
  readonly remoteAddress: string;
  /** Without the credentials of the first request, because the session keeps it. */
  readonly request = { url: SOCKETIO_PATH, headers: {}, connection: {}, _query: {} };
  /** Used by Socket.IO for volatile events only, which we do not send. */
  readonly transport = { writable: true };
  readyState: "open" | "closed" = "open";
  /** The pending poll. */
  poll: Exchange | null = null;
  /** A WebSocket that probes the upgrade from polling. */
  probe: CarrierSocket | null = null;
  #ws: CarrierSocket | null;
  /** Packets for the next poll. */
  #waiting: string[] = [];
  #waitingBytes = 0;
  #isCorked = false;
  #isDraining = false;
  /** Callbacks for when the next poll has taken the waiting packets. */
  #unsent: (() => void)[] = [];
  readonly #heartbeat: NodeJS.Timeout;
  #probeLimit: NodeJS.Timeout | undefined;
  #pollRelease: NodeJS.Timeout | undefined;
  /** How to end the WebSocket of a client that was switching to it when the session ended. */
  #farewell: ((ws: CarrierSocket) => void) | null = null;

  /** @param ws null for a session that starts by polling */
  constructor(remoteAddress: string, ws: CarrierSocket | null) {
    super();
    this.remoteAddress = remoteAddress;
    this.#ws = ws;
    this.send(OPEN + this.#handshake());
    this.#heartbeat = setInterval(() => this.send(PING), PING_EVERY_MS).unref();
  }

  #handshake(): string {
    return JSON.stringify({
      sid: this.id,
      upgrades: this.#ws ? [] : ["websocket"],
      pingInterval: PING_EVERY_MS,
      pingTimeout: PING_ANSWER_MS,
      maxPayload: MAX_PACKET_BYTES,
    });
  }

  get ws(): CarrierSocket | null {
    return this.#ws;
  }

  get bufferedBytes(): number {
    return this.#ws ? this.#ws.getBufferedAmount() : this.#waitingBytes;
  }

  /** Sends a packet of Socket.IO itself. */
  write(packet: string): this {
    this.send(MESSAGE + packet);
    return this;
  }

  /** @param packet of Engine.IO. @returns as `WebSocket.send` */
  send(packet: string, isCompressed = isWorthCompressing(packet)): number {
    if (this.readyState === "closed") return SENT;
    if (this.#ws) return this.#ws.send(packet, false, isCompressed);
    this.#waiting.push(packet);
    this.#waitingBytes += packet.length;
    if (this.poll && !this.#isCorked) this.#answer(this.poll);
    return SENT;
  }

  /** Sends all packets of `write` together. */
  cork(write: () => void): void {
    if (this.#ws) {
      this.#ws.cork(write);
      return;
    }
    this.#isCorked = true;
    write();
    this.#isCorked = false;
    if (this.poll && this.#waiting.length > 0) this.#answer(this.poll);
  }

  /**
   * Calls back when everything sent so far is on its way: at once over a WebSocket, never when no
   * poll fetches it.
   */
  whenSent(sent: () => void): void {
    if (this.#ws || this.#waiting.length === 0) sent();
    else this.#unsent.push(sent);
  }

  /** The client polls. A second concurrent poll is an error and ends the session. */
  takePoll(poll: Exchange): void {
    if (this.poll) {
      this.end();
      poll.send(500, "");
      return;
    }
    this.poll = poll;
    poll.onAbort = () => this.#close("transport error");
    if (this.#waiting.length > 0) this.#answer(poll);
  }

  /** Handles a packet that {@link PacketGate} has admitted. */
  receive(packet: string | Buffer): void {
    if (this.readyState === "closed") return;
    if (typeof packet !== "string") this.emit("data", packet);
    else if (packet.startsWith(MESSAGE)) this.emit("data", packet.slice(MESSAGE.length));
    else if (packet.startsWith(ATTACHMENT)) this.emit("data", Buffer.from(packet.slice(ATTACHMENT.length), "base64"));
    else if (packet.startsWith(CLOSE) && !this.#ws) this.#close("transport close", NOOP);
    // Only the server sends pings. Other packets need no handling.
    else if (packet.startsWith(CLOSE) || packet.startsWith(PING)) this.end();
  }

  /** Starts the probe of a WebSocket. */
  startProbe(ws: CarrierSocket): void {
    this.probe = ws;
    this.#probeLimit = setTimeout(() => ws.close(), UPGRADE_LIMIT_MS);
  }

  /** Handles a packet of the probing WebSocket. */
  receiveProbe(packet: string | Buffer): void {
    const ws = this.probe;
    if (!ws) return;
    if (packet === PROBE) {
      ws.send(PROBE_ANSWER);
      this.#pollRelease ??= setInterval(() => this.poll && this.#answer(this.poll, NOOP), RELEASE_POLL_MS);
    } else if (packet === UPGRADE && this.#farewell) this.#farewell(ws);
    else if (packet === UPGRADE) this.#switchTo(ws);
    else ws.close();
  }

  /** A WebSocket of the session is closed. */
  socketClosed(ws: CarrierSocket): void {
    if (this.#ws === ws) {
      this.#ws = null;
      this.#close("transport close");
    } else if (this.probe === ws) this.#endProbe();
  }

  /** Ends the session at once, after the waiting packets and these. @param code of the WebSocket */
  end(code = 1000, reason = "", packets: readonly string[] = []): void {
    if (this.readyState === "closed") return;
    const ws = this.#ws;
    const last = ws ? packets : [...this.#waiting, ...packets];
    const leave = (carrier: CarrierSocket): void => {
      for (const packet of last) carrier.send(packet);
      carrier.end(code, reason);
    };
    if (!ws) this.emit("unsent", last.join(PACKET_SEPARATOR));
    // The client polls no more. If its new WebSocket closed now, it would wait for a ping.
    if (this.#pollRelease) this.#farewell = leave;
    this.#close("forced close");
    if (ws) leave(ws);
  }

  /** Called by Socket.IO. */
  close(): void {
    this.end();
  }

  /** Ends the session without a close frame. */
  drop(): void {
    if (this.#ws) this.#ws.close();
    else this.end();
  }

  #close(reason: string, answer = CLOSE): void {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    clearInterval(this.#heartbeat);
    const { poll, probe } = this;
    clearInterval(this.#pollRelease);
    if (!this.#farewell) {
      this.#endProbe();
      probe?.close();
    }
    this.#waiting = [];
    this.#unsent = [];
    if (poll && !poll.isOver) this.#answer(poll, answer);
    this.poll = null;
    this.emit("close", reason);
  }

  #switchTo(ws: CarrierSocket): void {
    this.#endProbe();
    if (this.poll) this.#answer(this.poll, NOOP);
    this.#ws = ws;
    const [waiting, unsent] = [this.#takeWaiting(), this.#unsent.splice(0)];
    for (const packet of waiting) ws.send(packet, false, isWorthCompressing(packet));
    for (const sent of unsent) sent();
    this.emit("upgrade");
    // There is room again for what filled the next poll.
    this.#drainSoon();
  }

  #endProbe(): void {
    this.probe = null;
    clearTimeout(this.#probeLimit);
    clearInterval(this.#pollRelease);
    this.#pollRelease = undefined;
  }

  /** @param alone a packet to answer with in place of the waiting ones */
  #answer(poll: Exchange, alone?: string): void {
    this.poll = null;
    answerPoll(poll, alone ?? this.#takeWaiting().join(PACKET_SEPARATOR));
    if (alone !== undefined) return;
    for (const sent of this.#unsent.splice(0)) sent();
    this.#drainSoon();
  }

  #takeWaiting(): string[] {
    this.#waitingBytes = 0;
    return this.#waiting.splice(0);
  }

  /** In a later turn, because the session may be written to now. */
  #drainSoon(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    setImmediate(() => {
      this.#isDraining = false;
      if (this.readyState === "open") this.emit("drain");
    });
  }
}

/** @param packets empty: the session has ended */
export function answerPoll(poll: Exchange, packets: string): void {
  poll.onAbort = null;
  poll.send(200, packets || CLOSE, { "Content-Type": "text/plain; charset=UTF-8" });
}

const HAS_ATTACHMENTS = /^4[56]/;
/**
 * Engine.IO: close, ping (the probe of an upgrade), pong, upgrade, noop, attachment; Socket.IO in a
 * message: connect, disconnect, event, acknowledgement, and the last two with attachments.
 * Namespace names contain no JSON delimiters.
 */
const PACKET = /^(?:[12356]|b|4(?:[0-3]|[56]\d{1,2}-)(?:\/[^",[\]{}\\]*(?:,|$))?(?!\/))/;

/** Checks the packets of a session before the engine and Socket.IO's parser read them. */
export class PacketGate {
  /**
   * Bytes of the last packet with attachments. The parser keeps its parts until the last one
   * arrives.
   */
  #keptBytes = 0;

  /** @returns why the session must be closed; null when the packet may pass */
  reasonAgainst(packet: string | Buffer, bytes: number, limitBytes: number): CloseReason | null {
    const isText = typeof packet === "string";
    if (isText && !PACKET.test(packet)) return bytes > limitBytes ? "tooBig" : "malformed";
    const isAttachment = !isText || packet.startsWith(ATTACHMENT);
    if (isAttachment) this.#keptBytes += bytes;
    else if (HAS_ATTACHMENTS.test(packet)) this.#keptBytes = bytes;
    if ((isAttachment ? this.#keptBytes : bytes) > limitBytes) return "tooBig";
    if (isAttachment) return null;
    return scanJson(packet, MAX_JSON_DEPTH).depth > MAX_JSON_DEPTH ? "malformed" : null;
  }
}
