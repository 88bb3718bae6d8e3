import { createGunzip } from "node:zlib";
import { PrismError } from "../core/errors.ts";
import { type BodyAccount, BodyBudget } from "./body-budget.ts";
import type { Exchange } from "./exchange.ts";

/**
 * The library closes a silent connection after 8 to 12 s, for it looks every 4 s: what is to be answered before that has to be found
 * within 8 s, the tick included.
 */
const STALL_MS = 7500;
const TICK_MS = 250;
const FIRST_BUFFER_BYTES = 4096;
const MAX_INFLATE_RATIO = 100;
const RATIO_FREE_BYTES = 65_536;

/** Who wants a body. One of the two is called once, or neither when the client goes away. */
export interface BodySink {
  /** A body that came in one chunk is given without a copy and is only valid until this returns. */
  bodyRead(exchange: Exchange, body: Buffer): void;
  bodyFailed(exchange: Exchange, error: PrismError): void;
}

export interface BodyTimes {
  /** Without a chunk for this long a body counts as stalled. */
  readonly stallMs: number;
  readonly tickMs: number;
}

/**
 * Reads request bodies within their limits: bytes of one body, bytes of one caller and of all, time without a chunk. uWebSockets itself
 * closes a connection that sends nothing for 10 s or less than 16 KB/s, without an answer; a body that stalls is answered 408 before that.
 */
export class BodyReader {
  readonly budget: BodyBudget;
  readonly #times: BodyTimes;
  readonly #readings = new Set<Reading>();
  /** Begun in this turn of the loop. Nearly all bodies are complete before it ends, and need no watching. */
  readonly #fresh: Reading[] = [];
  readonly #watchFresh = (): void => {
    for (const reading of this.#fresh) if (!reading.isOver) this.#readings.add(reading);
    this.#fresh.length = 0;
    if (this.#readings.size > 0) this.#timer ??= setInterval(() => this.#tick(), this.#times.tickMs);
  };
  #timer: NodeJS.Timeout | null = null;

  constructor(maxBufferedBytes: number, times: BodyTimes = { stallMs: STALL_MS, tickMs: TICK_MS }) {
    this.budget = new BodyBudget(maxBufferedBytes);
    this.#times = times;
  }

  /** What the bodies being read and inflated hold at the moment, and those that their handlers still keep. */
  get bufferedBytes(): number {
    return this.budget.usedBytes;
  }

  /** To be called before the request's callback returns. */
  read(exchange: Exchange, limitBytes: number, sink: BodySink): void {
    const reading = new Reading(this, exchange, limitBytes, sink);
    if (this.#fresh.length === 0) setImmediate(this.#watchFresh);
    this.#fresh.push(reading);
    exchange.res.onData((chunk, isLast) => reading.take(chunk, isLast));
    exchange.onAbort = () => reading.abandon();
  }

  /**
   * Keeps a body's bytes counted for a handler that goes on using it after its call has returned. @returns what gives them back; calling
   * it again changes nothing. @throws OVERLOADED when its caller would hold too many bytes.
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
   * Inflates one layer of gzip as a stream that stops at the limit, and at a ratio of 100:1 once 64 KiB have come out: a bomb costs
   * what it was allowed to, not what it claims. Rejects with PAYLOAD_TOO_LARGE, OVERLOADED, or MALFORMED_JSON when it is not gzip.
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
  lastChunkAt = performance.now();
  readonly #reader: BodyReader;
  readonly #exchange: Exchange;
  readonly #limitBytes: number;
  readonly #sink: BodySink;
  /** One buffer that grows: a body in a million chunks must not cost a million objects. */
  #buffer: Buffer | null = null;
  #bytes = 0;
  /** Null until a byte is kept. */
  #account: BodyAccount | null = null;
  isOver = false;

  constructor(reader: BodyReader, exchange: Exchange, limitBytes: number, sink: BodySink) {
    this.#reader = reader;
    this.#exchange = exchange;
    this.#limitBytes = limitBytes;
    this.#sink = sink;
  }

  take(chunk: ArrayBuffer, isLast: boolean): void {
    if (this.isOver || this.#exchange.isOver) return;
    if (this.#bytes + chunk.byteLength > this.#limitBytes) {
      this.fail(tooLarge(this.#limitBytes));
    } else if (isLast && !this.#buffer) {
      this.#end();
      this.#sink.bodyRead(this.#exchange, Buffer.from(chunk));
    } else if (!this.#append(chunk)) {
      this.fail(tooMuchAtOnce());
    } else if (isLast) {
      const body = this.#buffer?.subarray(0, this.#bytes) ?? Buffer.alloc(0);
      this.#end();
      this.#sink.bodyRead(this.#exchange, body);
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

  /** Copies the chunk, for the addon takes it back. @returns false when the caller would hold too many bytes. */
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
  return new PrismError("OVERLOADED", "Too much is being received at once", { retryAfterMs: 1000 });
}
