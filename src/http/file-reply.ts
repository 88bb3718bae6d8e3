import type { Readable } from "node:stream";
import { isAmongTags } from "./etag.ts";
import type { Exchange } from "./exchange.ts";
import { type ByteRange, parseRange } from "./range.ts";
import { ANSWERS_LATER } from "./route.ts";

/** A body whose length is known before its bytes are at hand. */
export interface SizedFile {
  readonly size: number;
  /** Of exactly these bytes, quoted. */
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly fixedHeaders: string;
  /** Opens the bytes of a range. What it throws is answered like any other error, for nothing has been sent by then. */
  open(range: ByteRange): Promise<Readable>;
}

/**
 * Answers with a file, or the range of it that is asked for (RFC 9110 section 14), as fast as the client takes it and never more than one
 * chunk in memory. An error in the middle cuts the connection.
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
  void pump(exchange, source, status, length);
  return ANSWERS_LATER;
}

/** A range of another version than the client's is of no use to it: it gets the whole file. */
function rangeOf(exchange: Exchange, { size, etag }: SizedFile): ReturnType<typeof parseRange> {
  const condition = exchange.header("if-range");
  if (condition !== "" && condition !== etag) return null;
  return parseRange(exchange.header("range"), size);
}

async function pump(exchange: Exchange, source: Readable, status: number, length: number): Promise<void> {
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

/** Writes a part of a body of `length` bytes, as fast as the client takes it. @returns false when the client has gone away. */
export function writeSized(exchange: Exchange, chunk: Uint8Array, length: number): Promise<boolean> {
  const { res } = exchange;
  return new Promise((resolve) => {
    exchange.onAbort = () => resolve(false);
    res.cork(() => {
      const before = res.getWriteOffset();
      const [isTaken, isDone] = res.tryEnd(chunk, length);
      if (isTaken || isDone) return resolve(true);
      res.onWritable((offset) => {
        const [isRestTaken, isRestDone] = res.tryEnd(chunk.subarray(offset - before), length);
        if (isRestTaken || isRestDone) resolve(true);
        return isRestTaken;
      });
    });
  });
}
