import { createWriteStream, realpathSync, renameSync, rmSync, statSync, type WriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { CommandError, EXIT } from "./output/exit-codes.ts";

const CHUNK_LENGTH = 65_536;

export interface Destination {
  /** Absent: stdout. */
  readonly file: string | undefined;
  readonly gzip: boolean;
}

/**
 * Writes text as fast as it is taken. A file appears under its name when it is whole; until then, and if it never is, under another.
 * @throws CommandError 1 when the file cannot be written
 */
export async function writeRows(text: AsyncIterable<string>, { file, gzip }: Destination): Promise<void> {
  const source = Readable.from(gather(text));
  const steps = gzip ? [createGzip()] : [];
  if (file === undefined) {
    await pipeline([source, ...steps, process.stdout], { end: false });
    return;
  }
  try {
    await writeFile((stream) => pipeline([source, ...steps, stream]), file);
  } catch (error) {
    // Only the file is used by system calls of this process; a database and a server fail with errors of their own.
    if (!(error instanceof Error && "syscall" in error)) throw error;
    throw new CommandError(EXIT.failure, `${file} cannot be written: ${error.message}`, { cause: error });
  }
}

async function writeFile(fill: (stream: WriteStream) => Promise<void>, file: string): Promise<void> {
  const existing = statSync(file, { throwIfNoEntry: false });
  // A pipe or a device is written into; a rename would put a file in its place.
  if (existing && !existing.isFile()) return fill(createWriteStream(file));
  const target = existing ? realpathSync(file) : file;
  // Of this process alone: two exports to one file must not write into each other.
  const partial = `${target}.${process.pid}.partial`;
  const cleanUp = (): void => rmSync(partial, { force: true });
  // Ctrl-C ends the process here and now.
  process.once("exit", cleanUp);
  try {
    await fill(createWriteStream(partial, { mode: 0o600, flush: true }));
    renameSync(partial, target);
  } finally {
    cleanUp();
    process.off("exit", cleanUp);
  }
}

/** Rows together until they are worth a write. */
async function* gather(text: AsyncIterable<string>): AsyncIterable<string> {
  let chunk = "";
  for await (const part of text) {
    chunk += part;
    if (chunk.length < CHUNK_LENGTH) continue;
    yield chunk;
    chunk = "";
  }
  if (chunk !== "") yield chunk;
}
