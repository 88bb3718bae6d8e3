import { pipeline, Readable } from "node:stream";
import { promisify } from "node:util";
import { createGzip, gzip } from "node:zlib";
import { runAs } from "../../core/caller.ts";
import type { BodyReader } from "../body/body.ts";
import { acceptsGzip, type ByteRange, isAmongTags, parseRange, weakTagOf } from "../body/negotiation.ts";
import { requestCaller } from "../server/credentials.ts";
import type { Exchange } from "../server/exchange.ts";
import { JSON_TYPE } from "../server/headers.ts";
import { ANSWERS_LATER } from "./route.ts";

/** A body with a known length that is not in memory. */
interface SizedFile {
  readonly size: number;
  /** ETag of exactly these bytes, quoted. */
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fixedHeaders: string;
  /** Opens the bytes of a range. Its errors are answered normally: nothing has been sent. */
  open(range: ByteRange): Promise<Readable>;
}

/**
 * Answers with a file or a range of it (RFC 9110 section 14), at the client's speed, with at most
 * one chunk in memory. An error after the start closes the connection.
 */
export async function fileReply(exchange: Exchange, file: SizedFile): Promise<typeof ANSWERS_LATER> {
  const { size, etag, fixedHeaders } = file;
  const headers = { ...file.headers, ETag: etag, "Accept-Ranges": "bytes" };
  if (isAmongTags(etag, exchange.header("if-none-match"))) {
    exchange.send(304, null, headers, { fixedHeaders });
    return ANSWERS_LATER;
  }
  const range = rangeOf(exchange, file);
  if (range === "unsatisfiable") {
    exchange.send(416, null, { ...headers, "Content-Range": `bytes */${size}` }, { fixedHeaders });
    return ANSWERS_LATER;
  }
  const wanted = range ?? { first: 0, last: size - 1 };
  const status = range ? 206 : 200;
  const length = wanted.last - wanted.first + 1;
  const ofRange = range ? { "Content-Range": `bytes ${wanted.first}-${wanted.last}/${size}` } : {};
  if (exchange.method === "HEAD") {
    const lengthOfGet = { "Content-Length": String(length) };
    exchange.startStream(status, { ...headers, ...ofRange, ...lengthOfGet }, fixedHeaders);
    return ANSWERS_LATER;
  }
  const source = await file.open(wanted);
  if (exchange.isOver) {
    source.destroy();
    return ANSWERS_LATER;
  }
  exchange.startStream(status, { ...headers, ...ofRange }, fixedHeaders);
  void pumpSized(exchange, source, status, length);
  return ANSWERS_LATER;
}

/** A client with another version gets the whole file instead of a range. */
function rangeOf(exchange: Exchange, { size, etag }: SizedFile): ReturnType<typeof parseRange> {
  const condition = exchange.header("if-range");
  if (condition !== "" && condition !== etag) return null;
  return parseRange(exchange.header("range"), size);
}

async function pumpSized(exchange: Exchange, source: Readable, status: number, length: number): Promise<void> {
  try {
    let left = length;
    for await (const chunk of source as AsyncIterable<Uint8Array>) {
      left -= chunk.length;
      if (left < 0) throw new Error("a stored file is longer than its record says");
      if (exchange.isOver || !(await writeSized(exchange, chunk, length))) return;
    }
    if (left > 0) throw new Error("a stored file is shorter than its record says");
    exchange.streamEnded(status);
  } catch (error) {
    exchange.breakOff(error);
  }
}

/** Writes a part of `length` bytes at the client's speed. @returns false once it disconnects */
function writeSized(exchange: Exchange, chunk: Uint8Array, length: number): Promise<boolean> {
  const { res } = exchange;
  return new Promise((resolve) => {
    exchange.onAbort = () => resolve(false);
    res.cork(() => {
      const before = res.getWriteOffset();
      const [isTaken, isDone] = res.tryEnd(chunk, length);
      if (isTaken || isDone) return resolve(true);
      res.onWritable((offset) => {
        const [isRestTaken, isRestDone] = res.tryEnd(chunk.subarray(offset - before), length);
        if (isRestTaken || isRestDone) afterwards(resolve);
        return isRestTaken;
      });
    });
  });
}

/** Longer answers are written in parts at the client's speed, and count as the caller's bytes. */
export const LARGE_REPLY_LENGTH = 65_536;

/**
 * Answers with long JSON text. A client that does not read uses up its own share of the budget
 * only.
 * @throws OVERLOADED if the caller holds too many bytes already
 */
export async function largeReply(
  exchange: Exchange,
  { status, json, headers }: { status: number; json: string; headers: Readonly<Record<string, string>> },
  bodies: Pick<BodyReader, "hold">,
): Promise<void> {
  const bytes = Buffer.from(json);
  const release = bodies.hold(exchange, bytes.length);
  try {
    // The request's callback returns first: it watches for an abort while the answer is incomplete.
    await Promise.resolve();
    if (exchange.isOver) return;
    exchange.startStream(status, { "Content-Type": JSON_TYPE, ...headers });
    if (await writeSized(exchange, bytes, bytes.length)) exchange.streamEnded(status);
  } finally {
    release();
  }
}

const CHUNK_BYTES = 65_536;

