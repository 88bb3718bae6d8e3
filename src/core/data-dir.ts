import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  statSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { dirname } from "node:path";

/** Folder of the data directory that holds sounds. */
export const SOUNDS_DIR = "sounds";

/** The data directory cannot be used. The message names it, and what to do. */
export class DataDirRefused extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DataDirRefused";
  }
}

/**
 * Makes the directory, readable by its owner only, and checks that it can be written. @throws
 * DataDirRefused
 */
export function prepareDataDir(dataDir: string): void {
  try {
    makeDir(dataDir);
    accessSync(dataDir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw dataDirRefused(
      `the data directory ${dataDir} cannot be written`,
      cause,
      "choose another with --data-dir or PRISM_DATA_DIR, or change its owner",
    );
  }
  if (!statSync(dataDir).isDirectory()) {
    throw new DataDirRefused(
      `the data directory ${dataDir} is a file; choose another with --data-dir or PRISM_DATA_DIR`,
    );
  }
}

/**
 * Not `recursive`: Node's own way up never ends where a file system answers ENOENT to every mkdir,
 * as /proc does.
 */
function makeDir(dir: string): void {
  if (existsSync(dir)) return;
  if (dirname(dir) !== dir) makeDir(dirname(dir));
  mkdirSync(dir, { mode: 0o700 });
  // The umask may have taken a right from the owner.
  chmodSync(dir, 0o700);
}

/**
 * Makes a database file that only its owner may read (contract 12.8), before SQLite makes it with
 * the usual mode; what SQLite puts beside it takes its mode over. One that exists is left alone:
 * opening and closing it by path would drop SQLite's locks.
 * @throws DataDirRefused
 */
export function createDatabaseFile(file: string): void {
  if (existsSync(file)) return;
  try {
    closeSync(openSync(file, "ax", 0o600));
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return;
    throw dataDirRefused(
      `the database cannot be made in ${dirname(file)}`,
      cause,
      "make the directory, or change its owner",
    );
  }
}

function dataDirRefused(what: string, cause: unknown, nextStep: string): DataDirRefused {
  const code = codeOf(cause);
  return new DataDirRefused(`${what}${code === "" ? "" : ` (${code})`}; ${nextStep}`, { cause });
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

/**
 * Waits until a directory's names are on disk: what was renamed is found there after a power loss.
 */
export function syncDir(dir: string): void {
  // Windows opens no directories, and keeps its names in order itself.
  if (process.platform !== "win32") sync(dir, "r");
}

/** {@link syncDir} for a server, whose event loop must not wait for a disk. */
export async function syncDirLater(dir: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Waits until a file's content is on disk. Not for a database that is in use. */
export function syncFile(file: string): void {
  sync(file, "r+");
}

function sync(path: string, flags: string): void {
  const descriptor = openSync(path, flags);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
