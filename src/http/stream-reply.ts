import { pipeline, Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { runAs } from "../core/caller.ts";
import { acceptsGzip } from "./accept-encoding.ts";
import type { Exchange } from "./exchange.ts";
import { requestCaller } from "./request-caller.ts";
import { ANSWERS_LATER } from "./route.ts";

const CHUNK_BYTES = 65_536;

export interface StreamOptions {
  readonly contentType: string;
  /** Name of the file a browser saves; ASCII. */
  readonly filename?: string;
  /** The parts go out one by one as they are made, uncompressed. */
  readonly live?: {
    /** The client has gone away: nobody waits for the next part. */
    gone(): void;
  };
}

/**
 * Answers with a body that is made bit by bit, as fast as the client takes it; gzip where the client accepts it. The source is ended when the
 * client goes away. An error in the middle cuts the connection, so that half a body does not look like a whole one.
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
  const send = (): Promise<void> => pump(exchange, isGzip ? gzipped(chunks) : chunks, live?.gone);
  // The pages of an export are its caller's reads, also after the handler has returned.
  if (!exchange.isOver) void (live ? send() : runAs(requestCaller(exchange), send));
  return ANSWERS_LATER;
}

async function pump(
  exchange: Exchange,
  source: AsyncIterable<string | Buffer>,
  gone: (() => void) | undefined,
): Promise<void> {
  try {
    exchange.onAbort = gone ?? null;
    for await (const chunk of source) {
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

/** @returns false when the client has gone away. */
function write(exchange: Exchange, chunk: string | Buffer): Promise<boolean> {
  return new Promise((resolve) => {
    exchange.onAbort = () => resolve(false);
    if (exchange.write(chunk)) return resolve(true);
    exchange.res.onWritable(() => {
      resolve(true);
      return true;
    });
  });
}

/** Lines together until a chunk is worth a write. */
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

/** Whichever end stops first, `pipeline` ends the other: a reader who is gone must not leave the source waiting for ever. */
function gzipped(source: AsyncIterable<string>): AsyncIterable<Buffer> {
  return pipeline(Readable.from(source), createGzip(), () => undefined) as AsyncIterable<Buffer>;
}
