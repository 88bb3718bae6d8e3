import { createGunzip } from "node:zlib";
import { PrismError } from "../base/errors.ts";
import type { Exchange } from "./exchange.ts";

const STALL_MS = 8000;
const TICK_MS = 1000;
const MAX_INFLATE_RATIO = 100;
const RATIO_FREE_BYTES = 65_536;

/** Who wants a body. One of the two is called once, or neither when the client goes away. */
export interface BodySink {
  /** A body that came in one chunk is given without a copy and is only valid until this returns. */
  bodyRead(exchange: Exchange, body: Buffer): void;
  bodyFailed(exchange: Exchange, error: PrismError): void;
}

/**
 * Reads request bodies within their limits: bytes of one body, bytes of all bodies being read, time without a chunk. uWebSockets itself
 * closes a connection that sends nothing for 10 s or less than 16 KB/s, without an answer; a body that stalls is answered 408 before that.
 */
export class BodyReader {
  readonly #maxBufferedBytes: number;
  readonly #readings = new Set<Reading>();
  /** Begun in this turn of the loop. Nearly all bodies are complete before it ends, and need no watching. */
  readonly #fresh: Reading[] = [];
  readonly #watchFresh = (): void => {
    for (const reading of this.#fresh) if (!reading.isOver) this.#readings.add(reading);
    this.#fresh.length = 0;
    if (this.#readings.size > 0) this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  };
  #bufferedBytes = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(maxBufferedBytes: number) {
    this.#maxBufferedBytes = maxBufferedBytes;
  }

  /** To be called before the request's callback returns. */
  read(exchange: Exchange, limitBytes: number, sink: BodySink): void {
    const reading = new Reading(this, exchange, limitBytes, sink);
    if (this.#fresh.length === 0) setImmediate(this.#watchFresh);
    this.#fresh.push(reading);
    exchange.res.onData((chunk, isLast) => reading.take(chunk, isLast));
    exchange.onAbort = () => reading.abandon();
  }

  /** @returns false when the bytes of all bodies together would be too many. */
  reserve(bytes: number): boolean {
    if (this.#bufferedBytes + bytes > this.#maxBufferedBytes) return false;
    this.#bufferedBytes += bytes;
    return true;
  }

  forget(reading: Reading, bytes: number): void {
    if (this.#readings.size > 0) this.#readings.delete(reading);
    this.#bufferedBytes -= bytes;
  }

  #tick(): void {
    const limit = performance.now() - STALL_MS;
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
  #chunks: Buffer[] | null = null;
  #bytes = 0;
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
    } else if (isLast && !this.#chunks) {
      this.#end();
      this.#sink.bodyRead(this.#exchange, Buffer.from(chunk));
    } else if (!this.#reader.reserve(chunk.byteLength)) {
      this.fail(new PrismError("OVERLOADED", "Too much is being received at once", { retryAfterMs: 1000 }));
    } else {
      this.#bytes += chunk.byteLength;
      this.lastChunkAt = performance.now();
      this.#chunks ??= [];
      // The addon takes the chunk back when this returns.
      this.#chunks.push(Buffer.from(chunk.slice(0)));
      if (!isLast) return;
      const body = Buffer.concat(this.#chunks);
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

  #end(): void {
    this.isOver = true;
    this.#reader.forget(this, this.#bytes);
    this.#chunks = null;
  }
}

export function tooLarge(limitBytes: number): PrismError {
  return new PrismError("PAYLOAD_TOO_LARGE", `The body is larger than ${limitBytes} bytes`);
}

/**
 * Inflates one layer of gzip as a stream that stops at the limit, and at a ratio of 100:1 once 64 KiB have come out: a bomb costs
 * what it was allowed to, not what it claims. Rejects with PAYLOAD_TOO_LARGE, or MALFORMED_JSON when it is not gzip.
 */
export function inflate(body: Buffer, limitBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const gunzip = createGunzip();
    const chunks: Buffer[] = [];
    let bytes = 0;
    gunzip.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      const isBomb = bytes > RATIO_FREE_BYTES && bytes > body.length * MAX_INFLATE_RATIO;
      if (bytes > limitBytes || isBomb) {
        gunzip.destroy();
        reject(tooLarge(limitBytes));
        return;
      }
      chunks.push(chunk);
    });
    gunzip.on("end", () => resolve(Buffer.concat(chunks)));
    gunzip.on("error", (cause) => reject(new PrismError("MALFORMED_JSON", "The body is not valid gzip", { cause })));
    gunzip.end(body);
  });
}

/** Keeps a body that arrives before it is known whether its sender may send one. */
export class HeldBody implements BodySink {
  #arrived: ((sink: BodySink) => void) | null = null;
  #sink: BodySink | null = null;

  bodyRead(exchange: Exchange, body: Buffer): void {
    const copy = Buffer.from(body);
    this.#settle((sink) => sink.bodyRead(exchange, copy));
  }

  bodyFailed(exchange: Exchange, error: PrismError): void {
    this.#settle((sink) => sink.bodyFailed(exchange, error));
  }

  /** Hands on what has arrived, and what will. */
  into(sink: BodySink): void {
    this.#sink = sink;
    this.#arrived?.(sink);
  }

  #settle(deliver: (sink: BodySink) => void): void {
    if (this.#sink) deliver(this.#sink);
    else this.#arrived = deliver;
  }
}
