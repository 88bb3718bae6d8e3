import { join } from "node:path";
import SqliteDatabase, { type Database as Sqlite } from "better-sqlite3";

/**
 * The exclusive lock on a data directory: a SQLite file whose lock the kernel frees when the process dies, so that a crash
 * leaves nothing to clean up.
 */
export class DataDirLock {
  readonly #connection: Sqlite;

  private constructor(connection: Sqlite) {
    this.#connection = connection;
  }

  /** @returns undefined when another process holds it. */
  static tryAcquire(dataDir: string): DataDirLock | undefined {
    const connection = new SqliteDatabase(join(dataDir, "prism.lock"), { timeout: 0 });
    try {
      connection.pragma("locking_mode = EXCLUSIVE");
      connection.exec("begin exclusive");
      return new DataDirLock(connection);
    } catch (error) {
      connection.close();
      if (error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_BUSY")) return undefined;
      throw error;
    }
  }

  release(): void {
    this.#connection.close();
  }
}
