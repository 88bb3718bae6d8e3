import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  statfsSync,
  statSync,
} from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Logger } from "./log.ts";
import { parseJsonWithin } from "./text/json-text.ts";
import { type EpochMs, parseRfc3339, toRfc3339 } from "./time/clock.ts";

export const SOUNDS_DIR = "sounds";

/** The data directory cannot be used. The message names it and the next step. */
export class DataDirRefused extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "DataDirRefused";
  }
}

/** Creates the directory with mode 0700 and checks that it is writable. @throws DataDirRefused */
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

/** Not `recursive`: Node searches for a parent forever if mkdir answers ENOENT, as in /proc. */
function makeDir(dir: string): void {
  if (existsSync(dir)) return;
  if (dirname(dir) !== dir) makeDir(dirname(dir));
  mkdirSync(dir, { mode: 0o700 });
  // The umask may have removed permissions of the owner.
  chmodSync(dir, 0o700);
}

/**
 * Creates the database file with mode 0600 before SQLite creates it with the default mode. SQLite
 * gives its -wal and -shm files the same mode. An existing file is not touched: opening and closing
 * it would drop SQLite's locks.
 * @throws DataDirRefused
 */
export function createDatabaseFile(file: string): void {
  if (existsSync(file)) return;
  try {
    closeSync(openSync(file, "ax", 0o600));
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return;
    throw dataDirRefused(
      `cannot create the database in ${dirname(file)}`,
      cause,
      "create the directory, or change its owner",
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

/** Flushes the directory, so that a rename in it survives a power loss. */
export function syncDir(dir: string): void {
  // Windows cannot open directories and needs no such flush.
  if (process.platform !== "win32") sync(dir, "r");
}

/** Asynchronous {@link syncDir}, for the event loop of a server. */
export async function syncDirLater(dir: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** End of the name of a file that is being written, or that a crash has left. */
export const PARTIAL = ".partial";

/**
 * Written to a temporary file and renamed, so that a file is always complete. Resolves when it is
 * durable.
 */
export async function writeComplete(path: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const partial = `${path}${PARTIAL}`;
  try {
    const file = await open(partial, "wx", 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  // A rename is durable when its folder is flushed.
  await syncDirLater(dirname(path));
}

const MAX_OWN_FILE_BYTES = 262_144;
const MAX_OWN_FILE_DEPTH = 32;

/**
 * The JSON files of a folder of the operator, by name; the folder may be missing.
 * @param read throws for a value that is not valid: the file is skipped with a warning
 */
export async function readOwnFiles<T>(folder: string, read: (value: unknown) => T, log: Logger): Promise<T[]> {
  const names = await readdir(folder).catch(() => []);
  const values: T[] = [];
  for (const name of names.filter((each) => each.endsWith(".json")).sort()) {
    const path = join(folder, name);
    try {
      const text = await readFile(path, "utf8");
      if (Buffer.byteLength(text) > MAX_OWN_FILE_BYTES)
        throw new Error(`it is larger than ${MAX_OWN_FILE_BYTES} bytes`);
      const value = parseJsonWithin(text, MAX_OWN_FILE_DEPTH);
      if (value === undefined) throw new Error("it is not JSON, or it nests too deeply");
      values.push(read(value));
    } catch (error) {
      log.warn({ path, err: error }, "cannot open file in data directory");
    }
  }
  return values;
}

/** Free bytes on a directory's disk. */
export function freeBytes(dir: string): number {
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize;
}

/** Free bytes of the disk with the least, without blocking the event loop. */
export async function leastFreeBytes(dirs: readonly string[]): Promise<number> {
  const disks = await Promise.all(dirs.map((dir) => statfs(dir)));
  return Math.min(...disks.map(({ bavail, bsize }) => bavail * bsize));
}

/** Flushes a file. Not for a database in use. */
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

/** Default directory of archives, in the data directory. */
export const BACKUPS_DIR = "backups";

/** What a node of a cluster took without a leader, in the data directory; `src/cluster/spool/spool.ts` writes it. */
export const SPOOL_DIR = "spool";

/** `prism-20260131T080000Z.tar`; names sort by time. */
export function archiveName(now: EpochMs): string {
  return `prism-${toRfc3339(now).replace(/[-:]|\.\d+/g, "")}.tar`;
}

/** Time of an archive, from its name; undefined for other names. */
export function archiveTime(name: string): EpochMs | undefined {
  const match = /^prism-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.tar$/.exec(name);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  return parseRfc3339(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

/** Archives of a directory by name, newest first: plain files only. */
export function archivesIn(dir: string): string[] {
  return readdirSync(dir)
    .filter((name) => archiveTime(name) !== undefined && lstatSync(join(dir, name)).isFile())
    .sort()
    .reverse();
}

/** Path for a new archive. Names have whole seconds: a second one in a second uses the next one. */
export function freeName(folder: string, now: EpochMs): string {
  let at = now;
  while (existsSync(join(folder, archiveName(at)))) at += 1000;
  return join(folder, archiveName(at));
}

/**
 * Time of the latest backup: from the audit trail, which covers other directories too, or from the
 * archives in the default directory. Null for none.
 */
export function newestBackupAt(dataDir: string, recordedAt: EpochMs | null): EpochMs | null {
  let newest = "";
  try {
    [newest = ""] = archivesIn(join(dataDir, BACKUPS_DIR));
  } catch {
    // No directory, or one of another user.
  }
  return Math.max(archiveTime(newest) ?? 0, recordedAt ?? 0) || null;
}
