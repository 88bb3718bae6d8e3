import type { TemplatedApp, WebSocket } from "uWebSockets.js";
import type { Principal, UserPrincipal } from "../../../core/caller.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { type Entrance, serveFaceSocket } from "../../../http/server/live-settings.ts";
import { uWS } from "../../../http/server/uws.ts";
import type { Connection } from "../../../live/connections.ts";
import { SEND_DROPPED } from "../../../live/live-socket.ts";
import { type UpgradeParts, upgrade } from "../../../live/protocols/upgrade.ts";
import type { Uses } from "../../../module/feature.ts";
import type { NotifiedRecipient } from "../../../store/effect.ts";
import type { GotifyAuth, UserVisitor } from "./auth.ts";
import type { Messages } from "./messages.ts";

const PING_EVERY_MS = 45_000;
const PONG_LIMIT_MS = 60_000;
/** Clients send nothing but pings and pongs. */
const MAX_PAYLOAD_BYTES = 512;
/** A client that does not read is closed; it fetches the rest by its list. */
const MAX_WAITING_BYTES = 4_194_304;
/** In seconds; only if the pings fail. */
const IDLE_TIMEOUT_S = 240;

export interface StreamsParts
  extends Omit<UpgradeParts, "connections" | "isOfFace" | "check">,
    Uses<"connections" | "clock"> {
  readonly auth: GotifyAuth;
  readonly messages: Messages;
  /** Whether nothing leaves the project: its messages are in the list only. */
  isMirror(projectId: string | null): boolean;
  /** The message has reached the user. */
  markDelivered(userId: string, offset: number): void;
}

interface SocketData {
  readonly visitor: UserVisitor;
  readonly address: string;
  stream: GotifyStream | null;
}

/**
 * The streams of Gotify's clients. A client crashes on anything but a message, and is deaf for
 * minutes after a Close frame: only messages and pings are sent, and a stream ends by its
 * connection.
 */
export class GotifyStreams {
  readonly #parts: StreamsParts;
  readonly #byUser = new Map<string, Set<GotifyStream>>();

  constructor(parts: StreamsParts) {
    this.#parts = parts;
  }

  mount(app: TemplatedApp, entrance: Entrance): void {
    const { kernel, auth } = this.#parts;
    const parts = { ...this.#parts, entrance, isOfFace: true, check: auth.check } as const;
    serveFaceSocket<SocketData>(
      app,
      (req) => kernel.faceOf(req, entrance),
      { prefix: "/gotify", path: "/stream" },
      {
        maxPayloadLength: MAX_PAYLOAD_BYTES,
        maxBackpressure: MAX_WAITING_BYTES,
        idleTimeout: IDLE_TIMEOUT_S,
        sendPingsAutomatically: false,
        compression: uWS.DISABLED,
        upgrade: (res, req, context) => {
          const authenticate = (_kernel: unknown, exchange: Exchange): UserPrincipal => {
            const { principal } = auth.socketVisitor(exchange);
            exchange.principal = principal;
            return principal;
          };
          upgrade<SocketData, UserPrincipal>(parts, res, req, context, authenticate, (exchange, { address }) => ({
            visitor: auth.socketVisitor(exchange),
            address,
            stream: null,
          }));
        },
        open: (ws) => this.#opened(ws),
        pong: (ws) => ws.getUserData().stream?.pongReceived(),
        close: (ws) => this.#closed(ws),
      },
    );
  }

  #opened(ws: WebSocket<SocketData>): void {
    const data = ws.getUserData();
    const { visitor, address } = data;
    const stream = new GotifyStream(ws, visitor, address, this.#parts);
    data.stream = stream;
    const { userId } = visitor.principal;
    const others = this.#byUser.get(userId);
    if (others) others.add(stream);
    else this.#byUser.set(userId, new Set([stream]));
    this.#parts.connections.add(stream);
  }

  #closed(ws: WebSocket<SocketData>): void {
    const { stream, visitor } = ws.getUserData();
    if (!stream) return;
    stream.closed();
    this.#parts.connections.delete(stream);
    const all = this.#byUser.get(visitor.principal.userId);
    if (all?.delete(stream) && all.size === 0) this.#byUser.delete(visitor.principal.userId);
  }

  /** A commit has stored notifications. */
  readonly notified = (notified: readonly NotifiedRecipient[]): void => {
    if (this.#byUser.size === 0) return;
    for (const { recipient, notification } of notified) {
      if (this.#parts.isMirror(notification.projectId)) continue;
      const streams = this.#byUser.get(recipient.userId);
      const message = streams && this.#parts.messages.find(recipient.userId, recipient.seq);
      if (!streams || !message) continue;
      const text = JSON.stringify(message);
      for (const stream of [...streams]) stream.send(text, recipient.seq);
    }
  };

  /** A client was deleted. */
  clientDeleted(userId: string): void {
    for (const stream of [...(this.#byUser.get(userId) ?? [])]) stream.recheck();
  }
}

type StreamParts = Pick<StreamsParts, "auth" | "clock" | "markDelivered">;

class GotifyStream implements Connection {
  readonly transport = "gotify";
  /** A phone holds its stream all day: its user is not present for that. */
  readonly isObserver = true;
  readonly address: string;
  principal: Principal;
  readonly #ws: WebSocket<SocketData>;
  readonly #visitor: UserVisitor;
  readonly #parts: StreamParts;
  #isOpen = true;
  #pingedAt: number;
  #isPongDue = false;
  /** Offsets sent since the last ping, and before it. */
  #sent: number[] = [];
  #pinged: number[] = [];

  constructor(ws: WebSocket<SocketData>, visitor: UserVisitor, address: string, parts: StreamParts) {
    this.#ws = ws;
    this.#visitor = visitor;
    this.address = address;
    this.principal = visitor.principal;
    this.#parts = parts;
    this.#pingedAt = parts.clock.elapsed();
  }

  send(text: string, offset: number): void {
    if (!this.#isOpen) return;
    this.#sent.push(offset);
    if (this.#ws.send(text) === SEND_DROPPED) this.#cut();
  }

  /** A client answers a ping after it has read all that was sent before. */
  pongReceived(): void {
    if (!this.#isPongDue) return;
    this.#isPongDue = false;
    const userId = this.#visitor.principal.userId;
    for (const offset of this.#pinged.splice(0)) this.#parts.markDelivered(userId, offset);
  }

  tick(now: EpochMs): void {
    const sinceMs = this.#parts.clock.elapsed() - this.#pingedAt;
    if (this.principal.expiresAt <= now || (this.#isPongDue && sinceMs >= PONG_LIMIT_MS)) this.#cut();
    else if (!this.#isPongDue && sinceMs >= PING_EVERY_MS) this.#ping();
  }

  #ping(): void {
    // A new password is not a change of rights.
    this.recheck();
    if (!this.#isOpen) return;
    this.#pingedAt = this.#parts.clock.elapsed();
    this.#isPongDue = true;
    this.#pinged.push(...this.#sent.splice(0));
    this.#ws.ping();
  }

  /** @param principal null: the account has ended. */
  rightsChanged(principal: Principal | null): void {
    if (!principal) return this.#cut();
    this.principal = principal;
    this.recheck();
  }

  recheck(): void {
    if (!this.#parts.auth.isCurrent(this.#visitor)) this.#cut();
  }

  restart(): void {
    this.#cut();
  }

  closed(): void {
    this.#isOpen = false;
  }

  /** Without a Close frame. */
  #cut(): void {
    if (this.#isOpen) this.#ws.close();
  }
}
