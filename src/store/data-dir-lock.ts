import { existsSync } from "node:fs";
import { join } from "node:path";
import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";
import { createDatabaseFile } from "../base/data-dir.ts";
import { failureOf } from "./sqlite-errors.ts";

/**
 * The exclusive lock on a data directory: a SQLite file whose lock the kernel frees when the process dies, so that a crash
 * leaves nothing to clean up.
 */
export class DataDirLock {
  readonly #connection: Sqlite;

  private constructor(connection: Sqlite) {
    this.#connection = connection;
  }

  /** @returns undefined when another process holds it. @throws DataDirRefused */
  static tryAcquire(dataDir: string): DataDirLock | undefined {
    const file = join(dataDir, "prism.lock");
    createDatabaseFile(file);
    const connection = new SqliteDatabase(file, { timeout: 0 });
    try {
      connection.pragma("locking_mode = EXCLUSIVE");
      connection.exec("begin exclusive");
      return new DataDirLock(connection);
    } catch (error) {
      connection.close();
      if (failureOf(error) === "busy") return undefined;
      throw error;
    }
  }

  /**
   * Whether another process holds it. Takes no lock that could keep a server from starting, and makes no file. Not for the holder itself:
   * closing the file here would drop its lock (https://www.sqlite.org/howtocorrupt.html, section 2.2).
   */
  static isHeld(dataDir: string): boolean {
    const file = join(dataDir, "prism.lock");
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

  release(): void {
    this.#connection.close();
  }
}
