import type { HttpRequest, HttpResponse, TemplatedApp, us_socket_context_t, WebSocket } from "uWebSockets.js";
import type { Socket } from "socket.io";
import type { Clock } from "../../../core/clock.ts";
import type { Principal } from "../../../core/principal.ts";
import { TtlCache } from "../../../core/ttl-cache.ts";
import { ANY_NAMESPACE, isNamespaceName } from "../../../core/vocabulary.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { uWS } from "../../../http/uws.ts";
import type { Connection } from "../../connections.ts";
import { LiveSocket, MAX_BACKLOG_BYTES, type SocketParts } from "../../live-socket.ts";
import { TopicBroadcaster } from "../../topic-broadcaster.ts";
import { IDLE_TIMEOUT_S, LIBRARY_MAX_MESSAGE_BYTES } from "../socket-route.ts";
import { insideProtocol, type UpgradeParts, upgrade } from "../upgrade.ts";
import { answerPoll, type Engine, EngineSession, openEngine, SOCKETIO_PATH } from "./engine.ts";
import { HandshakeRequest, queryRefused, readSessionId } from "./handshake-request.ts";
import { SessionChannel, SocketIoTopics } from "./session-channel.ts";
import { socketIoProtocol } from "./socketio-message.ts";
import { type Line, type SessionParts, SocketIoSession } from "./socketio-session.ts";

export interface SocketIoParts extends SessionParts, UpgradeParts {
  readonly clock: Clock;
  readonly compression: boolean;
  /** Namespaces besides the main one that clients may join; `*` is any. */
  readonly namespaces: readonly string[];
}

/**
 * How long the last packets of a session wait for a poll; a later one learns only that there is no
 * such session.
 */
const CLOSE_REASON_MS = 10_000;
const MAX_PENDING_CLOSES = 10_000;
const MAX_PENDING_CLOSE_BYTES = 16_777_216;

/** One WebSocket, from its upgrade on. */
interface SocketData {
  /** Null for one that is to carry a session which began by polling. */
  readonly request: HandshakeRequest | null;
  session: SocketIoSession | null;
  /**
   * Null before it is open, and once it is closed: the library's object must not be touched then.
   */
  ws: WebSocket<SocketData> | null;
}

/**
 * Socket.IO on our servers: one engine, whatever app a client came by. Requests are in
 * `socketio-polling.ts`, WebSockets here.
 */
export class SocketIoServer {
  readonly parts: SocketIoParts;
  readonly sessions = new Map<string, SocketIoSession>();
  #engine: Engine | null = null;
  #opening: Promise<Engine> | null = null;
  /**
   * By session that has ended: what the next poll is answered with, its last packets or nothing.
   */
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

  /** To be called for each app that listens. */
  mount(app: TemplatedApp, isControl: boolean): void {
    this.#topics.add(app);
    app.ws<SocketData>(SOCKETIO_PATH, {
      maxPayloadLength: LIBRARY_MAX_MESSAGE_BYTES,
      maxBackpressure: MAX_BACKLOG_BYTES,
      idleTimeout: IDLE_TIMEOUT_S,
      sendPingsAutomatically: false,
      compression: this.parts.compression ? uWS.SHARED_COMPRESSOR : uWS.DISABLED,
      upgrade: (res, req, context) => this.#upgrade(res, req, context, isControl),
      open: (ws) => this.#opened(ws),
      message: (ws, message, isBinary) => receive(ws, Buffer.from(message), isBinary),
      drain: (ws) => carriedBy(ws)?.engine.emit("drain"),
      dropped: (ws) => carriedBy(ws)?.live.dropped(),
      // Of one that is only tried out as well: what it costs is the session's.
      pong: (ws) => ws.getUserData().session?.live.ponged(),
      ping: (ws) => ws.getUserData().session?.live.receive(),
      close: (ws) => closed(ws),
    });
  }

  /**
   * Runs `begin` at once, or when the engine has been loaded, which the first sessions wait for.
   * They are counted meanwhile.
   * @param address of the client
   */
  whenOpen(address: string, begin: (engine: Engine) => void): void {
    if (this.#engine) {
      begin(this.#engine);
      return;
    }
    const { connections, log } = this.parts;
    const reserved = reservationFor(address);
    connections.add(reserved);
    this.#opening ??= this.#open();
    this.#opening
      .finally(() => connections.delete(reserved))
      .then(begin)
      .catch((error: unknown) => log.error({ err: error }, "a session of Socket.IO could not be begun"));
  }

  async #open(): Promise<Engine> {
    const engine = await openEngine();
    this.#letIn(engine);
    this.#engine = engine;
    return engine;
  }

