import { readFileSync } from "node:fs";
import { type ClientRequest, createServer, type IncomingMessage, type Server, ServerResponse } from "node:http";
import { createServer as createSecureServer, Server as SecureServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { setTimeout as wait } from "node:timers/promises";
import { PrismError, STATUS_OF } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { CidrSet } from "../../core/ip-addresses.ts";
import { Shares } from "../../core/limits/slots.ts";
import { escapeHtml } from "../../core/text/clean-text.ts";
import { errorBody, errorHeaders } from "../../http/api/error-reply.ts";
import { addressGroup, clientBehind } from "../../http/server/headers.ts";
import { answerAndKeep, BodiesInFlight, type DegradedServer, treatmentOf } from "../lead/degraded.ts";
import { type Forwarder, HOP_BY_HOP, hasBody, linesOf, passedHeaders, UPGRADE_HEADERS } from "./forward.ts";

interface StandbyOptions {
  readonly host: string;
  readonly port: number;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Their `X-Forwarded-For` names the client. */
  readonly trustedProxies: readonly string[];
  /** How long a request waits for a leader. */
  readonly holdMs: number;
  /** How many requests wait at most. */
  readonly maxWaiting?: number;
  readonly forwarder: Forwarder;
  /** URL of the leader; null: there is none. */
  leader(): string | null;
  /** The error message for this client when the leader cannot be reached. */
  unreachable?(req: IncomingMessage): string;
  /** How long no leader was heard, in ms. */
  silentMs(): number;
  /** What answers instead of a leader; null: nothing does. */
  degraded(): DegradedServer | null;
  /** What this node answers itself; null: the leader answers. */
  own(
    path: string,
    req: IncomingMessage,
  ): { readonly status: number; readonly body: string; readonly contentType: string } | null;
}

interface Pipelined {
  /** What its head takes. */
  readonly bytes: number;
  readonly go: () => void;
}

interface Waiting {
  readonly client: string;
  readonly go: (leader: string | null) => void;
  readonly timer: NodeJS.Timeout;
}

/** More than this many requests do not wait for a leader. */
const MAX_WAITING = 10_000;
/** Of one client. */
const WAITING_SHARE = 1 / 4;
/** A connection with more requests that were not answered is closed. */
const MAX_PIPELINED = 100;
/** A connection is closed, too, when the heads of its waiting requests take more memory. */
const MAX_PIPELINED_BYTES = 262_144;
/** What the name or value of a header takes beside its text. */
const TEXT_BYTES = 64;
/** The server of a leader closes the connection of a request with more, those of this node included. */
const MAX_HEADERS = 98;
/** `Prism-Hop` and `Connection`. */
const ADDED_HEADERS = 2;
/** Each line takes memory while its request waits, also one that is joined to another before it is passed on. */
const MAX_HEADER_LINES = 100;
const AGAIN_MS = 200;
/** How often the end of what was passed on is looked for. */
const DRAIN_LOOK_MS = 20;
/** The system asks a client that is silent for so long whether it is there. */
const KEEP_ALIVE_MS = 60_000;
/** The end of a machine that is lost is noticed within half a minute. */
const LEADER_KEEP_ALIVE_MS = 15_000;
/** Ends the requests that the leader before has not answered. */
const REPLACED = new Error("another node leads, or none");

/**
 * The port of a node that does not lead: it answers what is about itself, and passes on everything
 * else to the leader as it comes. Without a leader requests wait for one.
 */
export class StandbyPort {
  readonly #options: StandbyOptions;
  readonly #server: Server;
  readonly #forwarder: Forwarder;
  readonly #trusted: CidrSet;
  readonly #waiting = new Set<Waiting>();
  readonly #waitingOf: Shares;
  /** Requests that a leader has, by its URL. */
  readonly #passed = new Map<ClientRequest, string>();
  /** Connections that are passed on as bytes, with the URL; null: they wait for a leader. */
  readonly #piped = new Map<Duplex, string | null>();
  readonly #bodies = new BodiesInFlight();
  /** Requests that are worked on, or wait for a leader. */
  readonly #open = new Set<ServerResponse>();
  /** It takes nothing new. */
  #isDraining = false;
  /** Requests of a connection that have no whole answer yet: the first one is worked on. */
  readonly #unanswered = new WeakMap<Duplex, Pipelined[]>();
  /** This node leads: what waited goes to its own port. */
  #ownUrl: string | null = null;
  /** Requests that were answered with 503, by code. */
  readonly refused: Record<keyof typeof REFUSALS, number> = { NO_LEADER: 0, OUTCOME_UNKNOWN: 0, SHUTTING_DOWN: 0 };

  constructor(options: StandbyOptions) {
    this.#options = options;
    this.#forwarder = options.forwarder;
    this.#waitingOf = new Shares(options.maxWaiting ?? MAX_WAITING, WAITING_SHARE);
    this.#trusted = new CidrSet(options.trustedProxies);
    const { certFile, keyFile } = options;
    this.#server =
      certFile !== undefined && keyFile !== undefined
        ? createSecureServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) })
        : createServer();
    // A length after the first thousand headers would frame a body, and not be seen here; 16 KiB bound the head.
    this.#server.maxHeadersCount = 0;
    this.#server.on("request", (req, res) => {
      const { socket } = req;
      const inOrder = this.#unanswered.get(socket) ?? [];
      const bytes = headBytesOf(req);
      const { length } = inOrder;
      const heldBytes = inOrder.reduce((sum, each) => sum + each.bytes, bytes);
      if (hasLeft(socket) || length >= MAX_PIPELINED || (length > 0 && heldBytes > MAX_PIPELINED_BYTES)) {
        socket.destroy();
        return;
      }
      this.#unanswered.set(socket, inOrder);
      if (inOrder.push({ bytes, go: () => void this.#answer(req, res) }) === 1) inOrder[0]?.go();
      res.once("close", () => {
        this.#open.delete(res);
        // A body that the answer did not wait for would block what follows it.
        req.unpipe().resume();
        inOrder.shift();
        inOrder[0]?.go();
      });
    });
    this.#server.on("upgrade", (req, socket: Socket, head) => {
      // The answer to a request before it would be written into the upgraded connection.
      if (hasLeft(socket) || (this.#unanswered.get(socket) ?? []).length > 0) socket.destroy();
      else void this.#pipe(req, socket, head);
    });
  }

  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, resolve);
    });
  }

  /** The number of requests that wait for a leader. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Requests that wait go on to the leader. */
  leaderChanged(): void {
    const leader = this.#leader();
    if (leader === null) return;
    this.#forwarder.leaderChanged();
    this.#dropOthers(leader);
    for (const waiting of [...this.#waiting]) this.#end(waiting, leader);
  }

  /** A copy answers from now on, also what waits. */
  answersFromCopy(): void {
    const server = this.#leader() ?? this.#options.degraded()?.url;
    if (server !== undefined) this.#dropOthers(server);
    for (const waiting of [...this.#waiting]) this.#end(waiting, null);
  }

  /** The leader before may hang, and must not answer any more. */
  #dropOthers(server: string): void {
    for (const [passed, to] of this.#passed) if (to !== server) passed.destroy(REPLACED);
    for (const [client, to] of this.#piped) if (to !== null && to !== server) client.destroy();
  }

  /** Frees the port; what waits goes on waiting. */
  stopListening(): void {
    this.#server.close();
  }

  /** This node leads and listens: what waited is passed on to it. */
  leadsAt(url: string): void {
    this.#ownUrl = url;
    this.#forwarder.leadsAt(url);
    this.leaderChanged();
  }

  /**
   * Before the node stops: takes nothing new, and refuses what waits. Resolves when what was passed
   * on is answered, after `limitMs` at the latest.
   */
  async drain(limitMs: number): Promise<void> {
    this.#isDraining = true;
    this.#server.close();
    for (const waiting of [...this.#waiting]) this.#end(waiting, null);
    for (const [client, to] of this.#piped) if (to !== null) client.destroy();
    for (const end = performance.now() + limitMs; this.#open.size > 0; await wait(DRAIN_LOOK_MS))
      if (performance.now() >= end) return;
  }

  close(): void {
    for (const waiting of [...this.#waiting]) this.#end(waiting, null);
    for (const socket of this.#piped.keys()) socket.destroy();
    this.#server.close();
    this.#server.closeAllConnections();
    this.#forwarder.close();
  }

  #leader(): string | null {
    return this.#ownUrl ?? this.#options.leader();
  }

  #end(waiting: Waiting, leader: string | null): void {
    clearTimeout(waiting.timer);
    if (this.#waiting.delete(waiting)) this.#waitingOf.add(waiting.client, -1);
    waiting.go(leader);
  }

  /** What counts as one client. */
  #clientOf({ socket, headers }: IncomingMessage): string {
    const forwardedFor = [headers["x-forwarded-for"] ?? []].flat().join(",");
    return addressGroup(clientBehind(this.#trusted, socket.remoteAddress ?? "", forwardedFor));
  }

  /** @returns null when none came in time, the client has left, or has too many requests that wait */
  #untilLeader(req: IncomingMessage, client: ServerResponse | Duplex): Promise<string | null> {
    const leader = this.#leader();
    if (leader !== null || client.destroyed) return Promise.resolve(leader);
    const name = this.#clientOf(req);
    if (!this.#waitingOf.take(name, 1)) return Promise.resolve(null);
    return new Promise((resolve) => {
      const leave = (): void => this.#end(waiting, null);
      const go = (found: string | null): void => {
        client.off("close", leave);
        resolve(found);
      };
      const waiting: Waiting = { client: name, go, timer: setTimeout(leave, this.#options.holdMs) };
      this.#waiting.add(waiting);
      client.once("close", leave);
    });
  }

  /** @param since when the request came, by the monotonic clock */
  async #answer(req: IncomingMessage, res: ServerResponse, since = performance.now()): Promise<void> {
    if (res.destroyed || req.socket.destroyed) return;
    this.#open.add(res);
    const [path = "/"] = (req.url ?? "/").split("?");
    const own = this.#ownUrl === null ? this.#options.own(path, req) : null;
    if (own) {
      res.writeHead(own.status, { "Content-Type": own.contentType, "Cache-Control": "no-store" }).end(own.body);
      return;
    }
    if (this.#isDraining) return this.#refuse(req, res, "SHUTTING_DOWN");
    if (hasTooManyHeaders(req))
      return answerError(req, res, new PrismError("HEADERS_TOO_LARGE", "The request has too many headers"), null);
    const degraded = this.#degraded();
    const treatment = degraded ? treatmentOf(req.method ?? "GET", path) : null;
    if (degraded && treatment === "answered") return this.#pass(degraded.url, req, res, since);
    if (degraded && treatment === "kept") return this.#keep(degraded, req, res);
    if (this.#isInCircle(req)) return this.#refuse(req, res, "NO_LEADER", CIRCLE);
    const leader = degraded ? null : await this.#untilLeader(req, res);
    if (res.destroyed) return;
    if (leader !== null) this.#pass(leader, req, res, since);
    else if (this.#isDraining) this.#refuse(req, res, "SHUTTING_DOWN");
    else if (!degraded && this.#degraded()) await this.#answer(req, res, since);
    else this.#refuse(req, res, "NO_LEADER");
  }

  #degraded(): DegradedServer | null {
    return this.#leader() === null ? this.#options.degraded() : null;
  }

  async #keep(degraded: DegradedServer, req: IncomingMessage, res: ServerResponse): Promise<void> {
    try {
      const parts = { forwarder: this.#forwarder, bodies: this.#bodies };
      const sent = { headers: this.#forwarder.headersOf(req), client: this.#clientOf(req) };
      await answerAndKeep(degraded, parts, req, res, sent);
    } catch (error) {
      if (res.destroyed) return;
      this.#forwarder.failed(degraded.url, error);
      this.#refuse(req, res, "NO_LEADER");
    }
  }

  /** It would go round until its headers are too large. A client that says so itself gets this answer. */
  #isInCircle({ headers }: IncomingMessage): boolean {
    if (this.#ownUrl !== null || !this.#forwarder.hasPassed(headers)) return false;
    const leader = this.#leader();
    if (leader !== null) this.#forwarder.failed(leader, new Error(CIRCLE));
    return true;
  }

  #pass(leader: string, req: IncomingMessage, res: ServerResponse, since: number): void {
    let hasBegun = false;
    // Until the leader can be reached nothing is read of the request: it may go to another one.
    const head = { method: req.method ?? "GET", path: req.url ?? "/", headers: this.#forwarder.headersOf(req) };
    const passed = this.#forwarder.open(leader, head, () => {
      hasBegun = true;
      if (hasBody(req)) req.pipe(passed);
      else passed.end();
    });
    passed.once("response", (reply) => {
      const headers = Object.entries(reply.headers).filter(([name]) => !HOP_BY_HOP.has(name));
      // This node leads: the client's next connection is one to its server.
      if (!this.#server.listening) headers.push(["connection", "close"]);
      res.writeHead(reply.statusCode ?? 502, Object.fromEntries(headers));
      reply.pipe(res);
      reply.once("error", () => res.destroy());
      // It ends only with its connection.
      if (reply.headers["content-type"]?.startsWith("text/event-stream")) this.#open.delete(res);
    });
    this.#passed.set(passed, leader);
    passed.once("error", (error) => {
      if (res.destroyed) return;
      if (error !== REPLACED) this.#forwarder.failed(leader, error);
      if (res.headersSent) res.destroy();
      else if (hasBegun && !isRepeatable(req)) this.#refuse(req, res, "OUTCOME_UNKNOWN");
      else this.#again(req, res, since);
    });
    const end = (): void => {
      passed.destroy();
    };
    passed.once("close", () => {
      this.#passed.delete(passed);
      res.off("close", end);
    });
    res.once("close", end);
  }

  /** The leader could not be reached: it is gone, and not known to be. */
  #again(req: IncomingMessage, res: ServerResponse, since: number): void {
    const told = this.#leader() === null ? undefined : this.#options.unreachable?.(req);
    if (performance.now() - since >= this.#options.holdMs) this.#refuse(req, res, "NO_LEADER", told);
    else setTimeout(() => void this.#answer(req, res, since), AGAIN_MS);
  }

  #refuse(req: IncomingMessage, res: ServerResponse, code: keyof typeof REFUSALS, message?: string): void {
    this.refused[code]++;
    const silentMs = this.#leader() === null && !this.#isDraining ? this.#options.silentMs() : null;
    answerError(req, res, new PrismError(code, message ?? REFUSALS[code], { retryAfterMs: 5000 }), silentMs);
  }

  /**
   * A WebSocket: once the server has accepted it, bytes in both directions. Any other answer is the last
   * of the connection: what the client sends after it must not reach the server as if it came from this node.
   */
  async #pipe(req: IncomingMessage, client: Socket, head: Buffer): Promise<void> {
    if (!isWebSocket(req)) return this.#withoutUpgrade(req, client, head);
    if (hasTooManyHeaders(req)) {
      client.on("error", () => client.destroy()).end(TOO_MANY_HEADERS);
      return;
    }
    this.#piped.set(client, null);
    client.once("close", () => this.#piped.delete(client));
    client.on("error", () => client.destroy());
    client.setKeepAlive(true, KEEP_ALIVE_MS);
    const leader = this.#isInCircle(req)
      ? null
      : (this.#degraded()?.url ?? (await this.#untilLeaderOrEnd(req, client)) ?? this.#degraded()?.url ?? null);
    if (client.destroyed) return;
    if (leader === null) {
      client.end(UNAVAILABLE);
      return;
    }
    this.#piped.set(client, leader);
    // A body that is announced and not sent would be the next request of this connection.
    const {
      "content-length": _length,
      "transfer-encoding": _coding,
      ...headers
    } = this.#forwarder.headersOf(req, true);
    const asked = { method: "GET", path: req.url ?? "/", headers };
    const passed = this.#forwarder.open(leader, asked, () => passed.end());
    client.once("close", () => passed.destroy());
    passed.once("error", (error) => {
      this.#forwarder.failed(leader, error);
      client.destroy();
    });
    passed.once("response", (reply) => {
      const kept = Object.entries(reply.headers).filter(([name]) => !HOP_BY_HOP.has(name));
      // The last request of the connection to the leader, too.
      passed.shouldKeepAlive = false;
      reply.once("error", () => client.destroy());
      const res = new ServerResponse(req);
      res.assignSocket(client);
      res.writeHead(reply.statusCode ?? 502, { ...Object.fromEntries(kept), connection: "close" });
      res.once("finish", () => client.end());
      client.on("drain", () => res.emit("drain"));
      reply.pipe(res);
    });
    passed.once("upgrade", ({ rawHeaders }, server: Socket, begun) => {
      server.setTimeout(0);
      server.setKeepAlive(true, LEADER_KEEP_ALIVE_MS);
      server.on("error", () => client.destroy()).once("close", () => client.destroy());
      client.once("close", () => server.destroy());
      client.write(`HTTP/1.1 101 Switching Protocols\r\n${linesOf(rawHeaders)}\r\n`, "latin1");
      client.write(begun);
      server.write(head);
      server.pipe(client).pipe(server);
    });
  }

  /** A server may ignore what a client offers (RFC 9110 section 7.8), such as HTTP/2: an ordinary request. */
  #withoutUpgrade({ method, url, rawHeaders }: IncomingMessage, client: Socket, head: Buffer): void {
    const text = `${method} ${url} HTTP/1.1\r\n${linesOf(rawHeaders, UPGRADE_HEADERS)}\r\n`;
    client.unshift(Buffer.concat([Buffer.from(text, "latin1"), head]));
    this.#server.emit(this.#server instanceof SecureServer ? "secureConnection" : "connection", client);
  }

  /** Nothing reads the connection meanwhile, and its end is only seen by reading. */
  async #untilLeaderOrEnd(req: IncomingMessage, client: Socket): Promise<string | null> {
    const look = (): void => void client.read(0);
    const leave = (): void => void client.destroy();
    client.on("readable", look).once("end", leave);
    try {
      return await this.#untilLeader(req, client);
    } finally {
      client.off("readable", look).off("end", leave);
    }
  }
}

/** Reading the address of a client that has not left keeps it: nothing is passed on without one. */
function hasLeft({ destroyed, remoteAddress }: Socket): boolean {
  return destroyed || remoteAddress === undefined;
}

function headBytesOf({ rawHeaders }: IncomingMessage): number {
  return rawHeaders.reduce((sum, text) => sum + text.length + TEXT_BYTES, 0);
}

function hasTooManyHeaders(req: IncomingMessage): boolean {
  if (req.rawHeaders.length / 2 > MAX_HEADER_LINES) return true;
  return Object.values(passedHeaders(req)).flat().length + ADDED_HEADERS > MAX_HEADERS;
}

function isWebSocket({ method, headers }: IncomingMessage): boolean {
  return method === "GET" && headers.upgrade?.toLowerCase() === "websocket";
}

/** A second time changes nothing (RFC 9110 section 9.2.1), and there is no body that was read. */
function isRepeatable(req: IncomingMessage): boolean {
  const { method = "", url = "/" } = req;
  const [path = "/"] = url.split("?");
  return (method === "GET" || method === "HEAD") && !hasBody(req) && treatmentOf(method, path) === "answered";
}

const CIRCLE = "cluster.advertise of the leader leads to a node that does not lead; nothing was stored";
const UNAVAILABLE =
  "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const TOO_MANY_HEADERS =
  "HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
const REFUSALS = {
  NO_LEADER: "No node of the cluster leads at the moment; nothing was stored",
  OUTCOME_UNKNOWN: "The leader of the cluster was lost before it answered; the request may have been stored",
  SHUTTING_DOWN: "The server is stopping",
} as const;

/** @param silentMs how long no leader was heard; null: there is one */
function answerError(req: IncomingMessage, res: ServerResponse, error: PrismError, silentMs: number | null): void {
  const status = STATUS_OF[error.code];
  const isPage = status === 503 && req.method === "GET" && (req.headers.accept ?? "").includes("text/html");
  res.writeHead(status, {
    "Content-Type": isPage ? "text/html; charset=utf-8" : "application/json",
    "Cache-Control": "no-store",
    Connection: "close",
    ...errorHeaders(error),
  });
  res.end(isPage ? pageOf(error.message, silentMs) : JSON.stringify(errorBody(error, uuidv7())));
  // A body that is still on its way is not read.
  req.resume();
}

/** No style and no script; it loads again by itself. */
function pageOf(message: string, silentMs: number | null): string {
  const since = new Date(Date.now() - (silentMs ?? 0)).toISOString();
  const text =
    silentMs === null
      ? ""
      : `<p>Since <time>${since.slice(0, 10)} ${since.slice(11, 19)}</time> UTC.</p>
<p>Another node takes over within seconds once most of the nats-servers can be reached.</p>
<p>If this page stays, run <code>prism doctor</code> on a node: it names the nats-servers that do not answer.</p>
`;
  const title = escapeHtml(message.replace(/;.*/, ""));
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">
<meta http-equiv="refresh" content="5"><title>${title}</title></head>
<body><h1>${title}</h1>
${text}</body></html>
`;
}
