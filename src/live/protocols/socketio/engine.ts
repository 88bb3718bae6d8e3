import type { WebSocket } from "uWebSockets.js";
import { randomBytes } from "node:crypto";
import { EventEmitter } from "node:events";
import type { Server as SocketIo } from "socket.io";
import { scanJson } from "../../../core/json-text.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { MAX_JSON_DEPTH } from "../../../http/input.ts";
import type { CloseReason } from "../../connections.ts";
import { PENDING_LIMIT_MS } from "../../connections.ts";
import { isWorthCompressing } from "../../topic-broadcaster.ts";

/** As clients of Socket.IO have it by default. */
export const SOCKETIO_PATH = "/socket.io/";
/** What a client may send in one packet with its attachments; the handshake tells it. */
export const MAX_PACKET_BYTES = 65_536;
/** Between packets in the body of a poll. */
export const PACKET_SEPARATOR = "\x1e";
/** Engine.IO's packet types (github.com/socketio/engine.io-protocol), as they begin a packet. */
const OPEN = "0";
const CLOSE = "1";
const PING = "2";
const MESSAGE = "4";
const NOOP = "6";
const ATTACHMENT = "b";
const PROBE = "2probe";
const PROBE_ANSWER = "3probe";
const UPGRADE = "5";
/** A Socket.IO event, and the end of the main namespace, as Engine.IO messages. */
export const EVENT_PREFIX = `${MESSAGE}2`;
export const DISCONNECT = `${MESSAGE}1`;

const PING_EVERY_MS = 30_000;
/** For the client: without a ping in both times together it gives up. */
const PING_ANSWER_MS = 30_000;
const UPGRADE_LIMIT_MS = 10_000;
/**
 * How often a poll is answered while a WebSocket is tried out: the client ends its polls before it
 * goes over.
 */
const RELEASE_POLL_MS = 100;
/** What `WebSocket.send` returns for a message that it has sent. */
const SENT = 1;

/** Socket.IO, and how it learns of a session. */
export interface Engine {
  readonly io: SocketIo;
  begin(session: EngineSession): void;
}

/**
 * Socket.IO over our own engine, by `Server.bind`. The library is loaded here: a server whose
 * clients speak other protocols starts sooner without it, and is smaller.
 */
export async function openEngine(): Promise<Engine> {
  const { Server } = await import("socket.io");
  // The names of namespaces are the clients'.
  const io = new Server({ serveClient: false, connectTimeout: PENDING_LIMIT_MS, cleanupEmptyChildNamespaces: true });
  const engine = new EventEmitter();
  io.bind(engine);
  return { io, begin: (session) => engine.emit("connection", session) };
}

type CarrierSocket = WebSocket<unknown>;

interface EngineEvents {
  /** A Socket.IO packet, or an attachment of the one before. */
  data: [packet: string | Buffer];
  /** The client takes more. */
  drain: [];
  /** The session goes on over a WebSocket. */
  upgrade: [];
  /**
   * It ends while it polls: the packets that wait for a poll, which learns why by them; empty for
   * none.
   */
  unsent: [packets: string];
  close: [reason: string];
}

/**
 * One client's session of Engine.IO 4, as `Server.bind` asks for it: heartbeat, polls, and the
 * change from polls to a WebSocket. It is `open` until the client goes away, breaks the protocol or
 * {@link end} is called, then `closed`. Packets of streams are written to it past Socket.IO, which
 * would make objects of them.
 */
export class EngineSession extends EventEmitter<EngineEvents> {
  readonly id = randomBytes(15).toString("base64url");
  readonly protocol = 4;
  readonly remoteAddress: string;
  /** Without the credentials of the first request: it is kept for as long as the session. */
  readonly request = { url: SOCKETIO_PATH, headers: {}, connection: {}, _query: {} };
  /** Asked for volatile events only, of which there are none here. */
  readonly transport = { writable: true };
  readyState: "open" | "closed" = "open";
  /** The poll that waits for something to send. */
  poll: Exchange | null = null;
  /** A WebSocket that is to take the session over from polling. */
  probe: CarrierSocket | null = null;
  #ws: CarrierSocket | null;
  /** For the next poll. */
  #waiting: string[] = [];
  #waitingBytes = 0;
  #isCorked = false;
  #isDraining = false;
  /** To be called when the next poll has taken what waits. */
  #untaken: (() => void)[] = [];
  readonly #heartbeat: NodeJS.Timeout;
  #probeLimit: NodeJS.Timeout | undefined;
  #pollRelease: NodeJS.Timeout | undefined;

  /** @param ws null for a session that begins by polling */
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

  /** A packet of Socket.IO's own. */
  write(packet: string): this {
    this.send(MESSAGE + packet);
    return this;
  }

