import { PrismError } from "../base/errors.ts";
import type { CommitFailure } from "./write-set.ts";

/** Sorts an error of SQLite by what it means to a caller (https://www.sqlite.org/rescode.html). */
export function failureOf(error: unknown): CommitFailure {
  const code = sqliteCode(error);
  if (code === "SQLITE_FULL" || code === "SQLITE_IOERR_WRITE" || /ENOSPC/.test(code)) return "full";
  if (code.startsWith("SQLITE_BUSY") || code.startsWith("SQLITE_LOCKED")) return "busy";
  if (code.startsWith("SQLITE_READONLY") || code.startsWith("SQLITE_CANTOPEN") || code === "SQLITE_PERM")
    return "readonly";
  return "internal";
}

/** `SQLITE_…` of an error of better-sqlite3, '' of any other. */
export function sqliteCode(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

/** The public error for a commit that did not happen. The engine's words go to the log as its cause, never to a client. */
export function commitError(failure: CommitFailure, cause: unknown): PrismError {
  switch (failure) {
    case "full":
      return new PrismError("STORAGE_FULL", "The disk or the database is full; nothing was stored", { cause });
    case "busy":
      return new PrismError("DATABASE_UNAVAILABLE", "The database is busy; nothing was stored", {
        cause,
        retryAfterMs: 1000,
      });
    case "readonly":
    case "closed":
      return new PrismError("DATABASE_UNAVAILABLE", "The database cannot be written; nothing was stored", {
        cause,
        retryAfterMs: 5000,
      });
    case "internal":
      return new PrismError("INTERNAL", "Internal error", { cause });
  }
}