interface StreamOptions {
  readonly contentType: string;
  /** Name of the file a browser saves; ASCII. */
  readonly filename?: string;
  /** Parts are sent as they are made, uncompressed. */
  readonly live?: {
    /** The client has disconnected. */
    gone(): void;
  };
}

/**
 * Answers with a streamed body at the client's speed, with gzip if the client accepts it. The
 * source is closed when the client disconnects. An error after the start closes the connection, so
 * that a partial body does not look complete.
 */
export function streamReply(
  exchange: Exchange,
  { contentType, filename, live }: StreamOptions,
  source: AsyncIterable<string>,
): typeof ANSWERS_LATER {
  const isGzip = !live && acceptsGzip(exchange.header("accept-encoding"));
  exchange.startStream(200, {
    "Content-Type": contentType,
    "Cache-Control": "no-store",
    ...(filename ? { "Content-Disposition": `attachment; filename="${filename}"` } : {}),
    ...(isGzip ? { "Content-Encoding": "gzip", Vary: "Accept-Encoding" } : {}),
  });
  const chunks = live ? source : gather(source);
  const send = (): Promise<void> => pumpChunks(exchange, isGzip ? gzipped(chunks) : chunks, live?.gone);
  // The pages of an export are read on behalf of its caller, also after the handler has returned.
  if (!exchange.isOver) void (live ? send() : runAs(requestCaller(exchange), send));
  return ANSWERS_LATER;
}

async function pumpChunks(
  exchange: Exchange,
  source: AsyncIterable<string | Buffer>,
  gone: (() => void) | undefined,
): Promise<void> {
  try {
    exchange.onAbort = gone ?? null;
    for await (const chunk of source) {
      if (!gone) await exchange.work?.pause(exchange);
      if (exchange.isOver) return;
      if (!(await write(exchange, chunk))) {
        gone?.();
        return;
      }
      exchange.onAbort = gone ?? null;
    }
    exchange.finishStream(200);
  } catch (error) {
    exchange.breakOff(error);
  }
}

/** @returns false when the client has disconnected. */
function write(exchange: Exchange, chunk: string | Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    exchange.onAbort = () => resolve(false);
    if (exchange.write(chunk)) return resolve(true);
    exchange.res.onWritable(() => {
      afterwards(resolve);
      return true;
    });
  });
}

/**
 * Goes on after the callback of `onWritable`: the library restores that callback when it returns,
 * so one that the next write sets within it would never be called.
 */
function afterwards(resolve: (isWritten: boolean) => void): void {
  setImmediate(() => resolve(true));
}

/** Joins lines until a chunk is worth a write. */
async function* gather(source: AsyncIterable<string>): AsyncIterable<string> {
  let chunk = "";
  for await (const part of source) {
    chunk += part;
    if (chunk.length < CHUNK_BYTES) continue;
    yield chunk;
    chunk = "";
  }
  if (chunk !== "") yield chunk;
}

/** `pipeline` closes either end with the other: a source must not wait for a gone reader. */
function gzipped(source: AsyncIterable<string>): AsyncIterable<Buffer> {
  return pipeline(Readable.from(source), createGzip(), () => undefined) as AsyncIterable<Buffer>;
}

const compress = promisify(gzip);

/** A text that the server returns unchanged. */
export interface HtmlPage {
  readonly contentType: string;
  readonly fixedHeaders: string;
  /** Default: `no-cache`, which asks again with the ETag. */
  readonly cacheControl?: string;
  read(): Buffer | Promise<Buffer>;
  /** The state that the text depends on: a change rebuilds it. Undefined: it never changes. */
  stateOf?(): unknown;
}

interface PageText {
  readonly plain: Buffer;
  readonly tag: string;
  /** Once a client has accepted it. */
  compressed?: Promise<Buffer>;
}

async function textOf(page: HtmlPage): Promise<PageText> {
  const plain = await page.read();
  return { plain, tag: weakTagOf(plain) };
}

/**
 * Serves a page, compressed if the client accepts it, with an ETag. Built and compressed on first
 * request, and again after a change.
 */
export function pageHandler(page: HtmlPage): (exchange: Exchange) => Promise<typeof ANSWERS_LATER> {
  let text: Promise<PageText> | undefined;
  let state: unknown;
  return async (exchange) => {
    const now = page.stateOf?.();
    if (now !== state) text = undefined;
    state = now;
    text ??= textOf(page);
    const read = text;
    const made = await read.catch((error: unknown) => {
      if (text === read) text = undefined;
      throw error;
    });
    const { contentType, fixedHeaders, cacheControl = "no-cache" } = page;
    const cached = { ETag: made.tag, "Cache-Control": cacheControl, Vary: "Accept-Encoding" };
    if (isAmongTags(made.tag, exchange.header("if-none-match"))) {
      exchange.send(304, null, cached, { fixedHeaders });
      return ANSWERS_LATER;
    }
    const headers = { "Content-Type": contentType, ...cached };
    if (acceptsGzip(exchange.header("accept-encoding"))) {
      made.compressed ??= compress(made.plain);
      exchange.send(200, await made.compressed, { ...headers, "Content-Encoding": "gzip" }, { fixedHeaders });
    } else exchange.send(200, made.plain, headers, { fixedHeaders });
    return ANSWERS_LATER;
  };
}
