import type { HttpRequest, HttpResponse, TemplatedApp, us_socket_context_t, WebSocket } from "uWebSockets.js";
import type { Socket } from "socket.io";
import type { Clock } from "../../../core/clock.ts";
import { ANY_NAMESPACE, isNamespaceName } from "../../../core/namespace-name.ts";
import type { Principal } from "../../../core/principal.ts";
import { TtlCache } from "../../../core/ttl-cache.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { uWS } from "../../../http/uws.ts";
import type { Connection } from "../../connections.ts";
import { LiveSocket, MAX_BACKLOG_BYTES, type SocketParts } from "../../live-socket.ts";
import { TopicBroadcaster } from "../../topic-broadcaster.ts";
import { IDLE_TIMEOUT_S, LIBRARY_MAX_MESSAGE_BYTES } from "../socket-route.ts";
import { insideProtocol, type UpgradeParts, upgrade } from "../upgrade.ts";
import { type Engine, openEngine, SOCKETIO_PATH } from "./engine.ts";
import { EngineRequest } from "./engine-http.ts";
import { EngineSocket, EngineUpgradeReply, SocketIoSocket } from "./engine-socket.ts";
import { ENGINE_CLOSE, type EngineHandlers, type EngineSession } from "./engine-types.ts";
import { queryRefused, readEngineQuery } from "./handshake-query.ts";
import { SessionCarrier } from "./session-carrier.ts";
import { SessionChannel } from "./session-channel.ts";
import type { Line } from "./socketio-conversation.ts";
import { socketIoProtocol } from "./socketio-message.ts";
import { type SessionParts, SocketIoSession } from "./socketio-session.ts";
import { SocketIoTopics } from "./socketio-topics.ts";
import { Visitor } from "./visitor.ts";

export interface SocketIoParts extends SessionParts, UpgradeParts {
  readonly clock: Clock;
  readonly compression: boolean;
  /** Namespaces besides the main one that clients may join; `*` is any. */
  readonly namespaces: readonly string[];
}

/** Last words that wait for a poll; whoever comes later learns only that there is no such session. */
const FAREWELL_LIMIT_MS = 10_000;
const MAX_FAREWELLS = 10_000;
const MAX_FAREWELL_BYTES = 16_777_216;

/**
 * Socket.IO on our servers: one engine, whatever app a client came by. Our rules stand before it: `socketio-polling.ts` for requests, the
 * upgrade and the messages of WebSockets here.
 */
export class SocketIoServer {
  readonly parts: SocketIoParts;
  readonly sessions = new Map<string, SocketIoSession>();
  #handlers: EngineHandlers | null = null;
  #opening: Promise<EngineHandlers> | null = null;
  /** By session that has ended: what the next poll is answered with, last words or nothing. */
  readonly #farewells: TtlCache<string, string>;
  readonly #topics = new SocketIoTopics();
  readonly #shared: SocketParts;

