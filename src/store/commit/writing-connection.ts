import { dirname } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import { type BoundStatement, IngestLimit, type QueryRows, reading, StatementCache } from "../sqlite/connection.ts";
import { requireModuleChanges, schemaVersion } from "../sqlite/migrate.ts";
import { diskProblem, failureOf, limitReached, withDiskReason } from "../sqlite/sqlite-errors.ts";
import { WriteSetApplier } from "./apply-write-set.ts";
import { AuditChain } from "./audit-chain.ts";
import type { AuditRow, CommitFailure, CommitOutcome, SequenceEnd, WriteSet } from "./write-set.ts";

/** Additions of a transaction at its end: the numbers it drew, and the audit rows, which come last. */
export interface TransactionRows {
  readonly audit: readonly AuditRow[];
  readonly sequenceEnds: readonly SequenceEnd[];
}

/**
 * The single writing connection: write sets and the transactions of `Database.write`, one after the
 * other. The committer decides about its use; it lives in the main thread or in the writer thread.
 */
export class WritingConnection {
  readonly #connection: Sqlite;
  readonly #applier: WriteSetApplier;
  readonly #audit: AuditChain;
  readonly #statements: StatementCache;
  readonly #limit: IngestLimit | null;
  readonly #begin;
  readonly #commit;
  readonly #rollback;
  readonly #schemaVersionNow;
  #schemaVersion: number;
  readonly #beginPart;
  readonly #endPart;
  readonly #rollbackToPart;
  readonly #beginSet;
  readonly #endSet;
  readonly #rollbackToSet;
  /** A part of the transaction was rolled back although the committer takes it for kept. */
  #hasLostPart = false;
  /** Why SQLite rolled the transaction back by itself; null when it did not. */
  #rolledBackBy: unknown = null;
  #failedEpoch = -1;
  #failure: CommitFailure = "internal";

  /** @param maxBytes the database's size limit; ingest may fill a part of it. */
  constructor(connection: Sqlite, auditKey: Uint8Array, maxBytes?: number) {
    this.#connection = connection;
    this.#limit = maxBytes === undefined ? null : new IngestLimit(connection, maxBytes);
    this.#audit = new AuditChain(connection, auditKey);
    this.#applier = new WriteSetApplier(connection, this.#audit);
    this.#statements = new StatementCache(connection);
    this.#begin = connection.prepare("begin immediate");
    this.#commit = connection.prepare("commit");
    this.#rollback = connection.prepare("rollback");
    this.#schemaVersionNow = connection.prepare<[], number>("pragma schema_version").pluck();
    this.#schemaVersion = schemaVersion(connection);
    this.#beginPart = connection.prepare("savepoint part");
    this.#endPart = connection.prepare("release part");
    this.#rollbackToPart = connection.prepare("rollback to part");
    this.#beginSet = connection.prepare("savepoint decided");
    this.#endSet = connection.prepare("release decided");
    this.#rollbackToSet = connection.prepare("rollback to decided");
  }

