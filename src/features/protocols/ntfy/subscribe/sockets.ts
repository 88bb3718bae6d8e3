import type { HttpRequest, HttpResponse, TemplatedApp, us_socket_context_t, WebSocket } from "uWebSockets.js";
import type { Exchange } from "../../../../http/server/exchange.ts";
import { type Entrance, serveFaceSocket } from "../../../../http/server/live-settings.ts";
import { uWS } from "../../../../http/server/uws.ts";
import { requireUpgrade } from "../../../../live/protocols/upgrade.ts";
import { type Follower, MAX_BUFFERED_BYTES, TopicBroadcaster } from "../../../../live/topic-broadcaster.ts";
import type { Uses } from "../../../../module/feature.ts";
import { NtfyError } from "../errors.ts";
import type { Visitor } from "../topics.ts";
import { type Leg, type Request, Subscriber, type SubscriberParts } from "./subscriber.ts";

/** Clients send nothing but pongs. */
const MAX_CLIENT_BYTES = 64;
/** Seconds without a frame of the client; eight seconds before, the library sends a ping. */
const IDLE_TIMEOUT_S = 56;
/** Above this the library drops frames, and we the connection. */
const MAX_BACKPRESSURE_BYTES = 1_048_576;
const STUCK_LIMIT_MS = 30_000;
const SEND_DROPPED = 2;

export interface NtfySocketParts extends SubscriberParts, Uses<"kernel" | "router"> {
  readonly compression: boolean;
  /** @throws NtfyError 40101 */
  visitor(exchange: Exchange): Visitor | Promise<Visitor>;
  /** @throws NtfyError 40009, 40301, …; RATE_LIMITED */
  requestOf(exchange: Exchange, visitor: Visitor, address: string): Request;
}

interface SocketData {
  readonly request: Request;
  subscriber: SocketSubscriber | null;
}

/** Puts `/<topics>/ws` on an app: below `/ntfy`, and at the root of ntfy's hosts and port. */
export function serveSockets(parts: NtfySocketParts, app: TemplatedApp, entrance: Entrance): void {
  const broadcaster = new TopicBroadcaster(app, parts.hub, "ntfy", (_stream, entry) => entry.data);
  const faceOf = (req: HttpRequest): string => parts.kernel.faceOf(req, entrance);
  serveFaceSocket<SocketData>(
    app,
    faceOf,
    { prefix: "/ntfy", path: "/:topics/ws" },
    {
      maxPayloadLength: MAX_CLIENT_BYTES,
      maxBackpressure: MAX_BACKPRESSURE_BYTES,
      idleTimeout: IDLE_TIMEOUT_S,
      sendPingsAutomatically: true,
      compression: parts.compression ? uWS.SHARED_COMPRESSOR : uWS.DISABLED,
      upgrade: (res, req, context) => upgrade(parts, res, req, context, entrance),
      open(ws) {
        const data = ws.getUserData();
        data.subscriber = new SocketSubscriber(parts, ws as WebSocket<unknown>, broadcaster, data.request);
        data.subscriber.start();
      },
      drain: (ws) => ws.getUserData().subscriber?.drained(),
      // Closing inside this call would corrupt the library's memory.
      dropped: (ws) => void setImmediate(() => ws.getUserData().subscriber?.cut()),
      close: (ws) => ws.getUserData().subscriber?.closed(),
    },
  );
}

/** Everything is checked first, so that a refusal is an HTTP status; a password takes a while. */
function upgrade(
  parts: NtfySocketParts,
  res: HttpResponse,
  req: HttpRequest,
  context: us_socket_context_t,
  entrance: Entrance,
): void {
  const { kernel } = parts;
  const exchange = kernel.open(res, req, entrance);
  const refuse = (error: unknown): void => {
    if (error instanceof NtfyError) exchange.send(error.status, "");
    else kernel.fail(exchange, error);
  };
  const address = exchange.clientAddress;
  const dataFor = (visitor: Visitor): SocketData => {
    exchange.principal = visitor.principal;
    const request = parts.requestOf(exchange, visitor, address);
    parts.connections.requireRoom(visitor.principal, address);
    return { request, subscriber: null };
  };
  try {
    requireUpgrade(parts, exchange);
    const visitor = parts.visitor(exchange);
    if (visitor instanceof Promise)
      visitor.then((known) => exchange.isOver || exchange.upgradeLater(dataFor(known), "", context)).catch(refuse);
    else exchange.upgrade(dataFor(visitor), "", context);
  } catch (error) {
    refuse(error);
  }
  kernel.leave(exchange);
}

/** A subscription by WebSocket. Broadcasts reach those who follow whole topics of messages. */
class SocketSubscriber extends Subscriber implements Follower {
  readonly id = null;
  readonly #ws: WebSocket<unknown>;
  readonly #broadcaster: TopicBroadcaster;
  #blockedSince: number | null = null;

  constructor(parts: SubscriberParts, ws: WebSocket<unknown>, broadcaster: TopicBroadcaster, request: Request) {
    super(parts, request);
    this.#ws = ws;
    this.#broadcaster = broadcaster;
  }

  cut(): void {
    if (!this.isOpen) return;
    if (this.#blockedSince !== null) this.parts.connections.noteSlow();
    this.#ws.close();
  }

  closed(): void {
    this.ended();
  }

  drained(): void {
    this.#blockedSince = null;
    this.resume();
  }

  detachIfSlow(): void {
    if (!this.#hasRoom()) this.detach();
  }

  publish(topic: string, message: Uint8Array, isCompressed: boolean): void {
    this.#ws.publish(topic, message, false, isCompressed);
  }

  protected finish(): void {
    this.#ws.close();
  }

  protected isReady(): boolean {
    return this.#hasRoom();
  }

  protected ticked(): void {
    if (this.#blockedSince === null) return;
    if (this.parts.clock.elapsed() - this.#blockedSince >= STUCK_LIMIT_MS) this.cut();
  }

  protected write(text: string): boolean {
    return this.isOpen && this.#ws.send(text, false, false) !== SEND_DROPPED;
  }

  protected controlled(text: string): string {
    return text;
  }

  protected framed(text: string): string {
    return text;
  }

  protected override groupOf({ view: { stream }, topic }: Leg) {
    const name = this.#broadcaster.topic(`ntfy:${topic.name}`);
    return {
      join: () => {
        this.#ws.subscribe(name);
        this.#broadcaster.joined(stream, this);
      },
      leave: () => {
        if (this.isOpen) this.#ws.unsubscribe(name);
        this.#broadcaster.left(stream, this);
      },
    };
  }

  #hasRoom(): boolean {
    if (!this.isOpen) return false;
    if (this.#ws.getBufferedAmount() < MAX_BUFFERED_BYTES) return true;
    this.#blockedSince ??= this.parts.clock.elapsed();
    return false;
  }
}
