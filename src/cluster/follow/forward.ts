import { readFileSync } from "node:fs";
import { Agent, type ClientRequest, type IncomingMessage, type RequestOptions, request } from "node:http";
import { Agent as SecureAgent, request as secureRequest } from "node:https";
import { isIP, type Socket } from "node:net";
import {
  type ConnectionOptions,
  checkServerIdentity,
  createSecureContext,
  rootCertificates,
  type SecureContext,
} from "node:tls";
import type { Logger } from "../../core/log.ts";
import { HOPS_HEADER, OWN_HOP, OWNER_HEADER, TAKEN_AT_HEADER, trustOwnHop } from "../../http/server/headers.ts";

type Headers = NodeJS.Dict<string | string[]>;

/** Headers of one connection, and those that only Prism itself may set. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  ...["connection", "keep-alive", "proxy-connection", "te", "upgrade"],
  ...[OWNER_HEADER, TAKEN_AT_HEADER],
]);

/** A request without its body. */
interface RequestHead {
  readonly method: string;
  /** As it came: dot segments are not resolved. */
  readonly path: string;
  readonly headers: Headers;
}

/** A request as it came. */
export interface WholeRequest extends RequestHead {
  readonly body: Buffer;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** The request was sent, or a part of it, and no whole answer came. */
export class Unanswered extends Error {
  constructor(cause: Error) {
    super(`no answer: ${cause.message}`, { cause });
    this.name = "Unanswered";
  }
}

interface ForwarderOptions {
  readonly node: string;
  /** The URL under which other nodes reach this one: its certificate has this name. */
  readonly advertise: string;
  /** The authority of the certificates of nodes, beside those of the system. */
  readonly caFile?: string | undefined;
  /** Headers with which a proxy signs people in: to the leader they would come from this node. */
  readonly notPassed?: ReadonlySet<string>;
  readonly log: Logger;
}

/** The server of a node closes a connection that is idle for longer. */
const IDLE_MS = 5000;
const TIMEOUT_MS = 30_000;

/** Connections of a node to the leader, to its own server once it leads, and to what answers without a leader. */
export class Forwarder {
  readonly #node: string;
  readonly #ownName: string;
  readonly #log: Logger;
  readonly #context: SecureContext;
  readonly #agents: readonly [Agent, SecureAgent];
  readonly #notPassed: ReadonlySet<string> | undefined;
  readonly #reported = new Set<string>();
  #ownUrl: string | null = null;

  constructor({ node, advertise, caFile, notPassed, log }: ForwarderOptions) {
    this.#node = node;
    this.#notPassed = notPassed;
    this.#ownName = hostOf(new URL(advertise));
    this.#log = log;
    this.#context = createSecureContext(
      caFile === undefined ? {} : { ca: [...rootCertificates, readFileSync(caFile, "utf8")] },
    );
    const own = { keepAlive: true, timeout: IDLE_MS };
    this.#agents = [new Agent(own), new SecureAgent(own)];
  }