  /**
   * A session begins whose client has yet to say who it is. @param socket null where it begins with
   * a poll
   */
  begin({ begin }: Engine, request: HandshakeRequest, socket: SocketData | null): EngineSession {
    const engine = new EngineSession(request.address, socket?.ws ?? null);
    const namespaces = new Set<string>();
    const openLine = (principal: Principal | null): Line => {
      const channel = new SessionChannel(engine, namespaces, this.#topics);
      return { channel, live: new LiveSocket(channel, principal, request.address, this.#shared) };
    };
    const session = new SocketIoSession({ engine, request, openLine }, this.parts);
    if (socket) socket.session = session;
    this.sessions.set(engine.id, session);
    engine.on("close", () => this.sessions.delete(engine.id));
    engine.on("unsent", (packets) => {
      const poll = engine.poll?.isOver === false ? engine.poll : null;
      // With nothing to say, the next poll learns that there is no such session.
      if (packets === "" && !poll) return;
      this.#pendingCloses.set(engine.id, packets);
      if (poll) this.replyWithCloseReason(poll, engine.id);
    });
    begin(engine);
    return engine;
  }

  /**
   * Answers a poll of a session that has ended: with its last packets, and the next one with the
   * end. The client library hands packets on in a later turn of its loop, and forgets them when the
   * end comes in the same answer. @returns false when there is no such session either.
   */
  replyWithCloseReason(poll: Exchange, sid: string): boolean {
    const packets = this.#pendingCloses.get(sid);
    if (packets === undefined) return false;
    if (packets === "") this.#pendingCloses.delete(sid);
    else this.#pendingCloses.set(sid, "");
    answerPoll(poll, packets);
    return true;
  }

  #upgrade(res: HttpResponse, req: HttpRequest, context: us_socket_context_t, isControl: boolean): void {
    // A session that polls is counted already.
    const connections = req.getQuery("sid") === undefined ? this.parts.connections : NO_LIMIT;
    upgrade({ ...this.parts, connections, isControl }, res, req, context, insideProtocol, (exchange): SocketData => {
      const sid = readSessionId(exchange, "websocket");
      if (sid === undefined) return { request: new HandshakeRequest(exchange, this.parts), session: null, ws: null };
      const session = this.sessions.get(sid);
      if (!session || session.engine.ws || session.engine.probe)
        throw queryRefused("sid", "is of no session that polls");
      return { request: null, session, ws: null };
    });
  }

  #opened(ws: WebSocket<SocketData>): void {
    const socket = ws.getUserData();
    socket.ws = ws;
    const { request, session } = socket;
    if (session) session.engine.tryOut(ws);
    else if (request)
      this.whenOpen(request.address, (engine) => {
        // The client may have gone meanwhile.
        if (socket.ws) this.begin(engine, request, socket);
      });
  }

  #letIn({ io }: Engine): void {
    const sessionOf = ({ conn }: Socket): SocketIoSession | undefined =>
      this.sessions.get((conn as unknown as EngineSession).id);
    const join = (socket: Socket, next: (refusal?: Error) => void): void => {
      const session = sessionOf(socket);
      try {
        session?.join(socket);
        next();
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

/** Counts as a connection until there is one. */
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

/** The session that a WebSocket carries; undefined while it is only being tried. */
function carriedBy(ws: WebSocket<SocketData>): SocketIoSession | undefined {
  const { session } = ws.getUserData();
  return session?.engine.ws === ws ? session : undefined;
}

function receive(ws: WebSocket<SocketData>, bytes: Buffer, isBinary: boolean): void {
  const { session } = ws.getUserData();
  // A client that keeps to the protocol waits for the handshake.
  if (!session) {
    ws.close();
    return;
  }
  const packet = isBinary ? bytes : bytes.toString();
  if (!session.admits(packet, bytes.length)) return;
  if (session.engine.probe === ws) session.engine.receiveProbe(packet);
  else session.engine.receive(packet);
}

function closed(ws: WebSocket<SocketData>): void {
  const socket = ws.getUserData();
  socket.ws = null;
  socket.session?.engine.lost(ws);
}
