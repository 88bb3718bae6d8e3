import { createWriteStream, readFileSync, realpathSync, renameSync, rmSync, statSync, type WriteStream } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { CommandError, EXIT } from "./output/exit-codes.ts";

/** A flag's text: `@file`, `-` for stdin, otherwise the value. @throws CommandError 2 */
export async function readInput(given: string, flag: string): Promise<string> {
  if (given === "-") return readStdin();
  return given.startsWith("@") ? readTextFile(given.slice(1), flag) : given;
}

/** {@link readInput} as a JSON object. @throws CommandError 2 */
export async function readJsonObject(given: string, flag: string): Promise<Record<string, unknown>> {
  const value = parseJson(await readInput(given, flag), flag, EXIT.usage);
  if (!isJsonObject(value)) throw new CommandError(EXIT.usage, `${flag} must be a JSON object`);
  return value;
}

export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param what names the text in the error. @throws CommandError with the exit code */
export function parseJson(text: string, what: string, exitCode: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(exitCode, `${what} is not JSON: ${reason}`);
  }
}

/** The text of a file, or with `-` of stdin. @throws CommandError 2 */
export function readFileOrStdin(path: string, flag: string): Promise<string> | string {
  return path === "-" ? readStdin() : readTextFile(path, flag);
}

export function readTextFile(path: string, flag: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new CommandError(EXIT.usage, `${flag}: ${path} cannot be read (${reason})`);
  }
}

export async function readStdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}

const CHUNK_LENGTH = 65_536;

interface Destination {
  /** Undefined: stdout. */
  readonly file: string | undefined;
  readonly gzip: boolean;
  /** Replaces a file with content. */
  readonly force: boolean;
}

/** Empty files, pipes and devices may be overwritten. @throws CommandError 7 for other files */
export function requireReplaceable(file: string | undefined, force: boolean): void {
  if (force || file === undefined) return;
  const existing = statSync(file, { throwIfNoEntry: false });
  if (existing?.isFile() && existing.size > 0)
    throw new CommandError(EXIT.conflict, `${file} exists; --force replaces it`);
}

/**
 * Writes text at the reader's speed. A file gets its name when it is complete; until then it has a
 * temporary one.
 * @throws CommandError 1 if the file cannot be written, 7 if it exists and must not be replaced
 */
export async function writeRows(
  text: AsyncIterable<string> | Iterable<string>,
  { file, gzip, force }: Destination,
): Promise<void> {
  requireReplaceable(file, force);
  const source = Readable.from(gather(text));
  const steps = gzip ? [createGzip()] : [];
  if (file === undefined) {
    await pipeline([source, ...steps, process.stdout], { end: false });
    return;
  }
  try {
    await writeFile((stream) => pipeline([source, ...steps, stream]), file, force);
  } catch (error) {
    // Only file access causes system errors here; databases and servers have their own errors.
    if (!(error instanceof Error && "syscall" in error)) throw error;
    throw new CommandError(EXIT.failure, `${file} cannot be written: ${error.message}`, { cause: error });
  }
}

async function writeFile(fill: (stream: WriteStream) => Promise<void>, file: string, force: boolean): Promise<void> {
  const existing = statSync(file, { throwIfNoEntry: false });
  // Pipes and devices are written directly: a rename would replace them by a file.
  if (existing && !existing.isFile()) return fill(createWriteStream(file));
  const target = existing ? realpathSync(file) : file;
  // Unique per process: two exports to one file must not write into each other.
  const partial = `${target}.${process.pid}.partial`;
  const cleanUp = (): void => rmSync(partial, { force: true });
  // Ctrl-C ends the process immediately.
  process.once("exit", cleanUp);
  try {
    await fill(createWriteStream(partial, { mode: 0o600, flush: true }));
    // Another program may have created it in the meantime.
    requireReplaceable(target, force);
    renameSync(partial, target);
  } finally {
    cleanUp();
    process.off("exit", cleanUp);
  }
}

/** Joins rows until they are worth a write. */
async function* gather(text: AsyncIterable<string> | Iterable<string>): AsyncIterable<string> {
  let chunk = "";
  for await (const part of text) {
    chunk += part;
    if (chunk.length < CHUNK_LENGTH) continue;
    yield chunk;
    chunk = "";
  }
  if (chunk !== "") yield chunk;
}
