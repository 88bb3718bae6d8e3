import type { HttpRequest, HttpResponse, us_socket_context_t } from "uWebSockets.js";
import type { Bucket } from "../core/bucket.ts";
import { PrismError } from "../core/errors.ts";
import { uuidv7 } from "../core/ids.ts";
import type { Principal } from "../core/principal.ts";
import { statusLine } from "./error-reply.ts";
import { API_HEADERS, headerOf, headerValue, JSON_TYPE } from "./headers.ts";
import { rateLimitLines } from "./rate-limiter.ts";

const ID = /^[A-Za-z0-9._:-]{1,128}$/;
const MAX_URL_BYTES = 8192;
const MAX_HEAD_BYTES = 16_384;
/** Colon, space and line end of a header field. */
const FIELD_EXTRA_BYTES = 4;

/**
 * What one write may have: uWebSockets before 20.77 loses the bytes of a chunk that does not fit
 * its cork buffer of 16 KiB when the socket takes nothing any more, not even the chunk's head. The
 * head goes out later without them, and the client finds the body broken.
 */
const MAX_WRITE_BYTES = 16_000;
/** UTF-8 takes at most this many bytes for a unit of UTF-16. */
const MAX_BYTES_PER_UNIT = 3;

export const NO_PARAMS: Readonly<Record<string, string>> = Object.freeze(Object.create(null) as Record<string, string>);

/** The route that was found for a request, as logs, metrics and idempotency keys name it. */
export interface FoundRoute {
  /** The route's own path, or the alias that was asked for. */
  readonly path: string;
  readonly route: {
    readonly method: string;
    readonly path: string;
    readonly quiet?: boolean;
    readonly module?: string;
  };
}

/**
 * Called once when an exchange is over. `status` is 0 when no whole answer was given: the client
 * went away, or `error` broke it off.
 */
export type EndListener = (exchange: Exchange, status: number, error?: unknown) => void;

/** Works out the client's address from the peer's and, behind trusted proxies, the headers. */
export type AddressReader = (res: HttpResponse, headers: readonly string[]) => string;

/**
 * Filled by the header loop of {@link Exchange.read}: one function for all requests, in place of a
 * closure for each.
 */
let collecting: string[] = [];
const collectHeader = (name: string, value: string): void => {
  collecting.push(name, value);
};

/**
 * One request and its answer. uWebSockets' request object is gone when its callback returns, so
 * everything needed is read at once; its response object may be used until it is answered or
 * aborted, which this class keeps track of.
 */