  /** The headers of a request as the leader gets them. */
  headersOf(req: IncomingMessage, isUpgrade = false): Headers {
    return passedHeaders(req, this.#notPassed, isUpgrade);
  }

  /** This node leads: the server at `url` is its own. */
  leadsAt(url: string): void {
    this.#ownUrl = url;
  }

  /** Causes that were logged are logged again. */
  leaderChanged(): void {
    this.#reported.clear();
  }

  close(): void {
    for (const agent of this.#agents) agent.destroy();
  }

  /** Whether a request went through this node before: addresses of nodes lead in a circle. */
  hasPassed(headers: Headers): boolean {
    return hopsOf(headers).includes(this.#node);
  }

  /** @param begin called when the server is connected and has shown its certificate: nothing was sent before. */
  open(to: string, { method, path, headers }: RequestHead, begin: (passed: ClientRequest) => void): ClientRequest {
    const target = new URL(to);
    const isSecure = target.protocol === "https:";
    const options: RequestOptions & ConnectionOptions = {
      ...this.#wayTo(to),
      ...{ method, path, headers: this.#headersTo(to, headers), setHost: false, agent: this.#agents[isSecure ? 1 : 0] },
    };
    const passed = (isSecure ? secureRequest : request)(options);
    passed.once("socket", (socket: Socket) => {
      if (passed.reusedSocket) return begin(passed);
      socket.once(isSecure ? "secureConnect" : "connect", () => {
        this.#trustOwn(to, socket);
        begin(passed);
      });
    });
    return passed;
  }

  /** Sends a request with its body. @returns the whole answer. @throws Unanswered, errors of the connection */
  exchange(to: string, { body, ...head }: WholeRequest): Promise<Answer> {
    const { "transfer-encoding": _coding, ...others } = head.headers;
    const sent = { ...head, headers: { ...others, "content-length": String(body.length) } };
    return new Promise((resolve, reject) => {
      let hasBegun = false;
      const passed = this.open(to, sent, () => {
        hasBegun = true;
        passed.end(body);
      });
      const failed = (error: Error): void => reject(hasBegun ? new Unanswered(error) : error);
      const timer = setTimeout(() => passed.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
      passed.once("close", () => clearTimeout(timer));
      passed.once("error", failed);
      passed.once("response", (reply) => {
        const chunks: Buffer[] = [];
        reply.on("data", (chunk: Buffer) => chunks.push(chunk));
        reply.once("error", failed);
        reply.once("end", () => {
          const { connection: _connection, "transfer-encoding": _replied, ...kept } = reply.headers;
          resolve({ status: reply.statusCode ?? 502, headers: kept, body: Buffer.concat(chunks) });
        });
      });
    });
  }

  /** The client's headers, and the nodes that the request came through. */
  #headersTo(to: string, headers: Headers): Headers {
    const hops = to === this.#ownUrl ? OWN_HOP : [...hopsOf(headers), this.#node].join(", ");
    return { ...headers, [HOPS_HEADER]: hops };
  }

  /** Logs why a request could not be passed on, each cause once. */
  failed(to: string, error: unknown): void {
    const text = `${to} ${String(error)}`;
    if (this.#reported.has(text)) return;
    this.#reported.add(text);
    this.#log.warn({ to, err: error }, "cannot pass a request on");
  }

  /** The own server has the certificate of the name that the other nodes use. */
  #wayTo(to: string): ConnectionOptions & { readonly host: string; readonly port: number } {
    const target = new URL(to);
    const host = hostOf(target);
    const isSecure = target.protocol === "https:";
    const way = { host, port: Number(target.port || (isSecure ? 443 : 80)) };
    if (!isSecure) return way;
    const name = to === this.#ownUrl ? this.#ownName : host;
    return {
      ...{ ...way, secureContext: this.#context },
      // An address is no name for it (RFC 6066 section 3); without one Node would take that of the Host header.
      servername: isIP(name) === 0 ? name : "",
      checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
    };
  }

  #trustOwn(to: string, { localAddress }: Socket): void {
    if (to === this.#ownUrl && localAddress !== undefined) trustOwnHop(localAddress);
  }
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

function hopsOf(headers: Headers): string[] {
  return [headers[HOPS_HEADER] ?? []]
    .flat()
    .flatMap((line) => line.split(","))
    .map((hop) => hop.trim())
    .filter(Boolean);
}

/**
 * The client's headers and address (RFC 9110 section 7.6); trailers are not passed on.
 * @param notPassed names in lower case of headers that only count where they arrive
 */
export function passedHeaders(
  req: IncomingMessage,
  notPassed: ReadonlySet<string> = new Set(),
  isUpgrade = false,
): NodeJS.Dict<string | string[]> {
  const headers = Object.entries(req.headers).filter(
    ([name]) => name !== "trailer" && !notPassed.has(name) && (isUpgrade || !HOP_BY_HOP.has(name)),
  );
  const from = [req.headers["x-forwarded-for"] ?? [], req.socket.remoteAddress ?? []].flat().join(", ");
  return { ...Object.fromEntries(headers), "x-forwarded-for": from };
}

export function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

export const UPGRADE_HEADERS: ReadonlySet<string> = new Set(["upgrade", "connection", "http2-settings"]);

/** Lines of a head; names and values alternate. */
export function linesOf(rawHeaders: readonly string[], without: ReadonlySet<string> = new Set()): string {
  const lines = rawHeaders.map((name, at) => {
    if (at % 2 === 1 || without.has(name.toLowerCase())) return "";
    return `${name}: ${rawHeaders[at + 1]}\r\n`;
  });
  return lines.join("");
}
