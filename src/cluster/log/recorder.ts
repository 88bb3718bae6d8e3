import type { Database as Sqlite, Statement } from "better-sqlite3";

/** A statement as it was executed. */
export interface RecordedChange {
  readonly text: string;
  readonly parameters: readonly unknown[];
  /** Rows that it changed, or returned if it returns rows; null for statements about the schema. */
  readonly count: number | null;
}

/** Rows of this machine's file alone: they are in no record and in no digest. */
const LOCAL_TABLE = /\blocal_state\b/;
/** An insert that is ignored may still count up `autoincrement`. */
const INSERT = /^\s*(?:insert|replace|with)\b/i;
const SCHEMA = /^\s*(?:create|drop|alter|reindex)\b/i;
const CONTROL =
  /^\s*(begin|commit|end|rollback|savepoint|release)\b(?:\s+(?:transaction\s+)?(?:(?:to|savepoint)\s+)*(\w+))?/i;

interface Savepoint {
  readonly name: string;
  /** Number of changes before it. */
  readonly at: number;
}

/**
 * Notes each statement of a writing connection that changes rows, in their order. What is rolled back
 * to a savepoint is taken out, and so is what failed or changed nothing: another file with the same
 * content to which the changes are applied has the same content again.
 */
export class Recorder {
  #changes: RecordedChange[] = [];
  #savepoints: Savepoint[] = [];

  readonly #onEnd: (word: string) => void;

  /**
   * Call it before the first statement is prepared.
   * @param onEnd called with `commit` after one, and with `begin` and `rollback` before one
   */
  constructor(connection: Sqlite, onEnd: (word: string) => void = () => undefined) {
    this.#onEnd = onEnd;
    const prepare = connection.prepare.bind(connection) as (text: string) => Statement<unknown[]>;
    const exec = connection.exec.bind(connection);
    Object.assign(connection, {
      prepare: (text: string) => this.#watched(text, prepare(text)),
      exec: (text: string) => {
        exec(text);
        this.#note({ text, parameters: [], count: null });
        return connection;
      },
    });
  }

  /** The changes since the transaction began. */
  get changes(): readonly RecordedChange[] {
    return this.#changes;
  }

  #note(change: RecordedChange): void {
    if (LOCAL_TABLE.test(change.text)) return;
    // The caller may fill the same array again for its next statement.
    const parameters = change.parameters.map((each) => (Array.isArray(each) ? [...each] : each));
    this.#changes.push({ ...change, parameters });
  }

  #watched(text: string, statement: Statement<unknown[]>): Statement<unknown[]> {
    const control = CONTROL.exec(text);
    if (control) return this.#controlling(control[1]?.toLowerCase() ?? "", control[2]?.toLowerCase(), statement);
    if (statement.readonly) return statement;
    const [run, get, all] = [
      statement.run.bind(statement),
      statement.get.bind(statement),
      statement.all.bind(statement),
    ];
    const [isSchema, isInsert] = [SCHEMA.test(text), INSERT.test(text)];
    return Object.assign(statement, {
      run: (...parameters: unknown[]) => {
        const result = run(...parameters);
        if (isSchema) this.#note({ text, parameters, count: null });
        else if (isInsert || result.changes > 0) this.#note({ text, parameters, count: result.changes });
        return result;
      },
      all: (...parameters: unknown[]) => {
        const rows = all(...parameters);
        if (isInsert || rows.length > 0) this.#note({ text, parameters, count: rows.length });
        return rows;
      },
      // Changes all its rows, and returns the first.
      get: (...parameters: unknown[]) => {
        const row = get(...parameters);
        if (isInsert || row !== undefined) this.#note({ text, parameters, count: null });
        return row;
      },
      iterate: () => {
        throw new TypeError(`a statement that changes rows is not iterated: ${text}`);
      },
    });
  }

  #controlling(word: string, name: string | undefined, statement: Statement<unknown[]>): Statement<unknown[]> {
    const run = statement.run.bind(statement);
    return Object.assign(statement, {
      run: (...parameters: unknown[]) => {
        if (word === "begin" || (word === "rollback" && name === undefined)) this.#onEnd(word);
        const result = run(...parameters);
        if (word === "commit") this.#onEnd(word);
        if (word === "savepoint") this.#savepoints.push({ name: name ?? "", at: this.#changes.length });
        else if (word === "release") this.#savepoints.length = this.#indexOf(name);
        else if (word === "rollback" && name !== undefined) this.#takeBack(name);
        else {
          this.#changes = [];
          this.#savepoints = [];
        }
        return result;
      },
    });
  }

  #takeBack(name: string): void {
    const index = this.#indexOf(name);
    this.#changes.length = this.#savepoints[index]?.at ?? 0;
    // The savepoint stays open.
    this.#savepoints.length = index + 1;
  }

  #indexOf(name: string | undefined): number {
    const index = this.#savepoints.findLastIndex((each) => each.name === name);
    return Math.max(0, index);
  }
}

/** Functions that give different results on two files with the same content. */
const REFUSED = [
  ...["random", "randomblob", "last_insert_rowid", "changes", "total_changes"],
  ...["date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"],
  ...["current_date", "current_time", "current_timestamp"],
] as const;

/**
 * Lets a writing connection refuse functions of SQL that read the clock, draw random values or
 * depend on the connection, also in defaults of columns: other nodes execute the same statements.
 * The caller passes such a value as a parameter.
 */
export function refuseChangingFunctions(connection: Sqlite): void {
  for (const name of REFUSED)
    connection.function(name, { varargs: true }, () => {
      throw new Error(
        `${name}() is refused in a cluster: each node would compute another value; pass it as a parameter`,
      );
    });
}
