import type { HttpRequest, HttpResponse, TemplatedApp, us_socket_context_t, WebSocket } from "uWebSockets.js";
import type { Socket } from "socket.io";
import type { Principal } from "../../../core/caller.ts";
import { TtlCache } from "../../../core/limits/ttl-cache.ts";
import { ANY_NAMESPACE, isNamespaceName } from "../../../core/text/vocabulary.ts";
import type { Clock } from "../../../core/time/clock.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { Entrance } from "../../../http/server/live-settings.ts";
import { uWS } from "../../../http/server/uws.ts";
import type { Connection } from "../../connections.ts";
import { LiveSocket, MAX_BACKLOG_BYTES, type SocketParts } from "../../live-socket.ts";
import { TopicBroadcaster } from "../../topic-broadcaster.ts";
import { IDLE_TIMEOUT_S, LIBRARY_MAX_MESSAGE_BYTES } from "../socket-route.ts";
import { insideProtocol, type UpgradeParts, upgrade } from "../upgrade.ts";
import { answerPoll, type Engine, EngineSession, openEngine, SOCKETIO_PATH } from "./engine.ts";
import { HandshakeRequest, queryRefused, readSessionId } from "./handshake-request.ts";
import { SessionChannel, SocketIoTopics } from "./session-channel.ts";
import { socketIoProtocol } from "./socketio-message.ts";
import { type NamespaceLink, type SessionParts, SocketIoSession } from "./socketio-session.ts";

export interface SocketIoParts extends SessionParts, UpgradeParts {
  readonly clock: Clock;
  readonly compression: boolean;
  /** Namespaces that clients may join besides the main one; `*`: any. */
  readonly namespaces: readonly string[];
}

/**
 * How long the last packets of a session are kept for a poll; later polls get an unknown-session
 * error.
 */
const CLOSE_REASON_MS = 10_000;
const MAX_PENDING_CLOSES = 10_000;
const MAX_PENDING_CLOSE_BYTES = 16_777_216;

/** One WebSocket after its upgrade. */
interface SocketData {
  /** Null when it takes over a polling session. */
  readonly request: HandshakeRequest | null;
  session: SocketIoSession | null;
  /** Null before it opens and after it closes, when the library's object must not be used. */
  ws: WebSocket<SocketData> | null;
}

/** Socket.IO: one engine for all apps. Polling is in `socketio-polling.ts`, WebSockets are here. */
export class SocketIoServer {
  readonly parts: SocketIoParts;
  readonly sessions = new Map<string, SocketIoSession>();
  #engine: Engine | null = null;
  #opening: Promise<Engine> | null = null;
  /** By ended session: the last packets for its next poll, or nothing. */
  readonly #pendingCloses: TtlCache<string, string>;
  readonly #topics = new SocketIoTopics();
  readonly #shared: SocketParts;

