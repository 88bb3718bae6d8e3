import type { Database as Sqlite, Statement } from "better-sqlite3";

const MAX_STATEMENTS = 500;

/** Prepared statements of one connection by their SQL text. Bounded: the one prepared longest ago goes first. */
export class StatementCache {
  readonly #connection: Sqlite;
  readonly #statements = new Map<string, Statement<unknown[]>>();

  constructor(connection: Sqlite) {
    this.#connection = connection;
  }

  get(sql: string): Statement<unknown[]> {
    let statement = this.#statements.get(sql);
    if (!statement) {
      if (this.#statements.size >= MAX_STATEMENTS) {
        const oldest = this.#statements.keys().next();
        if (!oldest.done) this.#statements.delete(oldest.value);
      }
      statement = this.#connection.prepare<unknown[]>(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** Runs any statement. `rows` is empty for those that return none. */
  run(sql: string, parameters: readonly unknown[]): QueryRows {
    const statement = this.get(sql);
    if (statement.reader) return { rows: statement.all(...parameters), changes: 0 };
    return { rows: [], changes: statement.run(...parameters).changes };
  }
}

export interface QueryRows {
  readonly rows: unknown[];
  readonly changes: number;
}
