import { createGunzip } from "node:zlib";
import { PrismError } from "../../core/errors.ts";
import { charsetIn, isKnownCharset } from "../../core/text/decode-text.ts";
import type { Route } from "../api/route.ts";
import type { Exchange } from "../server/exchange.ts";
import { addressGroup } from "../server/headers.ts";

/** Share of the budget for all requests without valid credentials. */
const ANONYMOUS_SHARE = 1 / 8;
/** Enough for the largest body of a public route, with any budget. */
const ANONYMOUS_FLOOR_BYTES = 2_097_152;

/** Bytes of one caller's request bodies in memory. */
interface BodyAccount {
  readonly key: string;
  readonly isAnonymous: boolean;
  bytes: number;
}

/** The account of a request's body: its principal or signer; without either, its address. */
function accountKey({ principal, signerKey, clientAddress }: Exchange): { key: string; isAnonymous: boolean } {
  const key = principal?.key ?? signerKey;
  return key === null ? { key: `ip:${addressGroup(clientAddress)}`, isAnonymous: true } : { key, isAnonymous: false };
}

/**
 * Limits the bytes of all request bodies in memory. A caller may hold at most as much as is still
 * free: half of the budget for a single one, and room for the next one in any case. Callers without
 * valid credentials share an eighth by the same rule.
 */
class BodyBudget {
  readonly #totalBytes: number;
  readonly #anonymousBytes: number;
  readonly #accounts = new Map<string, BodyAccount>();
  #usedBytes = 0;
  #anonymousUsedBytes = 0;

