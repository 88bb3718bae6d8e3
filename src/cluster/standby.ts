import { readFileSync } from "node:fs";
import {
  Agent,
  type ClientRequest,
  createServer,
  type IncomingMessage,
  type RequestOptions,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer as createSecureServer, Agent as SecureAgent, request as secureRequest } from "node:https";
import { connect, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { rootCertificates, type SecureContextOptions, connect as secureConnect } from "node:tls";
import { PrismError } from "../core/errors.ts";
import { uuidv7 } from "../core/ids.ts";
import { errorBody, errorHeaders } from "../http/error-reply.ts";
import { answerAndKeep, type DegradedServer, treatmentOf } from "./degraded.ts";

export interface StandbyOptions {
  readonly host: string;
  readonly port: number;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The authority of the leader's certificate, beside those of the system. */
  readonly caFile?: string | undefined;
  /** How long a request waits for a leader. */
  readonly holdMs: number;
  /** URL of the leader; null: there is none. */
  leader(): string | null;
  /** What answers instead of a leader; null: nothing does. */
  degraded(): DegradedServer | null;
  /** What this node answers itself, by path; null: the leader answers. */
  own(path: string): { readonly status: number; readonly body: string; readonly contentType: string } | null;
}

interface Waiting {
  readonly go: (leader: string | null) => void;
  readonly timer: NodeJS.Timeout;
}

/** More than this many requests do not wait for a leader. */
const MAX_WAITING = 10_000;
const AGAIN_MS = 200;
const HOP_BY_HOP: ReadonlySet<string> = new Set(["connection", "keep-alive", "proxy-connection", "te", "upgrade"]);

/**
 * The port of a node that does not lead: it answers what is about itself, and passes on everything
 * else to the leader as it comes. Without a leader requests wait for one.
 */
export class StandbyPort {
  readonly #options: StandbyOptions;
  readonly #server: Server;
  readonly #authorities: SecureContextOptions;
  readonly #agents: readonly [Agent, SecureAgent];
  readonly #waiting = new Set<Waiting>();
  /** Requests that a leader has, by its URL. */
  readonly #passed = new Map<ClientRequest, string>();
  /** Connections that are passed on as bytes. */
  readonly #piped = new Set<Duplex>();
  /** This node leads: what waited goes to its own port. */
  #ownUrl: string | null = null;
  /** Requests that were answered with 503, by code. */
  readonly refused: Record<keyof typeof REFUSALS, number> = { NO_LEADER: 0, OUTCOME_UNKNOWN: 0 };

  constructor(options: StandbyOptions) {
    this.#options = options;
    const { certFile, keyFile, caFile } = options;
    this.#authorities = caFile === undefined ? {} : { ca: [...rootCertificates, readFileSync(caFile)] };
    this.#agents = [new Agent({ keepAlive: true }), new SecureAgent({ keepAlive: true, ...this.#authorities })];
    const tls = certFile !== undefined && keyFile !== undefined;
    this.#server = tls
      ? createSecureServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) })
      : createServer();
    this.#server.on("request", (req, res) => void this.#answer(req, res));
    this.#server.on("upgrade", (req, socket, head) => void this.#pipe(req, socket, head));
  }

  listen(): Promise<void> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, resolve);
    });
  }

  /** Requests that wait go on to the leader. */
  leaderChanged(): void {
    const leader = this.#leader();
    if (leader === null) return;
    // The one before may hang, and must not answer any more.
    for (const [passed, to] of this.#passed) if (to !== leader) passed.destroy(new Error("another node leads"));
    for (const waiting of [...this.#waiting]) this.#end(waiting, leader);
  }

  /** Frees the port; what waits goes on waiting. */
  stopListening(): void {
    this.#server.close();
  }

  /** This node leads and listens: what waited is passed on to it. */
  leadsAt(url: string): void {
    this.#ownUrl = url;
    this.leaderChanged();
  }

  close(): void {
    for (const waiting of [...this.#waiting]) this.#end(waiting, null);
    for (const socket of this.#piped) socket.destroy();
    this.#server.close();
    this.#server.closeAllConnections();
    for (const agent of this.#agents) agent.destroy();
  }

  #leader(): string | null {
    return this.#ownUrl ?? this.#options.leader();
  }

  #end(waiting: Waiting, leader: string | null): void {
    clearTimeout(waiting.timer);
    this.#waiting.delete(waiting);
    waiting.go(leader);
  }

  /** @returns null when none came in time */
  #untilLeader(): Promise<string | null> {
    const leader = this.#leader();
    if (leader !== null || this.#waiting.size >= MAX_WAITING) return Promise.resolve(leader);
    return new Promise((go) => {
      const waiting: Waiting = { go, timer: setTimeout(() => this.#end(waiting, null), this.#options.holdMs) };
      this.#waiting.add(waiting);
    });
  }

  /** @param since when the request came, by the monotonic clock */
  async #answer(req: IncomingMessage, res: ServerResponse, since = performance.now()): Promise<void> {
    const [path = "/"] = (req.url ?? "/").split("?");
    const own = this.#ownUrl === null ? this.#options.own(path) : null;
    if (own) {
      res.writeHead(own.status, { "Content-Type": own.contentType, "Cache-Control": "no-store" }).end(own.body);
      return;
    }
    const degraded = this.#degraded();
    const treatment = degraded ? treatmentOf(req.method ?? "GET", path) : null;
    if (degraded && treatment === "answered") return this.#pass(degraded.url, req, res, since);
    if (degraded && treatment === "kept") {
      const isAnswered = await answerAndKeep(degraded, req, res, passedHeaders(req)).catch(() => false);
      return isAnswered ? undefined : this.#refuse(req, res, "NO_LEADER");
    }
    const leader = degraded ? null : await this.#untilLeader();
    if (leader === null) this.#refuse(req, res, "NO_LEADER");
    else this.#pass(leader, req, res, since);
  }

  #degraded(): DegradedServer | null {
    return this.#leader() === null ? this.#options.degraded() : null;
  }

  #pass(leader: string, req: IncomingMessage, res: ServerResponse, since: number): void {
    const target = new URL(leader);
    const isSecure = target.protocol === "https:";
    const options: RequestOptions = {
      host: target.hostname.replace(/^\[|\]$/g, ""),
      port: target.port || (isSecure ? 443 : 80),
      method: req.method,
      path: req.url,
      headers: passedHeaders(req),
      agent: this.#agents[isSecure ? 1 : 0],
      setHost: false,
    };
    const passed = (isSecure ? secureRequest : request)(options, (reply) => {
      const headers = Object.entries(reply.headers).filter(([name]) => !HOP_BY_HOP.has(name));
      res.writeHead(reply.statusCode ?? 502, Object.fromEntries(headers));
      reply.pipe(res);
      reply.once("error", () => res.destroy());
    });
    this.#passed.set(passed, leader);
    let hasBegun = false;
    passed.once("error", () => {
      if (res.headersSent) res.destroy();
      else if (hasBegun) this.#refuse(req, res, "OUTCOME_UNKNOWN");
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
    const begin = (): void => {
      hasBegun = true;
      req.pipe(passed);
    };
    // Until the leader can be reached nothing is read of the request: it may go to another one.
    passed.once("socket", (socket: Socket) => {
      if (socket.connecting) socket.once("connect", begin);
      else begin();
    });
  }

  /** The leader could not be reached: it is gone, and not known to be. */
  #again(req: IncomingMessage, res: ServerResponse, since: number): void {
    if (performance.now() - since >= this.#options.holdMs) this.#refuse(req, res, "NO_LEADER");
    else setTimeout(() => void this.#answer(req, res, since), AGAIN_MS);
  }

  #refuse(req: IncomingMessage, res: ServerResponse, code: keyof typeof REFUSALS): void {
    this.refused[code]++;
    refuse(req, res, code);
  }

  /** WebSocket and other upgrades: bytes in both directions. */
  async #pipe(req: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    this.#piped.add(client);
    client.once("close", () => this.#piped.delete(client));
    client.on("error", () => client.destroy());
    const leader = this.#degraded()?.url ?? (await this.#untilLeader());
    if (leader === null) {
      client.end(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
      );
      return;
    }
    const server = connectTo(new URL(leader), this.#authorities);
    server.once("error", () => client.destroy());
    server.once("close", () => client.destroy());
    client.once("close", () => server.destroy());
    const lines = Object.entries(passedHeaders(req, true)).flatMap(([name, value]) =>
      [value].flat().map((each) => `${name}: ${each}\r\n`),
    );
    server.write(`${req.method} ${req.url} HTTP/1.1\r\n${lines.join("")}\r\n`);
    server.write(head);
    server.pipe(client).pipe(server);
  }
}

function connectTo(target: URL, authorities: SecureContextOptions): Socket {
  const host = target.hostname.replace(/^\[|\]$/g, "");
  if (target.protocol === "https:")
    return secureConnect({
      ...{ ...authorities, host, port: Number(target.port || 443) },
      // An address is no name for it (RFC 6066 section 3).
      ...(isIP(host) === 0 && { servername: host }),
    });
  return connect({ host, port: Number(target.port || 80) });
}

/** The client's headers and address (RFC 9110 section 7.6). */
function passedHeaders(req: IncomingMessage, isUpgrade = false): NodeJS.Dict<string | string[]> {
  const headers = Object.entries(req.headers).filter(([name]) => isUpgrade || !HOP_BY_HOP.has(name));
  const from = [req.headers["x-forwarded-for"] ?? [], req.socket.remoteAddress ?? []].flat().join(", ");
  return { ...Object.fromEntries(headers), "x-forwarded-for": from };
}

const REFUSALS = {
  NO_LEADER: "No node of the cluster leads at the moment; nothing was stored",
  OUTCOME_UNKNOWN: "The leader of the cluster was lost before it answered; the request may have been stored",
} as const;

function refuse(req: IncomingMessage, res: ServerResponse, code: keyof typeof REFUSALS): void {
  const error = new PrismError(code, REFUSALS[code], { retryAfterMs: 5000 });
  const isPage = req.method === "GET" && (req.headers.accept ?? "").includes("text/html");
  res.writeHead(503, {
    "Content-Type": isPage ? "text/html; charset=utf-8" : "application/json",
    "Cache-Control": "no-store",
    Connection: "close",
    ...errorHeaders(error),
  });
  res.end(isPage ? PAGE : JSON.stringify(errorBody(error, uuidv7())));
  // A body that is still on its way is not read.
  req.resume();
}

/** No style and no script; it loads again by itself. */
const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">
<meta http-equiv="refresh" content="5"><title>No node leads</title></head>
<body><h1>No node of the cluster leads</h1>
<p>Another node takes over within seconds once most of the nats-servers can be reached.</p>
<p>If this page stays, see which nats-servers run, and the log of this node.</p>
</body></html>
`;
