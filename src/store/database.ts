import type { CompiledQuery, DatabaseConnection, Driver, Kysely, QueryResult, Transaction } from "kysely";
import { AsyncScope } from "../base/async-scope.ts";
import { PrismError } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Committer } from "./committer.ts";
import { kyselyOver, ReadDriver, RunConnection } from "./kysely-drivers.ts";
import type { Scanner } from "./scanner.ts";
import type { Schema } from "./schema.ts";
import { commitError, failureOf } from "./sqlite-errors.ts";
import type { StatementCache } from "./statement-cache.ts";
import type { AuditRow, CommitFailure } from "./write-set.ts";
import type { WriterPort } from "./writer-port.ts";

export type Trx = Transaction<Schema>;
export type ReadDb = Kysely<Schema>;

/** Last argument of every service method that writes: joins the caller's transaction instead of opening one. */
export interface InTransaction {
  readonly trx?: Trx | undefined;
}

const SLOW_TRANSACTION_MS = 10;
const TRANSACTION_LIMIT_MS = 5000;

/** What a transaction gathers besides its statements: audit rows, written last, and what may only happen once it is on disk. */
class TransactionScope {
  readonly audit: AuditRow[] = [];
  readonly afterCommit: (() => void)[] = [];
}

export interface DatabaseParts {
  readonly committer: Committer;
  readonly port: WriterPort;
  readonly reader: StatementCache;
  readonly scanner: Scanner;
  readonly log: Logger;
}

/**
 * The database as features see it. `read` sees every commit whose promise is settled; `scan` does the same in another thread, for
 * reads that may look at many rows; `write` is the only way to change anything outside the hot paths.
 */
export class Database {
  readonly read: ReadDb;
  readonly scan: ReadDb;
  readonly #writer: Kysely<Schema>;
  readonly #committer: Committer;
  readonly #scopes = new WeakMap<Trx, TransactionScope>();
  readonly #running = new AsyncScope<TransactionScope>();

  constructor(parts: DatabaseParts) {
    this.#committer = parts.committer;
    this.read = kyselyOver(new ReadDriver((sql, parameters) => parts.reader.run(sql, parameters)));
    this.scan = kyselyOver(
      new ReadDriver(async (sql, parameters) => ({ rows: await parts.scanner.query(sql, parameters), changes: 0 })),
    );
    this.#writer = kyselyOver(new WriteDriver(parts, () => this.#running.get()));
  }

  /**
   * Runs `fn` in one transaction, alone with the writer; what it resolves to is returned once everything is on disk. `fn` awaits its
   * own queries and nothing else: while it runs, nobody can store an event. It is rolled back when it throws, or after 5 s.
   * @throws TypeError when called inside another transaction, for it would wait for itself. PrismError STORAGE_FULL, DATABASE_UNAVAILABLE.
   */
  async write<T>(fn: (trx: Trx) => Promise<T>): Promise<T> {
    if (this.#running.get()) throw new TypeError("a write inside a transaction must be given its trx");
    const scope = new TransactionScope();
    try {
      return await this.#running.run(scope, () =>
        this.#writer.transaction().execute((trx) => {
          this.#scopes.set(trx, scope);
          return fn(trx);
        }),
      );
    } catch (error) {
      throw publicError(error);
    }
  }

  /** {@link write}, or within the transaction the caller has open. */
  writeIn<T>({ trx }: InTransaction, fn: (trx: Trx) => Promise<T>): Promise<T> {
    return trx ? fn(trx) : this.write(fn);
  }

  /** Adds an audit row to the transaction; it gets its place in the chain at the end. */
  audit(trx: Trx, row: AuditRow): void {
    this.#scopeOf(trx).audit.push(row);
  }

  /** Runs `fn` when the transaction is on disk, before anything later is granted the writer. It must not throw. */
  afterCommit(trx: Trx, fn: () => void): void {
    this.#scopeOf(trx).afterCommit.push(fn);
  }

  /** Draws the next offset of the user, task, message and channel streams. */
  nextOffset(trx: Trx): number {
    this.#scopeOf(trx);
    return this.#committer.sequences.streams.next();
  }

  #scopeOf(trx: Trx): TransactionScope {
    const scope = this.#scopes.get(trx);
    if (!scope) throw new TypeError("this trx is not one that Database.write has given out");
    return scope;
  }
}

