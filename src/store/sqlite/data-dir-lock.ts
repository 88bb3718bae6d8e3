import { existsSync, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import { createDatabaseFile } from "../../core/data-dir.ts";
import { failureOf } from "./sqlite-errors.ts";

/** Files that one server uses exclusively. */
export interface LockedPaths {
  readonly dataDir: string;
  readonly databaseFile: string;
}

/** The directory or file that another process holds. */
export interface HeldLock {
  /** As words for a message. */
  readonly what: string;
  /** Undefined where the kernel does not give it, such as in another container. */
  readonly pid: number | undefined;
}

/**
 * The exclusive lock on a data directory and on its database, which may be in another directory. It
 * consists of two SQLite files whose locks the kernel releases when the process dies, so a crash
 * needs no clean-up. The database itself is never locked or opened for this.
 */
export class DataDirLock {
  readonly #connections: readonly Sqlite[];

  private constructor(connections: readonly Sqlite[]) {
    this.#connections = connections;
  }

  /** @returns undefined when another process holds one of the two. @throws DataDirRefused */
  static tryAcquire(paths: LockedPaths): DataDirLock | undefined {
    const [ofDataDir, ofDatabase] = lockFilesOf(paths);
    const first = tryLock(ofDataDir);
    if (!first) return undefined;
    try {
      const second = tryLock(ofDatabase);
      if (second) return new DataDirLock([second, first]);
    } catch (error) {
      first.close();
      throw error;
    }
    first.close();
    return undefined;
  }

  /**
   * The lock that another process holds, and that process. Takes no lock that could keep a
   * server from starting, and makes no file. Not for the holder itself: closing the file here would
   * drop its lock (https://www.sqlite.org/howtocorrupt.html, section 2.2).
   */
  static heldLock(paths: LockedPaths): HeldLock | undefined {
    const [ofDataDir, ofDatabase] = lockFilesOf(paths);
    if (isLocked(ofDataDir)) return { what: `the data directory ${paths.dataDir}`, pid: holderOf(ofDataDir) };
    if (!isLocked(ofDatabase)) return undefined;
    return { what: `the database ${paths.databaseFile}`, pid: holderOf(ofDatabase) };
  }

  /** The process that holds the data directory, where the kernel shows it. Opens no file. */
  static holderOf(paths: LockedPaths): number | undefined {
    return holderOf(lockFilesOf(paths)[0]);
  }

  static isHeld(paths: LockedPaths): boolean {
    return DataDirLock.heldLock(paths) !== undefined;
  }

  release(): void {
    for (const connection of this.#connections) connection.close();
  }
}

function lockFilesOf({ dataDir, databaseFile }: LockedPaths): readonly [string, string] {
  return [join(dataDir, "prism.lock"), `${realFile(databaseFile)}.lock`];
}

/** One canonical path per file, whether or not it exists yet. */
function realFile(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    const target = linkTarget(file);
    if (target !== undefined) return realFile(resolve(dirname(file), target));
    const dir = dirname(file);
    return existsSync(dir) ? join(realpathSync(dir), basename(file)) : file;
  }
}

function linkTarget(file: string): string | undefined {
  try {
    return readlinkSync(file);
  } catch {
    return undefined;
  }
}

function tryLock(file: string): Sqlite | undefined {
  createDatabaseFile(file);
  const connection = new SqliteDatabase(file, { timeout: 0 });
  try {
    connection.pragma("locking_mode = EXCLUSIVE");
    // The file holds nothing: its transaction must not wait for a slow disk, least of all in a stop.
    connection.pragma("synchronous = OFF");
    connection.pragma("journal_mode = MEMORY");
    connection.exec("begin exclusive");
    return connection;
  } catch (error) {
    connection.close();
    if (failureOf(error) === "busy") return undefined;
    throw error;
  }
}

function isLocked(file: string): boolean {
  if (!existsSync(file)) return false;
  const connection = new SqliteDatabase(file, { readonly: true, timeout: 0 });
  try {
    connection.pragma("schema_version");
    return false;
  } catch (error) {
    if (failureOf(error) === "busy") return true;
    throw error;
  } finally {
    connection.close();
  }
}

/** The first of the bytes of a database file that SQLite locks (https://www.sqlite.org/fileformat.html). */
const PENDING_BYTE = 0x40000000;

/**
 * The process that has the file locked for writing, by Linux's list of locks (proc_locks(5)): a
 * crash leaves nothing stale in it.
 */
function holderOf(file: string): number | undefined {
  try {
    const { ino } = statSync(file);
    const lock = new RegExp(`^\\d+: POSIX +ADVISORY +WRITE +(\\d+) \\S+:${ino} ${PENDING_BYTE} `, "m");
    const pid = Number(lock.exec(readFileSync("/proc/locks", "utf8"))?.[1]);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