  constructor(parts: SocketIoParts) {
    this.parts = parts;
    this.#pendingCloses = new TtlCache({
      maxEntries: MAX_PENDING_CLOSES,
      ttlMs: CLOSE_REASON_MS,
      clock: parts.clock,
      weight: { maxBytes: MAX_PENDING_CLOSE_BYTES, bytesOf: (packets) => packets.length },
    });
    const broadcaster = new TopicBroadcaster(this.#topics, parts.hub, "socketio", socketIoProtocol.entryText);
    this.#shared = { ...parts, protocol: socketIoProtocol, broadcaster };
  }

  /** Call for each listening app. */
  mount(app: TemplatedApp, entrance: Entrance): void {
    this.#topics.add(app);
    app.ws<SocketData>(SOCKETIO_PATH, {
      maxPayloadLength: LIBRARY_MAX_MESSAGE_BYTES,
      maxBackpressure: MAX_BACKLOG_BYTES,
      idleTimeout: IDLE_TIMEOUT_S,
      sendPingsAutomatically: false,
      compression: this.parts.compression ? uWS.SHARED_COMPRESSOR : uWS.DISABLED,
      upgrade: (res, req, context) => this.#upgrade(res, req, context, entrance),
      open: (ws) => this.#opened(ws),
      message: (ws, message, isBinary) => receive(ws, Buffer.from(message), isBinary),
      drain: (ws) => sessionCarriedBy(ws)?.engine.emit("drain"),
      dropped: (ws) => sessionCarriedBy(ws)?.live.dropped(),
      // Also of a probing socket: its cost counts for the session.
      pong: (ws) => ws.getUserData().session?.live.pongReceived(),
      ping: (ws) => pinged(ws),
      close: (ws) => closed(ws),
    });
  }

  /**
   * Runs `start` at once, or when the engine is loaded; until then the session counts as a
   * connection.
   * @param address of the client
   */
  whenOpen(address: string, start: (engine: Engine) => void): void {
    if (this.#engine) {
      start(this.#engine);
      return;
    }
    const { connections, log } = this.parts;
    const reserved = reservationFor(address);
    connections.add(reserved);
    this.#opening ??= this.#open();
    this.#opening
      .finally(() => connections.delete(reserved))
      .then(start)
      .catch((error: unknown) => log.error({ err: error }, "starting a Socket.IO session failed"));
  }

  async #open(): Promise<Engine> {
    const engine = await openEngine();
    this.#handleNamespaces(engine);
    this.#engine = engine;
    return engine;
  }

  /**
   * Starts a session, which is pending until it authenticates. @param socket null when it starts
   * with a poll
   */
  startSession({ start }: Engine, request: HandshakeRequest, socket: SocketData | null): EngineSession {
    const engine = new EngineSession(request.address, socket?.ws ?? null);
    const namespaces = new Set<string>();
    const openLink = (principal: Principal | null): NamespaceLink => {
      const channel = new SessionChannel(engine, namespaces, this.#topics);
      return { channel, live: new LiveSocket(channel, principal, request.address, this.#shared) };
    };
    const session = new SocketIoSession({ engine, request, openLink }, this.parts);
    if (socket) socket.session = session;
    this.sessions.set(engine.id, session);
    engine.on("close", () => this.sessions.delete(engine.id));
    engine.on("unsent", (packets) => {
      const poll = engine.poll?.isOver === false ? engine.poll : null;
      // Without packets, the next poll gets an unknown-session error.
      if (packets === "" && !poll) return;
      this.#pendingCloses.set(engine.id, packets);
      if (poll) this.replyWithCloseReason(poll, engine.id);
    });
    start(engine);
    return engine;
  }

  /**
   * Answers a poll of an ended session with its last packets, and the next poll with the end. The
   * client library processes packets in a later turn of its loop and drops them when the end is in
   * the same response. @returns false for an unknown session
   */
  replyWithCloseReason(poll: Exchange, sid: string): boolean {
    const packets = this.#pendingCloses.get(sid);
    if (packets === undefined) return false;
    if (packets === "") this.#pendingCloses.delete(sid);
    else this.#pendingCloses.set(sid, "");
    answerPoll(poll, packets);
    return true;
  }

  #upgrade(res: HttpResponse, req: HttpRequest, context: us_socket_context_t, entrance: Entrance): void {
    // A polling session is already counted.
    const connections = req.getQuery("sid") === undefined ? this.parts.connections : NO_LIMIT;
    upgrade({ ...this.parts, connections, entrance }, res, req, context, insideProtocol, (exchange): SocketData => {
      const sid = readSessionId(exchange, "websocket");
      if (sid === undefined) return { request: new HandshakeRequest(exchange, this.parts), session: null, ws: null };
      const session = this.sessions.get(sid);
      if (!session || session.engine.ws || session.engine.probe)
        throw queryRefused("sid", "is not the id of a polling session");
      return { request: null, session, ws: null };
    });
  }

  #opened(ws: WebSocket<SocketData>): void {
    const socket = ws.getUserData();
    socket.ws = ws;
    const { request, session } = socket;
    if (session) session.engine.startProbe(ws);
    else if (request)
      this.whenOpen(request.address, (engine) => {
        // The client may have disconnected meanwhile.
        if (socket.ws) this.startSession(engine, request, socket);
      });
  }

  #handleNamespaces({ io }: Engine): void {
    const sessionOf = ({ conn }: Socket): SocketIoSession | undefined =>
      this.sessions.get((conn as unknown as EngineSession).id);
    const join = (socket: Socket, next: (refusal?: Error) => void): void => {
      const session = sessionOf(socket);
      const enter = (): void => {
        try {
          session?.join(socket);
          next();
        } catch (error) {
          next(session?.refusal(error));
        }
      };
      try {
        const check = session?.check(socket);
        if (check) void check.then(enter);
        else enter();
      } catch (error) {
        next(session?.refusal(error));
      }
    };
    const open = (socket: Socket): void => sessionOf(socket)?.open(socket);
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

/** Counts as a connection while the engine loads. */
function reservationFor(address: string): Connection {
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

/** The session that a WebSocket carries; undefined for a probing socket. */
function sessionCarriedBy(ws: WebSocket<SocketData>): SocketIoSession | undefined {
  const { session } = ws.getUserData();
  return session?.engine.ws === ws ? session : undefined;
}

function receive(ws: WebSocket<SocketData>, bytes: Buffer, isBinary: boolean): void {
  const { session } = ws.getUserData();
  // A compliant client waits for the handshake.
  if (!session) {
    ws.close();
    return;
  }
  const packet = isBinary ? bytes : bytes.toString();
  if (!session.admits(packet, bytes.length)) return;
  if (session.engine.probe === ws) session.engine.receiveProbe(packet);
  else session.engine.receive(packet);
}

function pinged(ws: WebSocket<SocketData>): void {
  const { session } = ws.getUserData();
  // The pings of a probing socket are not counted once its session has ended.
  if (session?.engine.readyState === "closed") ws.close();
  else session?.live.receive();
}

function closed(ws: WebSocket<SocketData>): void {
  const socket = ws.getUserData();
  socket.ws = null;
  socket.session?.engine.socketClosed(ws);
}