  constructor(totalBytes: number) {
    this.#totalBytes = totalBytes;
    this.#anonymousBytes = Math.min(totalBytes, Math.max(totalBytes * ANONYMOUS_SHARE, ANONYMOUS_FLOOR_BYTES));
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** The account of the request's caller. Call it before the exchange is over. */
  accountOf(exchange: Exchange): BodyAccount {
    const { key, isAnonymous } = accountKey(exchange);
    return this.#accounts.get(key) ?? { key, isAnonymous, bytes: 0 };
  }

  /** @returns false, without counting, if the caller may not hold this many more bytes. */
  reserve(account: BodyAccount, bytes: number): boolean {
    // Two requests of one caller may have created an account before either held a byte.
    const own = this.#accounts.get(account.key) ?? account;
    let freeBytes = this.#totalBytes - this.#usedBytes;
    if (own.isAnonymous) freeBytes = Math.min(freeBytes, this.#anonymousBytes - this.#anonymousUsedBytes);
    if (own.bytes + bytes > freeBytes) return false;
    this.#accounts.set(own.key, own);
    this.#add(own, bytes);
    return true;
  }

  /** Returns the bytes of {@link reserve}. */
  release(account: BodyAccount, bytes: number): void {
    if (bytes === 0) return;
    const own = this.#accounts.get(account.key) ?? account;
    this.#add(own, -bytes);
    if (own.bytes === 0) this.#accounts.delete(own.key);
  }

  #add(account: BodyAccount, bytes: number): void {
    account.bytes += bytes;
    this.#usedBytes += bytes;
    if (account.isAnonymous) this.#anonymousUsedBytes += bytes;
  }
}

const DEFAULT_BODY_BYTES = 1_048_576;
/** Limit of a public route: logins are small. Public routes of modules have the general limit. */
const PUBLIC_BODY_BYTES = 16_384;

/** Members of such a body. */
const PUBLIC_BODY_MEMBERS = 500;

/** Whether the limits of a public route of Prism's own apply, unless it has others. */
function isPublic({ access, described }: Route): boolean {
  return access === "public" && !described;
}

/** Members of a JSON body; undefined: as many as of any body. */
export function memberLimitOf(route: Route): number | undefined {
  return route.maxMembers ?? (isPublic(route) ? PUBLIC_BODY_MEMBERS : undefined);
}

/** @param exchange may have a lower limit of its own */
export function bodyLimitOf(route: Route, exchange?: Exchange): number {
  if (exchange && exchange.maxBodyBytes !== null) return exchange.maxBodyBytes;
  if (route.maxBodyBytes !== undefined) return route.maxBodyBytes;
  return isPublic(route) ? PUBLIC_BODY_BYTES : DEFAULT_BODY_BYTES;
}

export function hasBody(exchange: Exchange): boolean {
  return exchange.contentLength > 0 || exchange.header("transfer-encoding") !== "";
}

/** @throws LENGTH_REQUIRED for a chunked body that the settings, the method or its trailers do not allow */
export function requireLength({ method, announcesTrailers }: Exchange, acceptsChunked: boolean): void {
  if (!acceptsChunked)
    throw new PrismError("LENGTH_REQUIRED", "Send Content-Length; this server accepts no chunked bodies");
  if (method === "GET" || method === "HEAD" || method === "OPTIONS")
    throw new PrismError("LENGTH_REQUIRED", `A ${method} request accepts no chunked body`);
  // Its sender would read the library's answer to the trailers, and send again what is stored here.
  if (announcesTrailers)
    throw new PrismError("LENGTH_REQUIRED", "Send Content-Length; this server accepts no trailers");
}

/** Whether text in the declared charset can be read, see `decodeText`. */
export function isReadable(exchange: Exchange): boolean {
  const charset = charsetIn(exchange.header("content-type"));
  return charset === null || isKnownCharset(charset);
}

/** @throws UNSUPPORTED_MEDIA_TYPE */
function requireBodyType(exchange: Exchange, route: Route): void {
  const isJsonTaken = route.raw === undefined || route.raw.types.includes("application/json");
  // The most common content type needs no parsing.
  if (
    isJsonTaken &&
    exchange.header("content-type") === "application/json" &&
    exchange.header("content-encoding") === ""
  )
    return;
  const [type = ""] = exchange.header("content-type").toLowerCase().split(";");
  const accepted: readonly string[] = route.raw?.types ?? ["application/json"];
  if (!accepted.includes("*") && (!accepted.includes(type.trim()) || !isReadable(exchange))) {
    throw new PrismError("UNSUPPORTED_MEDIA_TYPE", `Send ${accepted.join(" or ")} in UTF-8`);
  }
  if (route.raw?.encoded === true) return;
  const encoding = exchange.header("content-encoding");
  if (encoding !== "" && !(route.raw?.gzip === true && encoding.toLowerCase() === "gzip")) {
    throw new PrismError(
      "UNSUPPORTED_MEDIA_TYPE",
      route.raw?.gzip ? "The only content encoding is one layer of gzip" : "Send the body without a content encoding",
    );
  }
}

/**
 * The library closes a silent connection after 8 to 12 s, because it checks every 4 s. A stall must
 * be detected within 8 s, including the interval here, to be answered.
 */
const STALL_MS = 7500;
const TICK_MS = 250;
const FIRST_BUFFER_BYTES = 4096;
/** Chunks of a body are charged this many at a time. */
export const CHARGED_CHUNKS = 100;
const CHARGED = { chunks: CHARGED_CHUNKS } as const;
const MAX_INFLATE_RATIO = 100;
const RATIO_FREE_BYTES = 65_536;

/** Receiver of a body. Either method is called once, or neither if the client disconnects. */
export interface BodySink {
  /** A body in one chunk is not copied and is only valid until this returns. */
  bodyRead(exchange: Exchange, route: Route, body: Buffer): void;
  bodyFailed(exchange: Exchange, error: PrismError): void;
}

export interface BodyTimes {
  /** A body counts as stalled after this long without a chunk. */
  readonly stallMs: number;
  readonly tickMs: number;
}

/**
 * Reads request bodies within limits: size of one, of one caller's and of all, and time without a
 * chunk. uWebSockets closes a connection that sends nothing for 10 s or less than 16 KB/s without
 * an answer; a stalled body is answered with 408 before that.
 */
export class BodyReader {
  readonly budget: BodyBudget;
  readonly #times: BodyTimes;
  readonly #readings = new Set<Reading>();
  /** Started in this turn of the loop. Most bodies are complete before it ends. */
  readonly #fresh: Reading[] = [];
  readonly #watchFresh = (): void => {
    for (const reading of this.#fresh) if (!reading.isOver) this.#readings.add(reading);
    this.#fresh.length = 0;
    if (this.#readings.size > 0) this.#timer ??= setInterval(() => this.#tick(), this.#times.tickMs).unref();
  };
  #timer: NodeJS.Timeout | null = null;

  constructor(maxBufferedBytes: number, times: BodyTimes = { stallMs: STALL_MS, tickMs: TICK_MS }) {
    this.budget = new BodyBudget(maxBufferedBytes);
    this.#times = times;
  }

  /** Bytes of bodies being read or inflated, and of those that handlers still hold. */
  get bufferedBytes(): number {
    return this.budget.usedBytes;
  }

  /**
   * Call it before the request's callback returns. @throws PAYLOAD_TOO_LARGE,
   * UNSUPPORTED_MEDIA_TYPE based on the head
   */
  read(exchange: Exchange, route: Route, sink: BodySink): void {
    const limit = bodyLimitOf(route, exchange);
    if (exchange.contentLength > limit) throw tooLarge(limit);
    requireBodyType(exchange, route);
    const reading = new Reading(this, exchange, route, sink, limit);
    if (this.#fresh.length === 0) setImmediate(this.#watchFresh);
    this.#fresh.push(reading);
    exchange.res.onData((chunk, isLast) => reading.take(chunk, isLast));
    exchange.onAbort = () => reading.abandon();
  }

  /**
   * Keeps a body's bytes counted for a handler that uses it after its call has returned.
   * @returns an idempotent release function. @throws OVERLOADED if its caller would hold too many
   * bytes.
   */
  hold(exchange: Exchange, bytes: number): () => void {
    const account = this.budget.accountOf(exchange);
    if (!this.budget.reserve(account, bytes)) throw tooMuchAtOnce();
    let isHeld = true;
    return () => {
      if (isHeld) this.budget.release(account, bytes);
      isHeld = false;
    };
  }

  forget(reading: Reading): void {
    if (this.#readings.size > 0) this.#readings.delete(reading);
  }

  /**
   * Inflates one layer of gzip as a stream with a size limit, and with a ratio limit of 100:1 after
   * 64 KiB, so that a zip bomb costs no more than the limit. Rejects with PAYLOAD_TOO_LARGE,
   * OVERLOADED, or MALFORMED_JSON for invalid gzip.
   */
  inflate(exchange: Exchange, body: Buffer, limitBytes: number): Promise<Buffer> {
    const account = this.budget.accountOf(exchange);
    return new Promise<Buffer>((resolve, reject) => {
      const gunzip = createGunzip();
      const chunks: Buffer[] = [];
      let bytes = 0;
      const end = (settle: () => void): void => {
        gunzip.destroy();
        this.budget.release(account, bytes);
        bytes = 0;
        settle();
      };
      gunzip.on("data", (chunk: Buffer) => {
        const total = bytes + chunk.length;
        const isBomb = total > RATIO_FREE_BYTES && total > body.length * MAX_INFLATE_RATIO;
        if (total > limitBytes || isBomb) return end(() => reject(tooLarge(limitBytes)));
        if (!this.budget.reserve(account, chunk.length)) return end(() => reject(tooMuchAtOnce()));
        bytes = total;
        chunks.push(chunk);
      });
      gunzip.on("end", () => end(() => resolve(Buffer.concat(chunks))));
      gunzip.on("error", (cause) =>
        end(() => reject(new PrismError("MALFORMED_JSON", "The body is not valid gzip", { cause }))),
      );
      gunzip.end(body);
    });
  }

  #tick(): void {
    const limit = performance.now() - this.#times.stallMs;
    for (const reading of this.#readings) {
      if (reading.lastChunkAt < limit) reading.fail(new PrismError("REQUEST_TIMEOUT", "The body stopped arriving"));
    }
    if (this.#readings.size > 0 || !this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}

class Reading {
  lastChunkAt: number;
  readonly #reader: BodyReader;
  readonly #exchange: Exchange;
  readonly #route: Route;
  readonly #limitBytes: number;
  readonly #sink: BodySink;
  /** One growing buffer: a body in a million chunks must not cost a million objects. */
  #buffer: Buffer | null = null;
  #bytes = 0;
  #chunks = 0;
  /** Null until a byte is kept. */
  #account: BodyAccount | null = null;
  isOver = false;

  constructor(reader: BodyReader, exchange: Exchange, route: Route, sink: BodySink, limitBytes: number) {
    this.#reader = reader;
    this.#exchange = exchange;
    this.#route = route;
    this.#limitBytes = limitBytes;
    this.#sink = sink;
    this.lastChunkAt = exchange.startedAt;
  }

  take(chunk: ArrayBuffer, isLast: boolean): void {
    this.#countChunk();
    if (this.isOver || this.#exchange.isOver) return;
    if (this.#bytes + chunk.byteLength > this.#limitBytes) {
      this.fail(tooLarge(this.#limitBytes));
    } else if (isLast && !this.#buffer) {
      this.#end();
      this.#sink.bodyRead(this.#exchange, this.#route, Buffer.from(chunk));
    } else if (!this.#append(chunk)) {
      this.fail(tooMuchAtOnce());
    } else if (isLast) {
      const body = this.#buffer?.subarray(0, this.#bytes) ?? Buffer.alloc(0);
      this.#end();
      this.#sink.bodyRead(this.#exchange, this.#route, body);
    }
  }

  fail(error: PrismError): void {
    if (this.isOver) return;
    this.#end();
    this.#sink.bodyFailed(this.#exchange, error);
  }

  abandon(): void {
    if (!this.isOver) this.#end();
  }

  /** Each chunk is a call, also of one byte and after a refusal; those of common bodies are not charged. */
  #countChunk(): void {
    if (++this.#chunks % CHARGED_CHUNKS !== 0) return;
    // The address of a request that is over is no longer known.
    if (!this.#exchange.isOver || this.#exchange.payer) this.#exchange.work?.charge(this.#exchange, CHARGED);
  }

  /** Copies the chunk, which the addon reuses. @returns false if the caller holds too much */
  #append(chunk: ArrayBuffer): boolean {
    if (chunk.byteLength === 0) return true;
    const needed = this.#bytes + chunk.byteLength;
    const held = this.#buffer?.length ?? 0;
    if (needed > held) {
      const capacity = Math.min(Math.max(needed, held * 2, FIRST_BUFFER_BYTES), this.#limitBytes);
      this.#account ??= this.#reader.budget.accountOf(this.#exchange);
      if (!this.#reader.budget.reserve(this.#account, capacity - held)) return false;
      const grown = Buffer.allocUnsafe(capacity);
      this.#buffer?.copy(grown, 0, 0, this.#bytes);
      this.#buffer = grown;
    }
    this.#buffer?.set(new Uint8Array(chunk), this.#bytes);
    this.#bytes = needed;
    this.lastChunkAt = performance.now();
    return true;
  }

  #end(): void {
    this.isOver = true;
    this.#reader.forget(this);
    if (this.#account) this.#reader.budget.release(this.#account, this.#buffer?.length ?? 0);
    this.#buffer = null;
  }
}

export function tooLarge(limitBytes: number): PrismError {
  return new PrismError("PAYLOAD_TOO_LARGE", `The body is larger than ${limitBytes} bytes`);
}

function tooMuchAtOnce(): PrismError {
  return new PrismError("OVERLOADED", "Too many bytes are being received at once; try again", { retryAfterMs: 1000 });
}

/** The library reads and drops the rest of a body that is too large up to this length. */
const MAX_DROPPED_BYTES = 33_554_432;

/**
 * Whether the connection stays open after a 413. Closing it with unread data would reset it, and a
 * proxy that is still sending would answer 502 instead (RFC 9112 section 9.6).
 */
export function isRestDropped(exchange: Exchange, status: number): boolean {
  return status === 413 && !exchange.isChunked && exchange.contentLength <= MAX_DROPPED_BYTES;
}
