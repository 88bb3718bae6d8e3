import type { ReadDb } from "../store/database.ts";
import { openForReading } from "../store/sqlite/connection.ts";
import { kyselyOver, ReadDriver } from "../store/sqlite/kysely-drivers.ts";
import { StatementCache } from "../store/sqlite/statement-cache.ts";

/** The database for reading only: beside a running server or without one, and without changing a byte. */
export interface ReadStore {
  readonly db: ReadDb;
  close(): void;
}

/** @throws what SQLite throws */
export function openReadStore(file: string): ReadStore {
  const connection = openForReading(file);
  const statements = new StatementCache(connection);
  return {
    db: kyselyOver(new ReadDriver((sql, parameters) => statements.run(sql, parameters))),
    close: () => connection.close(),
  };
}
