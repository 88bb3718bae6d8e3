import type { HttpRequest, HttpResponse, us_socket_context_t } from "uWebSockets.js";
import type { Principal, RightsWatch, Work } from "../../core/caller.ts";
import { uuidv7 } from "../../core/ids.ts";
import { addressText } from "../../core/ip-addresses.ts";
import type { Bucket } from "../../core/limits/bucket.ts";
import { rateLimitLines } from "../limits/rate-limiter.ts";
import type { Debt, WorkAccount } from "../limits/work-budget.ts";
import {
  type AddressReader,
  API_HEADERS,
  checkHead,
  ENDS_CONNECTION,
  HOPS_HEADER,
  headerOf,
  headerValue,
  IS_CHUNKED,
  JSON_TYPE,
  OWNER_HEADER,
  statusLine,
} from "./headers.ts";

const ID = /^[A-Za-z0-9._:-]{1,128}$/;

/**
 * Limit of one write: uWebSockets before 20.77 loses a chunk that exceeds its cork buffer of 16 KiB
 * while the socket is full, including the chunk's head, and the client receives a broken body.
 */
const MAX_WRITE_BYTES = 16_000;
/** UTF-8 needs at most this many bytes per UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;

export const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze(Object.create(null) as Record<string, string>);

const NO_HEADERS: readonly string[] = [];

/** One of 32 bits, by the length and two letters of a header's name. */
function bitOf(name: string): number {
  const { length } = name;
  return 1 << (length + name.charCodeAt(0) + 3 * name.charCodeAt(length - 1));
}

/** The route of a request, as named in logs, metrics and idempotency keys. */
export interface FoundRoute {
  /** The route's own path, or the requested alias. */
  readonly path: string;
  readonly route: {
    readonly method: string;
    readonly path: string;
    readonly quiet?: boolean;
    readonly module?: string;
  };
}

/**
 * Called once when an exchange is over. `status` is 0 without a complete answer: the client
 * disconnected, or `error` interrupted it.
 */
export type EndListener = (exchange: Exchange, status: number, error?: unknown) => void;

/** Filled by the header loop of {@link Exchange.read}: saves a closure per request. */
let collecting: string[] = [];
const collectHeader = (name: string, value: string): void => {
  collecting.push(name, value);
};

/** Charges what requests cost; see `request-work.ts`. */
interface ChargesWork {
  charge(exchange: Exchange, work: Work): void;
  pay(exchange: Exchange, work: Work): void;
  pause(exchange: Exchange): Promise<void> | null;
  beforeCheck(exchange: Exchange, work: Work): void;
  /** Null: answers name none. */
  readonly ownerOf: ((exchange: Exchange) => string | null) | null;
  isInDebt(exchange: Exchange, isSmall: boolean): boolean;
}

/** The library buffers 16 KiB of an answer; a longer one is sent at once, and its connection closed. */
const UNBUFFERED_BYTES = 20_000;

function flushed(body: string | Uint8Array | null): string {
  return Buffer.from(body ?? "")
    .toString("utf8")
    .padEnd(UNBUFFERED_BYTES);
}

/**
 * One request and its answer. uWebSockets' request object is invalid after its callback, so
 * everything needed is read at once. Its response object is valid until it is answered or aborted,
 * which this class tracks.
 */
export class Exchange {
  readonly res: HttpResponse;
  readonly method: string;
  readonly path: string;
  readonly queryText: string;
  /** Alternating names (lower case) and values. */
  #headers: readonly string[];
  /** A bit for each name: most headers that are looked for are not there. */
  #names = 0;
  readonly requestId: string;
  /** It arrived through the control socket: without a credential the caller is the operator. */
  readonly isControl: boolean;
  /** `X-Correlation-Id` of the caller, if sent. */
  readonly givenCorrelationId: string | null;
  /** The request id was generated here, so it is unique and can name objects of the request. */
  readonly isOwnRequestId: boolean;
  readonly startedAt: number = performance.now();
  readonly #onEnd: EndListener;
  /** Set by the kernel. */
  mount: FoundRoute | null = null;
  params: Readonly<Record<string, string>> = NO_PARAMS;
  principal: Principal | null = null;
  /** Of the principal; null: they are not checked again. */
  rights: RightsWatch | null = null;
  /** Changes of rights before the principal was found. */
  rightsAt = 0;
  /** What the `limit` of the route has found, for its handler. */
  found: unknown = null;
  /** Limit of this request's body, below that of its route. */
  maxBodyBytes: number | null = null;
  /** Rate limit key of a signed request. */
  signerKey: string | null = null;
  rate: Bucket | null = null;
  /** The project of a sender without a principal, set by its route. */
  projectId: string | null = null;
  /** Who pays for reading the body; undefined: found at first use, null: not charged. */
  payer: WorkAccount | null | undefined = undefined;
  /** Charges the work of this request; set by the kernel. */
  work: ChargesWork | null = null;
  /** What was done with bytes of the body that are not UTF-8, for the log; null: nothing. */
  textNote: string | null = null;
  /** The payer is in debt: why a body longer than {@link maxBodyBytes} is refused. */
  debt: Debt | null = null;
  /** The check of another issuer's token, which the caller is found by afterwards. */
  admission: Promise<void> | null = null;
  /** Additional header lines of every answer to this request (CORS), each ending in \r\n. */
  extraHeaders = "";
  /** Set while a body is read or streamed; called when the client disconnects. */
  onAbort: (() => void) | null = null;
  #contentLength: number | null = null;
  readonly #readAddress: AddressReader;
  #clientAddress: string | null = null;
  #isOver = false;
  #isStreaming = false;
  #isInCallback = true;
  #isChunked = false;
  /** The client asked to close after the answer. The library closes without reporting it. */
  #isLast = false;
  #isPutOff = false;