  /**
   * Writes a set in one transaction; never throws. When it returns `ok`, the rows are on disk.
   * @param onSync called when the rows are written and the sync is next.
   */
  commitSet(set: WriteSet, onSync?: () => void): CommitOutcome {
    if (set.epoch <= this.#failedEpoch)
      return { ok: false, failure: this.#failure, superseded: true, message: "an earlier set failed" };
    try {
      this.#begin.run();
      if (this.#limit && isIngest(set) && !this.#limit.enter()) throw limitReached();
      const written = this.#applier.apply(set);
      for (const { sql, parameters } of set.statements) this.#statements.run(sql, parameters);
      this.beforeCommit();
      onSync?.();
      this.#commit.run();
      return { ok: true, ...written };
    } catch (thrown) {
      const error = this.#isOverLimit(thrown) ? limitReached() : this.#withReason(thrown);
      this.#failedEpoch = set.epoch;
      this.#failure = failureOf(error);
      this.#rollbackAfter();
      const message = error instanceof Error ? error.message : String(error);
      return { ok: false, failure: this.#failure, superseded: false, message };
    } finally {
      this.#limit?.leave();
    }
  }

  /** Whether SQLite found no room because of the limit of ingest, and not because of the disk. */
  #isOverLimit(error: unknown): boolean {
    if (this.#limit?.isOn !== true || failureOf(error) !== "full") return false;
    return diskProblem(dirname(this.#connection.name)) === null;
  }

  /** If a failing disk refuses the rollback too, the next `begin` reports it. */
  #rollbackAfter(): void {
    try {
      this.rollback();
    } catch {}
  }

  begin(): void {
    this.#rolledBackBy = null;
    this.#hasLostPart = false;
    this.#explained(() => this.#begin.run());
  }

  /** @throws without a transaction: SQLite may have ended it, and statements must stay in it. */
  query(sql: string, parameters: readonly unknown[]): QueryRows {
    this.#requireTransaction();
    return this.#explained(() => this.#statements.run(sql, parameters));
  }

  /** {@link query} for several statements. */
  queries(statements: readonly BoundStatement[]): QueryRows[] {
    return statements.map(({ sql, parameters }) => this.query(sql, parameters));
  }

  /**
   * @param set what was decided about the rows of the transaction. @returns its outcome
   * @throws SchemaRefused if the transaction changed the schema in a way that restores refuse
   */
  commit(
    end: TransactionRows & { readonly statements: readonly BoundStatement[] },
    set?: WriteSet,
  ): CommitOutcome | undefined {
    this.#requireTransaction();
    this.queries(end.statements);
    const outcome = set && this.#explained(() => this.#applyWithin(set));
    const version = this.#schemaVersionNow.get() ?? 0;
    if (version !== this.#schemaVersion) this.#checkSchema();
    this.#applier.storeSequenceEnds(end.sequenceEnds);
    this.#audit.append(end.audit);
    this.beforeCommit();
    this.#explained(() => this.#commit.run());
    this.#schemaVersion = version;
    return outcome;
  }

  /** Writes a set in the open transaction, which is kept without it if SQL refuses the set. */
  #applyWithin(set: WriteSet): CommitOutcome {
    const refused = { ok: false, superseded: false } as const;
    if (this.#hasLostPart) return { ...refused, failure: "internal", message: "a transaction before it was refused" };
    if (this.#limit?.isReached()) return { ...refused, failure: "limit", message: limitReached().message };
    this.#beginSet.run();
    try {
      const written = this.#applier.apply(set);
      this.#endSet.run();
      return { ok: true, ...written };
    } catch (error) {
      if (!this.#connection.inTransaction) throw error;
      this.#rollbackToSet.run();
      this.#endSet.run();
      return { ...refused, failure: failureOf(error), message: error instanceof Error ? error.message : String(error) };
    }
  }

  /** The rows of a transaction are written, and the commit is next. */
  protected beforeCommit(): void {}

  /** Another connection still sees the schema from before the transaction. */
  #checkSchema(): void {
    reading(this.#connection.name, (before) => requireModuleChanges(before, this.#connection));
  }

  #explained<T>(run: () => T): T {
    try {
      return run();
    } catch (thrown) {
      const error = this.#withReason(thrown);
      if (!this.#connection.inTransaction) this.#rolledBackBy = error;
      throw error;
    }
  }

  #withReason(error: unknown): unknown {
    return withDiskReason(error, () => diskProblem(dirname(this.#connection.name)));
  }

  /** Transactions that share a commit are savepoints, except for the first, which needs none. */
  beginPart(): void {
    // Outside a transaction a savepoint would start one.
    this.#requireTransaction();
    this.#beginPart.run();
  }

  endPart(end: TransactionRows & { readonly statements: readonly BoundStatement[] }, isFirst: boolean): void {
    try {
      this.#requireTransaction();
      this.queries(end.statements);
      this.#applier.storeSequenceEnds(end.sequenceEnds);
      this.#audit.append(end.audit);
      if (!isFirst) this.#endPart.run();
    } catch (error) {
      this.#hasLostPart = true;
      if (this.#connection.inTransaction) this.#takeBackPart(isFirst);
      else this.#rolledBackBy ??= error;
      throw error;
    }
  }

  /** The transaction stays open: the next part may have been sent already. */
  #takeBackPart(isFirst: boolean): void {
    if (!isFirst) return this.rollbackPart();
    this.#rollback.run();
    this.#begin.run();
  }

  /** @throws when the transaction is gone: the earlier parts are lost too */
  rollbackPart(): void {
    this.#requireTransaction();
    this.#rollbackToPart.run();
    this.#endPart.run();
  }

  /** SQLite may have rolled back already (https://www.sqlite.org/lang_transaction.html). */
  rollback(): void {
    if (this.#connection.inTransaction) this.#rollback.run();
  }

  #requireTransaction(): void {
    if (this.#connection.inTransaction) return;
    throw this.#rolledBackBy ?? new Error("the transaction has been rolled back");
  }

  /** Answers once the connection is open and its turn has come. */
  ping(): void {}

  /** Moves the write-ahead log into the database file and empties it, unless a reader holds it. */
  checkpoint(): void {
    this.#connection.pragma("wal_checkpoint(TRUNCATE)");
  }

  /** What its thread no longer uses is collected ({@link serveWriter}); the cache of pages stays. */
  collect(): void {}

  close(): void {
    this.#connection.close();
  }
}

function isIngest({ events, effects }: WriteSet): boolean {
  return events.count > 0 || effects.length > 0;
}