  /** @param packet of Engine.IO. @returns as WebSocket.send does */
  send(packet: string, isCompressed = isWorthCompressing(packet)): number {
    if (this.readyState === "closed") return SENT;
    if (this.#ws) return this.#ws.send(packet, false, isCompressed);
    this.#waiting.push(packet);
    this.#waitingBytes += packet.length;
    if (this.poll && !this.#isCorked) this.#answer(this.poll);
    return SENT;
  }

  /** Sends what is written within it together. */
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
   * Calls when everything sent so far is on its way: at once over a WebSocket, and never for what
   * no poll comes for.
   */
  whenTaken(taken: () => void): void {
    if (this.#ws || this.#waiting.length === 0) taken();
    else this.#untaken.push(taken);
  }

  /**
   * The client polls. A second poll beside one that waits is a mistake of its, and ends the
   * session.
   */
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

  /** A packet has come in that {@link PacketGate} has let pass. */
  receive(packet: string | Buffer): void {
    if (this.readyState === "closed") return;
    if (typeof packet !== "string") this.emit("data", packet);
    else if (packet.startsWith(MESSAGE)) this.emit("data", packet.slice(MESSAGE.length));
    else if (packet.startsWith(ATTACHMENT)) this.emit("data", Buffer.from(packet.slice(ATTACHMENT.length), "base64"));
    else if (packet.startsWith(CLOSE) && !this.#ws) this.#close("transport close", NOOP);
    // Pings are the server's. Of all others it matters only that they came.
    else if (packet.startsWith(CLOSE) || packet.startsWith(PING)) this.end();
  }

  /** The client tries a WebSocket out. */
  tryOut(ws: CarrierSocket): void {
    this.probe = ws;
    this.#probeLimit = setTimeout(() => ws.close(), UPGRADE_LIMIT_MS);
  }

  /** A packet has come in over the WebSocket that is tried out. */
  receiveProbe(packet: string | Buffer): void {
    const ws = this.probe;
    if (!ws) return;
    if (packet === PROBE) {
      ws.send(PROBE_ANSWER);
      this.#pollRelease ??= setInterval(() => this.poll && this.#answer(this.poll, NOOP), RELEASE_POLL_MS);
    } else if (packet === UPGRADE) this.#goOnOver(ws);
    else ws.close();
  }

  /** A WebSocket of the session is gone. */
  lost(ws: CarrierSocket): void {
    if (this.#ws === ws) {
      this.#ws = null;
      this.#close("transport close");
    } else if (this.probe === ws) this.#endProbe();
  }

  /** Ends the session at once, with what waits and these packets. @param code of the WebSocket */
  end(code = 1000, reason = "", packets: readonly string[] = []): void {
    if (this.readyState === "closed") return;
    const ws = this.#ws;
    if (ws) for (const packet of packets) ws.send(packet);
    else this.emit("unsent", [...this.#waiting, ...packets].join(PACKET_SEPARATOR));
    this.#close("forced close");
    ws?.end(code, reason);
  }

  /** What Socket.IO calls. */
  close(): void {
    this.end();
  }

  /** Cuts the session off. */
  drop(): void {
    if (this.#ws) this.#ws.close();
    else this.end();
  }

  #close(reason: string, answer = CLOSE): void {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    clearInterval(this.#heartbeat);
    const { poll, probe } = this;
    this.#endProbe();
    probe?.close();
    this.#waiting = [];
    this.#untaken = [];
    if (poll && !poll.isOver) this.#answer(poll, answer);
    this.poll = null;
    this.emit("close", reason);
  }

  #goOnOver(ws: CarrierSocket): void {
    this.#endProbe();
    if (this.poll) this.#answer(this.poll, NOOP);
    this.#ws = ws;
    const [waiting, untaken] = [this.#takeWaiting(), this.#untaken.splice(0)];
    for (const packet of waiting) ws.send(packet, false, isWorthCompressing(packet));
    for (const taken of untaken) taken();
    this.emit("upgrade");
    // What filled the next poll has room now.
    this.#drainSoon();
  }

  #endProbe(): void {
    this.probe = null;
    clearTimeout(this.#probeLimit);
    clearInterval(this.#pollRelease);
    this.#pollRelease = undefined;
  }

  /** @param alone a packet to answer with in place of what waits */
  #answer(poll: Exchange, alone?: string): void {
    this.poll = null;
    answerPoll(poll, alone ?? this.#takeWaiting().join(PACKET_SEPARATOR));
    if (alone !== undefined) return;
    for (const taken of this.#untaken.splice(0)) taken();
    this.#drainSoon();
  }

  #takeWaiting(): string[] {
    this.#waitingBytes = 0;
    return this.#waiting.splice(0);
  }

  /** Not while it is being written to. */
  #drainSoon(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    setImmediate(() => {
      this.#isDraining = false;
      if (this.readyState === "open") this.emit("drain");
    });
  }
}

/** @param packets empty for the end of the session */
export function answerPoll(poll: Exchange, packets: string): void {
  poll.onAbort = null;
  poll.send(200, packets || CLOSE, { "Content-Type": "text/plain; charset=UTF-8" });
}

const HAS_ATTACHMENTS = /^4[56]/;
/**
 * Engine.IO: close, ping (the probe of an upgrade), pong, upgrade, noop, attachment; Socket.IO in a
 * message: connect, disconnect, event, acknowledgement, and the last two with attachments. Names of
 * namespaces hold nothing that JSON is outlined by.
 */
const PACKET = /^(?:[12356]|b|4(?:[0-3]|[56]\d{1,2}-)(?:\/[^",[\]{}\\]*(?:,|$))?(?!\/))/;

/** Checks the packets of a session before the engine and Socket.IO's parser read them. */
export class PacketGate {
  /**
   * Of the last packet with attachments, as far as it has come. The parser keeps the parts until
   * the last one is there.
   */
  #keptBytes = 0;

  /** @returns why the session is to be ended, null for a packet that may pass. */
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