export class Exchange {
  readonly res: HttpResponse;
  readonly method: string;
  readonly path: string;
  readonly queryText: string;
  /** Names (lower case) and values in turn. */
  readonly #headers: string[];
  readonly requestId: string;
  /** It came by the control socket: without a credential the caller is the operator. */
  readonly isControl: boolean;
  /** `X-Correlation-Id` of the caller, if it sent one. */
  readonly givenCorrelationId: string | null;
  /** We made the request id: no other request has it, so it may name what the request makes. */
  readonly isOwnRequestId: boolean;
  readonly startedAt: number = performance.now();
  readonly #onEnd: EndListener;
  /** Set by the kernel. */
  mount: FoundRoute | null = null;
  params: Readonly<Record<string, string>> = NO_PARAMS;
  principal: Principal | null = null;
  /** What a signed request is counted by. */
  signerKey: string | null = null;
  rate: Bucket | null = null;
  /** Extra header lines of every answer to this request (CORS), each ending in \r\n. */
  extraHeaders = "";
  /** Set while a body is read or written bit by bit: called when that is of no more use. */
  onAbort: (() => void) | null = null;
  readonly #readAddress: AddressReader;
  #clientAddress: string | null = null;
  #isOver = false;
  #isStreaming = false;
  #isInCallback = true;
  #isChunked = false;
  /**
   * The client asks that the connection ends with the answer. The library ends it, and does not say
   * so.
   */
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
    this.#readAddress = readAddress;
    this.#onEnd = onEnd;
    this.isControl = isControl;
    const requestId = this.header("x-request-id");
    this.isOwnRequestId = !ID.test(requestId);
    this.requestId = this.isOwnRequestId ? uuidv7() : requestId;
    const correlationId = this.header("x-correlation-id");
    this.givenCorrelationId = ID.test(correlationId) ? correlationId : null;
  }

  static read(
    res: HttpResponse,
    req: HttpRequest,
    readAddress: AddressReader,
    onEnd: EndListener,
    isControl = false,
  ): Exchange {
    const headers: string[] = [];
    collecting = headers;
    req.forEach(collectHeader);
    const parts = {
      method: req.getCaseSensitiveMethod(),
      path: req.getUrl(),
      queryText: req.getQuery() ?? "",
      headers,
    };
    return new Exchange(res, parts, readAddress, onEnd, isControl);
  }

  /**
   * Asked for at need, for it takes a call into the addon; '' once the exchange is over, unless it
   * was asked for before. '' also on the control socket, whatever X-Forwarded-For says.
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
   * The value of a field, '' when absent; of a repeated one the values joined by commas (RFC 9110
   * section 5.2). @param name in lower case.
   */
  header(name: string): string {
    return headerOf(this.#headers, name);
  }

  /** Names of the fields, in lower case, in their order. */
  headerNames(): string[] {
    return this.#headers.filter((_, at) => at % 2 === 0);
  }

  /**
   * Refuses what the library's parser lets through (docs/http.md): it only measures a head that
   * comes in pieces, takes any Transfer-Encoding for `chunked`, and accepts fields twice that frame
   * the message or name the host. Two readings of where a request ends are how one is smuggled past
   * a proxy (RFC 9112 section 11.2). @throws URI_TOO_LONG, HEADERS_TOO_LARGE, BadHead
   */
  refuseBadHead(): void {
    const headers = this.#headers;
    let bytes = this.path.length + this.queryText.length;
    if (bytes > MAX_URL_BYTES) throw new PrismError("URI_TOO_LONG", "The URL is longer than 8 KiB");
    let hosts = 0;
    let framings = 0;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string;
      const value = headers[i + 1] as string;
      bytes += name.length + value.length + FIELD_EXTRA_BYTES;
      // Few names share a length: nearly all fields cost one comparison of numbers.
      switch (name.length) {
        case 4:
          if (name === "host") hosts++;
          break;
        case 10:
          if (name === "connection") this.#isLast = value === "close";
          break;
        case 14:
          if (name !== "content-length") break;
          framings++;
          if (value === "") throw new BadHead("Content-Length is empty");
          break;
        case 17:
          if (name !== "transfer-encoding") break;
          framings++;
          this.#isChunked = true;
          if (value.toLowerCase() !== "chunked") throw new BadHead("The only Transfer-Encoding is chunked");
      }
    }
    if (bytes > MAX_HEAD_BYTES) throw new PrismError("HEADERS_TOO_LARGE", "The header fields are larger than 16 KiB");
    if (framings > 1) throw new BadHead("Only one Content-Length or Transfer-Encoding may frame the body");
    if (hosts > 1) throw new BadHead("More than one Host");
  }

  /** The body's length is not known beforehand. */
  get isChunked(): boolean {
    return this.#isChunked;
  }

  /** What the request made may have brought a correlation id of its own. */
  madeCorrelationId: string | null = null;

  get correlationId(): string {
    return this.givenCorrelationId ?? this.madeCorrelationId ?? this.requestId;
  }

  /** True when it has been answered, or the client has gone away. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /**
   * True when the head of an answer has gone out whose body follows bit by bit: no other answer can
   * be given any more.
   */
  get isStreaming(): boolean {
    return this.#isStreaming;
  }

  /**
   * The callback in which the request arrived is about to return; from now on writes are corked by
   * us.
   */
  leaveCallback(): void {
    this.#isInCallback = false;
  }

  /** To be attached before the request's callback returns, if no answer has been given by then. */
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

  /**
   * Answers. Does nothing when the client has gone away.
   * @param close ends the connection after the answer.
   */
  send(
    status: number,
    body: string | Uint8Array | null,
    headers: Readonly<Record<string, string>> = {},
    { close = false, fixedHeaders = API_HEADERS }: { close?: boolean; fixedHeaders?: string } = {},
  ): void {
    this.#write(status, body, headerLines(headers), fixedHeaders, close);
  }

  /** {@link sendJson} for the hot path: no header object. */
  sendJsonFast(status: number, json: string): void {
    this.#write(status, json, FAST_LINES, API_HEADERS, false);
  }

  /**
   * The connection of a chunked request ends with its answer, which waits until the library has
   * read all that came with the request. The library takes chunk extensions for digits of the size:
   * what follows such a body may be a part of it, and must not become a request.
   */
  #write(status: number, body: string | Uint8Array | null, lines: string, fixedHeaders: string, close: boolean): void {
    if (this.#isOver) return;
    if (this.#isChunked && !this.#isPutOff) {
      this.#isPutOff = true;
      setImmediate(() => this.#write(status, body, lines, fixedHeaders, true));
      return;
    }
    if (close && this.#isInCallback) {
      // Behind an answer that is given here the library goes on reading: what came with the request
      // becomes another request, and that the connection was to end is forgotten. While the answer
      // is owed, anything that follows makes the library close by itself.
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
    res.writeStatus(statusLine(status));
    // The first header's name is the call's; the rest of the lines ride in its value.
    res.writeHeader("X-Request-Id", this.#headerBlock(lines, fixedHeaders));
    // Else clients that keep connections ask the next thing over one that is about to end (RFC 9112
    // section 9.6).
    if (this.#isLast) res.writeHeader("Connection", "close");
    if (status === 204 || status === 304) this.#endWithoutBody(close);
    else if (this.method === "HEAD") {
      if (body !== null && !close) res.writeHeader("Content-Length", String(Buffer.byteLength(body)));
      this.#endWithoutBody(close);
    } else res.end(body ?? "", close);
  }

  /**
   * Given a length other than 0, `endWithoutBody` waits for that many bytes: an answer given in the
   * request's callback then aborts the process, a later one leaves the connection unusable.
   * `undefined` counts as such a length.
   */
  #endWithoutBody(close: boolean): void {
    if (close) this.res.endWithoutBody(0, true);
    else this.res.endWithoutBody();
  }

  #headerBlock(lines: string, fixedHeaders: string): string {
    const rate = this.rate ? rateLimitLines(this.rate) : "";
    return `${this.requestId}\r\nX-Correlation-Id: ${this.correlationId}\r\n${lines}${rate}${this.extraHeaders}${fixedHeaders}`;
  }

  /**
   * Turns the connection into a WebSocket; from here on it is not an exchange any more. In the
   * callback of the request only, which is corked: behind it the library would have to be corked by
   * us, and when that ends it takes the new socket for a response still, reads its state from
   * memory that is something else now, and closes it if the bits fall so (uWebSockets issue 1928).
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
   * Starts an answer whose body is written bit by bit with {@link write}; the caller ends it with
   * {@link finishStream}. An answer to HEAD has no body: the exchange is then over, and nothing
   * must be written.
   */
  startStream(status: number, headers: Readonly<Record<string, string>>, fixedHeaders = API_HEADERS): void {
    const lines = headerLines(headers);
    if (this.method === "HEAD") {
      this.#write(status, null, lines, fixedHeaders, false);
      return;
    }
    this.#isStreaming = true;
    const begin = (): void => {
      this.res.writeStatus(statusLine(status));
      this.res.writeHeader("X-Request-Id", this.#headerBlock(lines, fixedHeaders));
      if (this.#isLast) this.res.writeHeader("Connection", "close");
    };
    if (this.#isInCallback) begin();
    else this.res.cork(begin);
  }

  /**
   * Writes a part of a body. @returns false when the client does not take all of it yet: the
   * library holds the rest.
   */
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

  /**
   * Ends the connection in the middle of an answer, so that half a body does not look like a whole
   * one.
   */
  breakOff(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onAbort?.();
    this.res.close();
    this.#onEnd(this, 0, error);
  }

  /**
   * The last byte of an answer whose length was said before has been written: the library ends it
   * by itself.
   */
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

/** Nothing is to be kept unless the answer says so. */
function headerLines(headers: Readonly<Record<string, string>>): string {
  let lines = "";
  for (const name in headers) lines += `${name}: ${headerValue(headers[name] as string)}\r\n`;
  return headers["Cache-Control"] === undefined ? `${lines}Cache-Control: no-store\r\n` : lines;
}

/**
 * A head that the connection must not survive: where the next request begins is not known. Answered
 * 400 and closed.
 */
export class BadHead extends PrismError {
  constructor(message: string) {
    super("VALIDATION_FAILED", message);
  }
}