/** Errors of SQLite get their public code; everything else passes. */
function publicError(error: unknown): unknown {
  if (error instanceof PrismError || error instanceof TypeError) return error;
  const failure: CommitFailure = failureOf(error);
  return failure === "internal" ? error : commitError(failure, error);
}

/** Kysely's transactions on the writing connection, in turn with the write sets: acquiring joins the committer's queue. */
class WriteDriver implements Driver {
  readonly #parts: DatabaseParts;
  readonly #scope: () => TransactionScope | undefined;

  constructor(parts: DatabaseParts, scope: () => TransactionScope | undefined) {
    this.#parts = parts;
    this.#scope = scope;
  }

  async init(): Promise<void> {}
  async destroy(): Promise<void> {}

  async acquireConnection(): Promise<WriteConnection> {
    const scope = this.#scope();
    if (!scope) throw new TypeError("writes go through Database.write");
    await this.#parts.committer.acquireTransaction();
    return new WriteConnection(this.#parts, scope);
  }

  async beginTransaction(connection: WriteConnection): Promise<void> {
    await connection.begin();
  }

  async commitTransaction(connection: WriteConnection): Promise<void> {
    await connection.commit();
  }

  async rollbackTransaction(connection: WriteConnection): Promise<void> {
    await connection.rollback();
  }

  async releaseConnection(connection: WriteConnection): Promise<void> {
    connection.release();
  }
}

class WriteConnection implements DatabaseConnection {
  readonly #parts: DatabaseParts;
  readonly #scope: TransactionScope;
  readonly #connection: RunConnection;
  #startedAt = 0;
  #limit: NodeJS.Timeout | null = null;
  #overtime = false;
  #released = false;

  constructor(parts: DatabaseParts, scope: TransactionScope) {
    this.#parts = parts;
    this.#scope = scope;
    this.#connection = new RunConnection((sql, parameters) => {
      this.#refuseOvertime();
      return parts.port.query(sql, parameters);
    });
  }

  async begin(): Promise<void> {
    await this.#parts.port.begin();
    this.#startedAt = performance.now();
    this.#limit = setTimeout(() => void this.#giveUp(), TRANSACTION_LIMIT_MS);
  }

  async commit(): Promise<void> {
    this.#refuseOvertime();
    this.#end();
    const { committer, port } = this.#parts;
    const sequenceEnds = committer.sequences.unstoredEnds();
    await port.commit({ audit: this.#scope.audit, sequenceEnds });
    committer.sequences.stored(sequenceEnds);
    for (const fn of this.#scope.afterCommit) fn();
  }

  async rollback(): Promise<void> {
    if (this.#overtime) return;
    this.#end();
    await this.#parts.port.rollback();
  }

  /** Hands the writer to whoever is next. Running again changes nothing: a transaction that ran over time has been released already. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#parts.committer.releaseTransaction();
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return this.#connection.executeQuery<R>(query);
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    return this.#connection.streamQuery<R>();
  }

  /** The callback may never come back, so the writer is taken from it: rolled back and released here. */
  async #giveUp(): Promise<void> {
    this.#overtime = true;
    this.#parts.log.error(
      { limitMs: TRANSACTION_LIMIT_MS },
      "a transaction held the writer too long and was rolled back",
    );
    await this.#parts.port.rollback().catch(() => undefined);
    this.release();
  }

  #end(): void {
    if (this.#limit) clearTimeout(this.#limit);
    const durationMs = performance.now() - this.#startedAt;
    if (durationMs > SLOW_TRANSACTION_MS) {
      this.#parts.log.warn(
        { durationMs: Math.round(durationMs) },
        "a transaction held the writer; nothing was stored meanwhile",
      );
    }
  }

  #refuseOvertime(): void {
    if (!this.#overtime) return;
    throw new PrismError("DATABASE_UNAVAILABLE", "The transaction took too long and was rolled back", {
      retryAfterMs: 1000,
    });
  }
}