  constructor(parts: SocketIoParts) {
    this.parts = parts;
    this.#farewells = new TtlCache({
      maxEntries: MAX_FAREWELLS,
      ttlMs: FAREWELL_LIMIT_MS,
      clock: parts.clock,
      weight: { maxBytes: MAX_FAREWELL_BYTES, bytesOf: (packets) => packets.length },
    });
    const broadcaster = new TopicBroadcaster(this.#topics, parts.hub, "socketio", socketIoProtocol.entryText);
    this.#shared = { ...parts, protocol: socketIoProtocol, broadcaster };
  }

  /** To be called for each app that listens. */
  mount(app: TemplatedApp): void {
    this.#topics.add(app);
    app.ws<SocketIoSocket>(SOCKETIO_PATH, {
      maxPayloadLength: LIBRARY_MAX_MESSAGE_BYTES,
      maxBackpressure: MAX_BACKLOG_BYTES,
      idleTimeout: IDLE_TIMEOUT_S,
      sendPingsAutomatically: false,
      compression: this.parts.compression ? uWS.SHARED_COMPRESSOR : uWS.DISABLED,
      upgrade: (res, req, context) => this.#upgrade(res, req, context),
      open: (ws) => this.#open(ws),
      message: (ws, message, isBinary) => receive(ws.getUserData(), Buffer.from(message), isBinary),
      drain: (ws) => carriedBy(ws)?.drained(),
      dropped: (ws) => carriedBy(ws)?.live.dropped(),
      // Of one that is only tried out as well: what it costs is the session's.
      pong: (ws) => ws.getUserData().session?.live.ponged(),
      ping: (ws) => ws.getUserData().session?.live.receive(),
      close: (ws) => closed(ws.getUserData()),
    });
  }

  /**
   * Hands a request to engine.io: at once, or the first ones when it has been opened. Those are counted meanwhile, as what they are about to be.
   * @param address of whoever sent it.
   */
  hand(address: string, to: (engine: EngineHandlers) => void): void {
    if (this.#handlers) {
      to(this.#handlers);
      return;
    }
    const { connections, log } = this.parts;
    const place = placeFor(address);
    connections.add(place);
    this.#opening ??= this.#openEngine();
    this.#opening
      .finally(() => connections.delete(place))
      .then(to)
      .catch((error: unknown) => log.error({ err: error }, "a session of Socket.IO could not be begun"));
  }

  /**
   * Answers a poll of a session that has ended: with its last words, and the next one with the end. The client library hands words on in a later
   * turn of its loop, and forgets them when the end comes in the same answer. @returns false when there is no such session either.
   */
  bidFarewell(poll: Exchange, sid: string): boolean {
    const words = this.#farewells.get(sid);
    if (words === undefined) return false;
    if (words === "") this.#farewells.delete(sid);
    else this.#farewells.set(sid, "");
    poll.onAbort = null;
    poll.send(200, words || ENGINE_CLOSE, { "Content-Type": "text/plain; charset=UTF-8" });
    return true;
  }

  /** Upgraded at once, as everywhere; engine.io hears of it afterwards and can only refuse by closing, so what it would refuse is queryRefused here. */
  #upgrade(res: HttpResponse, req: HttpRequest, context: us_socket_context_t): void {
    // A session that polls is counted already.
    const connections = req.getQuery("sid") === undefined ? this.parts.connections : NO_LIMIT;
    upgrade({ ...this.parts, connections }, res, req, context, insideProtocol, (exchange) => {
      const query = readEngineQuery(exchange, "websocket");
      if (query.sid === undefined) return new SocketIoSocket(query, new Visitor(exchange, this.parts), null);
      const session = this.sessions.get(query.sid);
      if (!session || session.carrier.ws || session.probe) throw queryRefused("sid", "is of no session that polls");
      session.probe = new SocketIoSocket(query, null, session);
      return session.probe;
    });
  }

  #open(ws: WebSocket<SocketIoSocket>): void {
    const socket = ws.getUserData();
    socket.ws = ws;
    // Not the object that was given to the upgrade: the library has copied its members.
    if (socket.session) socket.session.probe = socket;
    const address = socket.visitor?.address ?? socket.session?.address ?? "";
    this.hand(address, (engine) => {
      if (!socket.ws) return;
      const reply = new EngineUpgradeReply(socket, address, () => engine.open(new EngineSocket(socket)));
      const get = { method: "GET", path: SOCKETIO_PATH };
      engine.upgrade(reply, new EngineRequest(get, socket.query, socket.visitor, { socket }));
    });
  }

  async #openEngine(): Promise<EngineHandlers> {
    const engine = await openEngine((session) => this.#opened(session));
    this.#letIn(engine);
    this.#handlers = engine.handlers;
    return engine.handlers;
  }

  /** A session has begun, of which nobody knows yet whose it is. */
  #opened(conn: EngineSession): void {
    const { visitor, socket } = conn.request as EngineRequest;
    if (!visitor) throw new TypeError("a session begins with a request of somebody's");
    // It would hold the process for half a minute; whoever is to hear last words hears them by the farewells.
    if (conn.transport.name === "polling") conn.transport.closeTimeout = 0;
    const carrier = new SessionCarrier(conn, socket?.ws ?? null);
    const openLine = (principal: Principal | null): Line => {
      const channel = new SessionChannel(carrier, this.#topics);
      return { channel, live: new LiveSocket(channel, principal, visitor.address, this.#shared) };
    };
    const session = new SocketIoSession({ conn, visitor, carrier, openLine }, this.parts);
    carrier.onFarewell = (packets) => {
      const poll = session.poll?.isOver === false ? session.poll : null;
      // With nothing to say, the next poll learns that there is no such session.
      if (packets === "" && !poll) return;
      this.#farewells.set(conn.id, packets);
      if (poll) this.bidFarewell(poll, conn.id);
    };
    if (socket) socket.session = session;
    this.sessions.set(conn.id, session);
    let isDraining = false;
    const drained = (): void => {
      if (isDraining) return;
      isDraining = true;
      // Not while it is being written to.
      setImmediate(() => {
        isDraining = false;
        if (this.sessions.has(conn.id)) session.drained();
      });
    };
    conn.on("drain", () => {
      if (!carrier.ws) drained();
    });
    conn.on("upgrade", () => {
      session.switchToProbe();
      // What filled the next poll has room now, and the library says nothing of that.
      drained();
    });
    conn.on("close", () => {
      this.sessions.delete(conn.id);
      session.closed();
    });
  }

  #letIn({ io }: Engine): void {
    const sessionOf = (conn: unknown): SocketIoSession | undefined => this.sessions.get((conn as EngineSession).id);
    const join = (socket: Socket, next: (refusal?: Error) => void): void => {
      const session = sessionOf(socket.conn);
      try {
        session?.join(socket);
        next();
      } catch (error) {
        next(session?.refusal(error));
      }
    };
    const open = (socket: Socket): void => sessionOf(socket.conn)?.open(socket);
    io.use(join).on("connection", open);
    io.of((name, _auth, next) => next(null, this.#isNamespace(name)))
      .use(join)
      .on("connection", open);
  }

  #isNamespace(name: string): boolean {
    const { namespaces } = this.parts;
    return isNamespaceName(name) && (namespaces.includes(ANY_NAMESPACE) || namespaces.includes(name));
  }
}

/** A connection that is about to be. */
function placeFor(address: string): Connection {
  const nothing = (): void => undefined;
  return {
    transport: "socketio",
    address,
    principal: null,
    tick: nothing,
    rightsChanged: nothing,
    restart: nothing,
  };
}

const NO_LIMIT = { requireRoom: (): void => undefined };

/** The session that a WebSocket carries; undefined while it is only being tried. */
function carriedBy(ws: WebSocket<SocketIoSocket>): SocketIoSession | undefined {
  const { session } = ws.getUserData();
  return session?.carrier.ws === ws ? session : undefined;
}

function receive(socket: SocketIoSocket, bytes: Buffer, isBinary: boolean): void {
  const { session, transport, ws } = socket;
  // Nobody who keeps to the protocol says anything before engine.io has spoken.
  if (!session || !transport) {
    ws?.close();
    return;
  }
  const packet = isBinary ? bytes : bytes.toString();
  if (session.admits(packet, bytes.length)) transport.onData(packet);
}

function closed(socket: SocketIoSocket): void {
  socket.ws = null;
  if (socket.session?.probe === socket) socket.session.probe = null;
  socket.transport?.onClose();
}
