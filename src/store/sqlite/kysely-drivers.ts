import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import type { Schema } from "../schema.ts";
import type { QueryRows } from "./statement-cache.ts";

/** Gives Kysely a way to run one query. Everything else about SQLite (adapter, compiler) is Kysely's own. */
export function kyselyOver(driver: Driver): Kysely<Schema> {
  const dialect: Dialect = {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => driver,
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
  return new Kysely<Schema>({ dialect });
}

type Run = (sql: string, parameters: readonly unknown[]) => QueryRows | Promise<QueryRows>;

/** A connection as Kysely wants it, over a function that runs one statement. */
export class RunConnection implements DatabaseConnection {
  readonly #run: Run;

  constructor(run: Run) {
    this.#run = run;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { rows, changes } = await this.#run(query.sql, query.parameters);
    return { rows: rows as R[], numAffectedRows: BigInt(changes) };
  }

  // biome-ignore lint/correctness/useYield: the interface wants a generator; results come in pages of their own here
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new TypeError("read in pages; a long read keeps the write-ahead log from restarting");
  }
}

/** For reading only: every query stands alone, and a transaction or a write is a mistake of ours. */
export class ReadDriver implements Driver {
  readonly #connection: RunConnection;

  constructor(run: Run) {
    this.#connection = new RunConnection(run);
  }

  async init(): Promise<void> {}
  async destroy(): Promise<void> {}
  async releaseConnection(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return this.#connection;
  }

  async beginTransaction(): Promise<void> {
    throw new TypeError("`read` has no transactions; use Database.write");
  }

  async commitTransaction(): Promise<void> {}
  async rollbackTransaction(): Promise<void> {}
}
