import SqliteDatabase, { type Database as Sqlite, type Statement } from "better-sqlite3";
import { createDatabaseFile } from "../../core/data-dir.ts";

export interface WritingOptions {
  readonly file: string;
  /** How long SQLite waits for a lock. 0 on the event loop, which must not block. */
  readonly busyTimeoutMs: number;
  /** Size limit of the database; beyond it SQLITE_FULL. */
  readonly maxBytes?: number | undefined;
}

/**
 * Becoming a WAL database, or staying one while the last other connection closes, briefly needs
 * exclusive use of the file.
 */
const OPENING_TIMEOUT_MS = 5000;

/**
 * Opens the database for writing, in WAL mode with `synchronous=FULL`: when COMMIT returns, the
 * transaction is on disk (https://www.sqlite.org/pragma.html#pragma_synchronous). Readers never
 * wait. @throws DataDirRefused
 */
export function openForWriting({ file, busyTimeoutMs, maxBytes }: WritingOptions): Sqlite {
  createDatabaseFile(file);
  const connection = new SqliteDatabase(file, { timeout: OPENING_TIMEOUT_MS });
  connection.pragma("journal_mode = WAL");
  connection.pragma("synchronous = FULL");
  connection.pragma("foreign_keys = ON");
  connection.pragma("recursive_triggers = ON");
  connection.pragma("trusted_schema = OFF");
  connection.pragma("temp_store = MEMORY");
  if (maxBytes !== undefined) limitPages(connection, maxBytes);
  connection.pragma(`busy_timeout = ${busyTimeoutMs}`);
  return connection;
}

/** Runs `use` on a connection and closes it. */
export function closing<T>(connection: Sqlite, use: (connection: Sqlite) => T): T {
  try {
    return use(connection);
  } finally {
    connection.close();
  }
}

/** {@link closing} for a look into a file. */
export function reading<T>(file: string, use: (connection: Sqlite) => T): T {
  return closing(openForReading(file), use);
}

/** At most this much of `maxDbBytes` is kept for writes other than ingest. */
const MAX_RESERVE_BYTES = 67_108_864;

/**
 * How much of `maxDbBytes` ingest may fill. The rest is kept for deletes, retention, logins and the
 * audit trail, which need pages of their own before they free any.
 */
export function ingestLimitBytes(maxBytes: number): number {
  return maxBytes - Math.min(MAX_RESERVE_BYTES, Math.floor(maxBytes / 8));
}

/** Where ingest resumes after it was refused: one deleted row does not reopen it. */
export function ingestResumesBytes(maxBytes: number): number {
  const limitBytes = ingestLimitBytes(maxBytes);
  return limitBytes - (maxBytes - limitBytes) / 4;
}

/** How many bytes of a database are in use: its pages without the free ones. */
export class PageUsage {
  readonly #pageBytes: number;
  readonly #pages: Statement<[], number>;
  readonly #freePages: Statement<[], number>;

  constructor(connection: Sqlite) {
    this.#pageBytes = Number(connection.pragma("page_size", { simple: true }));
    this.#pages = connection.prepare<[], number>("pragma page_count").pluck();
    this.#freePages = connection.prepare<[], number>("pragma freelist_count").pluck();
  }

  usedBytes(): number {
    return ((this.#pages.get() ?? 0) - (this.#freePages.get() ?? 0)) * this.#pageBytes;
  }
}

/** Keeps the sets of ingest below {@link ingestLimitBytes}, on the writing connection. */
export class IngestLimit {
  readonly #connection: Sqlite;
  readonly #usage: PageUsage;
  readonly #maxBytes: number;
  readonly #limitBytes: number;
  isOn = false;

  constructor(connection: Sqlite, maxBytes: number) {
    this.#connection = connection;
    this.#usage = new PageUsage(connection);
    this.#maxBytes = maxBytes;
    this.#limitBytes = ingestLimitBytes(maxBytes);
  }

  /** From now on the file grows to the limit of ingest only. @returns false when it is reached. */
  enter(): boolean {
    if (this.isReached()) return false;
    limitPages(this.#connection, this.#limitBytes);
    this.isOn = true;
    return true;
  }

  isReached(): boolean {
    return this.#usage.usedBytes() >= this.#limitBytes;
  }

  leave(): void {
    if (this.isOn) limitPages(this.#connection, this.#maxBytes);
    this.isOn = false;
  }
}

function limitPages(connection: Sqlite, maxBytes: number): void {
  const pageBytes = Number(connection.pragma("page_size", { simple: true }));
  connection.pragma(`max_page_count = ${Math.max(1, Math.floor(maxBytes / pageBytes))}`);
}

/** Opens the database for reading only. Each statement sees the last commit before it started. */
export function openForReading(file: string): Sqlite {
  const connection = new SqliteDatabase(file, { readonly: true, fileMustExist: true, timeout: 1000 });
  connection.pragma("trusted_schema = OFF");
  connection.pragma("temp_store = MEMORY");
  return connection;
}

const MAX_STATEMENTS = 500;
/** How long a read of a transaction may block the event loop, except for attempts that become rare. */
const QUICK_MS = 4;
/** Attempts that a text which took longer leaves out the first time; each further time twice as many. */
const FIRST_PAUSE = 8;
const LONGEST_PAUSE = 4096;
const READS = /^\s*(select|with)\b/i;

/**
 * Prepared statements of one connection by SQL text. Bounded: evicts the one prepared first.
 *
 * SQLite compiles a statement again for each run if a bound value might change its plan, as in `a = ? order by b`,
 * `max(b)` or `limit ?`: 50 µs, and more for statements that give rows. Frequent statements have `+?` there, so that
 * SQLite does not look at the value (docs/decisions/storage.md).
 */
export class StatementCache {
  readonly #connection: Sqlite;
  readonly #statements = new Map<string, Statement<unknown[]>>();
  /**
   * Texts that took longer than {@link QUICK_MS} the last time. A busy machine or a collection of garbage
   * makes any read take long now and then, so each is tried again.
   */
  readonly #slow = new Map<string, { pause: number; left: number }>();

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

  /**
   * Whether a statement changes nothing, and is not expected to block the thread for long. A text of
   * another kind is not compiled: its table may not exist yet.
   */
  isQuickRead(sql: string): boolean {
    return READS.test(sql) && !this.#isPaused(sql) && this.get(sql).readonly;
  }

  #isPaused(sql: string): boolean {
    const slow = this.#slow.get(sql);
    return slow !== undefined && slow.left-- > 0;
  }

  /** {@link run} for a statement of {@link isQuickRead}. */
  readQuickly(sql: string, parameters: readonly unknown[]): QueryRows {
    const startedAt = performance.now();
    const rows = this.run(sql, parameters);
    if (performance.now() - startedAt > QUICK_MS) {
      if (this.#slow.size >= MAX_STATEMENTS) this.#slow.clear();
      const before = this.#slow.get(sql)?.pause ?? FIRST_PAUSE / 2;
      const pause = Math.min(LONGEST_PAUSE, before * 2);
      this.#slow.set(sql, { pause, left: pause });
    } else if (this.#slow.size > 0) this.#slow.delete(sql);
    return rows;
  }

  /** Runs any statement. `rows` is empty for statements that return none. */
  run(sql: string, parameters: readonly unknown[]): QueryRows {
    const statement = this.get(sql);
    if (statement.reader) return { rows: statement.all(...parameters), changes: 0 };
    return { rows: [], changes: statement.run(...parameters).changes };
  }
}

export interface BoundStatement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

export interface QueryRows {
  readonly rows: unknown[];
  readonly changes: number;
}