  private constructor(
    res: HttpResponse,
    parts: { method: string; path: string; queryText: string; headers: string[] },
    readAddress: AddressReader,
    onEnd: EndListener,
    isControl: boolean,
  ) {
    this.res = res;
    this.method = parts.method;
    this.path = parts.path;
    this.queryText = parts.queryText;
    this.#headers = parts.headers;
    for (let i = 0; i < parts.headers.length; i += 2) this.#names |= bitOf(parts.headers[i] as string);
    this.#readAddress = readAddress;
    this.#onEnd = onEnd;
    this.isControl = isControl;
    const requestId = this.header("x-request-id");
    this.isOwnRequestId = !ID.test(requestId);
    this.requestId = this.isOwnRequestId ? uuidv7() : requestId;
    const correlationId = this.header("x-correlation-id");
    this.givenCorrelationId = ID.test(correlationId) ? correlationId : null;
  }

  /** @param face prefix of the path, see `faces.ts`. */
  static read(
    res: HttpResponse,
    req: HttpRequest,
    readAddress: AddressReader,
    onEnd: EndListener,
    isControl = false,
    face = "",
  ): Exchange {
    const headers: string[] = [];
    collecting = headers;
    req.forEach(collectHeader);
    const parts = {
      method: req.getCaseSensitiveMethod(),
      path: face === "" ? req.getUrl() : face + req.getUrl(),
      queryText: req.getQuery() ?? "",
      headers,
    };
    return new Exchange(res, parts, readAddress, onEnd, isControl);
  }

