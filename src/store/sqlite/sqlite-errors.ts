import { closeSync, fsyncSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { PrismError } from "../../core/errors.ts";
import type { CommitFailure } from "../commit/write-set.ts";

/** An error from another thread; `code` is better-sqlite3's, '' for other errors. */
export class ThreadError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "ThreadError";
    this.code = code;
  }
}

/** The `code` of a {@link ThreadError} when ingest has filled its part of `maxDbBytes`. */
const LIMIT_REACHED = "DATABASE_LIMIT";

export function limitReached(): ThreadError {
  return new ThreadError(LIMIT_REACHED, "ingest has filled its part of maxDbBytes");
}

/** The `code` of a {@link ThreadError} when the thread has ended. */
export const THREAD_GONE = "THREAD_GONE";

// The shared-memory file cannot grow on a full disk (https://www.sqlite.org/rescode.html).
const FULL = /^SQLITE_(FULL|IOERR_SHMSIZE)$/;
const BUSY = /^SQLITE_(BUSY|LOCKED)/;
const READONLY = /^SQLITE_(READONLY|CANTOPEN|PERM)/;
const BROKEN = /^SQLITE_(IOERR|CORRUPT|NOTADB|NOMEM|PROTOCOL)/;

/** Classifies an error of SQLite for callers. A refusal by SQL (a constraint) is `internal`. */
export function failureOf(error: unknown): CommitFailure {
  const code = sqliteCode(error);
  if (FULL.test(code)) return "full";
  if (BUSY.test(code)) return "busy";
  if (READONLY.test(code)) return "readonly";
  if (BROKEN.test(code)) return "broken";
  if (code === LIMIT_REACHED) return "limit";
  return code === THREAD_GONE ? "closed" : "internal";
}

/**
 * Adds the cause to a write that the file system refused: a quota counts as a full disk, and SQLite
 * does not distinguish it from a read-only file system. Other errors pass through.
 * @param look writes into the database's directory.
 */
export function withDiskReason(error: unknown, look: () => "full" | "readonly" | "failed" | null): unknown {
  if (sqliteCode(error) !== "SQLITE_IOERR_WRITE" || !(error instanceof Error)) return error;
  const problem = look();
  if (problem === "full") return new ThreadError("SQLITE_FULL", error.message);
  return problem === "readonly" ? new ThreadError("SQLITE_READONLY", error.message) : error;
}

/** `SQLITE_…` of an error of better-sqlite3, '' for others. */
export function sqliteCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** The public error of a failed commit. SQLite's message goes only to the log, as its cause. */
export function commitError(failure: CommitFailure, cause: unknown): PrismError {
  switch (failure) {
    case "full":
      return new PrismError("STORAGE_FULL", "The disk or the database is full; nothing was stored", { cause });
    case "limit":
      return databaseLimitReached(cause);
    case "busy":
      return new PrismError("DATABASE_UNAVAILABLE", "The database is busy; nothing was stored", {
        cause,
        retryAfterMs: 1000,
      });
    case "closed":
      return new PrismError("DATABASE_UNAVAILABLE", "The database was closed; this may or may not have been stored", {
        cause,
        retryAfterMs: 5000,
      });
    case "readonly":
    case "broken":
      return new PrismError("DATABASE_UNAVAILABLE", "The database cannot be written; nothing was stored", {
        cause,
        retryAfterMs: 5000,
      });
    case "internal":
      return new PrismError("INTERNAL", "Internal error", { cause });
  }
}

/** The public error for a write that would fill what `maxDbBytes` keeps for others. */
export function databaseLimitReached(cause?: unknown): PrismError {
  return new PrismError("STORAGE_FULL", "The database has reached its size limit; nothing was stored", { cause });
}

/** Why a disk refuses writes. */
export type DiskProblem = "full" | "readonly" | "failed";

const FULL_ERRNO = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);
const READONLY_ERRNO = new Set(["EROFS", "EACCES", "EPERM"]);
const PROBE_BYTES = 4096;

/**
 * Writes, syncs and removes a small file, because SQLite uses one code for a full quota, a
 * read-only file system and a broken disk. @returns null when it worked.
 */
export function diskProblem(dir: string): DiskProblem | null {
  const file = join(dir, `.write-probe-${process.pid}.partial`);
  try {
    const descriptor = openSync(file, "w", 0o600);
    try {
      writeSync(descriptor, Buffer.alloc(PROBE_BYTES));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    return null;
  } catch (error) {
    return sortErrno(error instanceof Error && "code" in error ? String(error.code) : "");
  } finally {
    rmSync(file, { force: true });
  }
}

/** Classifies an error of the file system for operators. */
export function sortErrno(code: string): DiskProblem {
  if (FULL_ERRNO.has(code)) return "full";
  return READONLY_ERRNO.has(code) ? "readonly" : "failed";
}