  /**
   * Read on first use, because it is a call into the addon; '' after the exchange is over, unless
   * it was read before. '' also on the control socket, whatever X-Forwarded-For contains.
   */
  get clientAddress(): string {
    if (this.isControl) return "";
    if (this.#clientAddress === null) {
      if (this.#isOver) return "";
      this.#clientAddress = this.#readAddress(this.res, this.#headers);
    }
    return this.#clientAddress;
  }

  /**
   * Who sent the request, or passed it on, whatever its headers say; '' after the exchange is over, and on the control
   * socket.
   */
  get peerAddress(): string {
    return this.isControl || this.#isOver ? "" : addressText(new Uint8Array(this.res.getRemoteAddress()));
  }

  /**
   * The value of a field, '' if missing; values of repeated fields are joined by commas (RFC 9110
   * section 5.2). @param name in lower case.
   */
  header(name: string): string {
    return (this.#names & bitOf(name)) === 0 ? "" : headerOf(this.#headers, name);
  }

  /** The length of the body that the head names; 0 without one. */
  get contentLength(): number {
    this.#contentLength ??= Number(this.header("content-length")) || 0;
    return this.#contentLength;
  }

  /** Names of the fields, in lower case, in order; without the nodes of a cluster on the way. */
  headerNames(): string[] {
    return this.#headers.filter((name, at) => at % 2 === 0 && name !== HOPS_HEADER);
  }

  /** The caller is known, and pays from now on. @param rights what changes of them from now on is seen */
  identified(principal: Principal | null, rights: RightsWatch | null = null): void {
    this.principal = principal;
    this.rights = rights;
    if (rights) this.rightsAt = rights.changes;
    this.payer = undefined;
  }

  /** Drops the fields that no answer and no log line needs, for requests that wait for a commit. */
  releaseHead(): void {
    const trace = this.header("traceparent");
    this.#headers = trace === "" ? NO_HEADERS : ["traceparent", trace];
  }

  /** @throws what {@link checkHead} throws */
  refuseBadHead(): void {
    const found = checkHead(this.path.length + this.queryText.length, this.#headers);
    this.#isLast = (found & ENDS_CONNECTION) !== 0;
    this.#isChunked = (found & IS_CHUNKED) !== 0;
  }

  /**
   * The library reads trailers as another head, answers that with 426 and drops what waits to be sent:
   * the refusal has to leave before.
   */
  get announcesTrailers(): boolean {
    return this.#isChunked && this.header("trailer") !== "";
  }

  /** The body's length is not known in advance. */
  get isChunked(): boolean {
    return this.#isChunked;
  }

  /** The created object may have its own correlation id. */
  madeCorrelationId: string | null = null;

  get correlationId(): string {
    return this.givenCorrelationId ?? this.madeCorrelationId ?? this.requestId;
  }

  /** Whether it is answered, or the client has disconnected. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether the head of a streamed answer was sent: no other answer is possible. */
  get isStreaming(): boolean {
    return this.#isStreaming;
  }

  /** The request's callback is about to return; from now on writes need a cork. */
  leaveCallback(): void {
    this.#isInCallback = false;
  }

  /** Call it before the request's callback returns, unless it is answered by then. */
  watchAbort(): void {
    this.res.onAborted(() => this.#aborted());
  }

  #aborted(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onAbort?.();
    this.#onEnd(this, 0);
  }

  /** Answers with JSON text. */
  sendJson(status: number, json: string, headers?: Readonly<Record<string, string>>): void {
    this.send(status, json, { "Content-Type": JSON_TYPE, ...headers });
  }

  /** Answers, unless the client has disconnected. @param close closes the connection after it */
  send(
    status: number,
    body: string | Uint8Array | null,
    headers: Readonly<Record<string, string>> = {},
    { close = false, fixedHeaders = API_HEADERS }: { close?: boolean; fixedHeaders?: string } = {},
  ): void {
    this.#write(status, body, headerLines(headers), fixedHeaders, close);
  }

  /** {@link sendJson} for the hot path, without a header object. */
  sendJsonFast(status: number, json: string): void {
    this.#write(status, json, FAST_LINES, API_HEADERS, false);
  }

  /**
   * The connection of a chunked request is closed with its answer, after the library has read
   * everything that came with the request. The library reads chunk extensions as digits of the
   * size, so the rest of such a body must not become a request.
   */
  #write(status: number, body: string | Uint8Array | null, lines: string, fixedHeaders: string, close: boolean): void {
    if (this.#isOver) return;
    if (this.#isChunked && !this.#isPutOff) {
      this.#isPutOff = true;
      if (this.#isInCallback && this.announcesTrailers) {
        this.#isOver = true;
        this.#writeNow(status, flushed(body), lines, fixedHeaders, true);
        this.#onEnd(this, status);
        return;
      }
      setImmediate(() => this.#write(status, body, lines, fixedHeaders, true));
      return;
    }
    if (close && this.#isInCallback) {
      // After an immediate answer the library continues to read: the rest becomes another request,
      // and the close is forgotten. While the answer is pending, further data makes the library
      // close the connection.
      setImmediate(() => this.#write(status, body, lines, fixedHeaders, close));
      return;
    }
    this.#isOver = true;
    if (this.#isInCallback) this.#writeNow(status, body, lines, fixedHeaders, close);
    else this.res.cork(() => this.#writeNow(status, body, lines, fixedHeaders, close));
    this.#onEnd(this, status);
  }

  #writeNow(
    status: number,
    body: string | Uint8Array | null,
    lines: string,
    fixedHeaders: string,
    close: boolean,
  ): void {
    const { res } = this;
    res.writeStatus(this.#headerBlock(status, lines, fixedHeaders));
    // Otherwise clients would send the next request over a closing connection (RFC 9112 9.6).
    if (this.#isLast) res.writeHeader("Connection", "close");
    if (status === 204 || status === 304) this.#endWithoutBody(close);
    else if (this.method === "HEAD") {
      if (body !== null && !close) res.writeHeader("Content-Length", String(Buffer.byteLength(body)));
      this.#endWithoutBody(close);
    } else res.end(body ?? "", close);
  }

  /**
   * With a length other than 0, `endWithoutBody` waits for that many bytes: an answer in the
   * request's callback then aborts the process, a later one makes the connection unusable.
   * `undefined` counts as such a length.
   */
  #endWithoutBody(close: boolean): void {
    if (close) this.res.endWithoutBody(0, true);
    else this.res.endWithoutBody();
  }

  /** The status line and all headers: the library writes a status unchanged, and each call into it costs. */
  #headerBlock(status: number, lines: string, fixedHeaders: string): string {
    const rate = this.rate ? rateLimitLines(this.rate) : "";
    const ids = `X-Request-Id: ${this.requestId}\r\nX-Correlation-Id: ${this.correlationId}\r\n`;
    const owner = this.work?.ownerOf?.(this) ?? null;
    const owned = owner === null ? "" : `${OWNER_HEADER}: ${owner}\r\n`;
    return `${statusLine(status)}\r\n${ids}${lines}${rate}${owned}${this.extraHeaders}${fixedHeaders}`;
  }

  /**
   * Upgrades the connection to a WebSocket, which ends the exchange. Only in the callback of the
   * request, which is corked: a later cork of ours would end by treating the new socket as a
   * response, reading unrelated memory, and possibly closing it (uWebSockets issue 1928).
   */
  upgrade(data: object, protocol: string, context: us_socket_context_t): void {
    if (!this.#isInCallback) throw new TypeError("a socket is upgraded in the callback of its request");
    if (this.#isOver) return;
    this.#isOver = true;
    const key = this.header("sec-websocket-key");
    const extensions = this.header("sec-websocket-extensions");
    this.res.writeStatus("101 Switching Protocols");
    this.res.writeHeader("X-Request-Id", this.requestId);
    this.res.writeHeader("X-Correlation-Id", this.correlationId);
    this.res.upgrade(data, key, protocol, extensions, context);
    this.#onEnd(this, 101);
  }

  /**
   * {@link upgrade} after the callback, without a cork: the library writes the whole head itself,
   * and no socket of ours is used after it.
   */
  upgradeLater(data: object, protocol: string, context: us_socket_context_t): void {
    if (this.#isInCallback) throw new TypeError("in the callback of the request, use upgrade()");
    if (this.#isOver) return;
    this.#isOver = true;
    const key = this.header("sec-websocket-key");
    this.res.upgrade(data, key, protocol, this.header("sec-websocket-extensions"), context);
    this.#onEnd(this, 101);
  }

  /**
   * Starts a streamed answer for {@link write}; end it with {@link finishStream}. An answer to HEAD
   * has no body: the exchange is then over, and nothing may be written.
   */
  startStream(status: number, headers: Readonly<Record<string, string>>, fixedHeaders = API_HEADERS): void {
    const lines = headerLines(headers);
    if (this.method === "HEAD") {
      this.#write(status, null, lines, fixedHeaders, false);
      return;
    }
    this.#isStreaming = true;
    const begin = (): void => {
      this.res.writeStatus(this.#headerBlock(status, lines, fixedHeaders));
      if (this.#isLast) this.res.writeHeader("Connection", "close");
    };
    if (this.#isInCallback) begin();
    else this.res.cork(begin);
  }

  /** Writes a part of a body. @returns false for a slow client: the library buffers the rest */
  write(part: string | Uint8Array): boolean {
    if (fitsOneWrite(part)) return this.#writeCorked(part);
    const bytes = typeof part === "string" ? Buffer.from(part) : part;
    let isTaken = true;
    for (let at = 0; at < bytes.length; at += MAX_WRITE_BYTES) {
      isTaken = this.#writeCorked(bytes.subarray(at, at + MAX_WRITE_BYTES));
    }
    return isTaken;
  }

  #writeCorked(part: string | Uint8Array): boolean {
    let isTaken = false;
    this.res.cork(() => {
      isTaken = this.res.write(part);
    });
    return isTaken;
  }

  /** Closes the connection inside an answer, so that a partial body does not look complete. */
  breakOff(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onAbort?.();
    this.res.close();
    this.#onEnd(this, 0, error);
  }

  /** The last byte of an answer with a known length was written: the library ends it. */
  streamEnded(status: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#onEnd(this, status);
  }

  finishStream(status: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.res.cork(() => this.res.end(undefined, this.#isChunked));
    this.#onEnd(this, status);
  }
}

function fitsOneWrite(part: string | Uint8Array): boolean {
  if (part.length * MAX_BYTES_PER_UNIT <= MAX_WRITE_BYTES) return true;
  return Buffer.byteLength(part) <= MAX_WRITE_BYTES;
}

const FAST_LINES = `Content-Type: ${JSON_TYPE}\r\nCache-Control: no-store\r\n`;

/** Answers are not cached by default. */
function headerLines(headers: Readonly<Record<string, string>>): string {
  let lines = "";
  for (const name in headers) lines += `${name}: ${headerValue(headers[name] as string)}\r\n`;
  return headers["Cache-Control"] === undefined ? `${lines}Cache-Control: no-store\r\n` : lines;
}
