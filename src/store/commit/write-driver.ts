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
import { PrismError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { type DeferredPromise, deferred } from "../../core/promises.ts";
import type { Effect } from "../effect.ts";
import type { Schema } from "../schema.ts";
import type { BoundStatement, QueryRows, StatementCache } from "../sqlite/connection.ts";
import { failureOf } from "../sqlite/sqlite-errors.ts";
import type { CommitGroup } from "./commit-group.ts";
import type { Committer } from "./committer.ts";
import type { Sequences } from "./sequences.ts";
import type { AuditRow } from "./write-set.ts";
import type { WriterPort, WriterRequest } from "./writers.ts";

/**
 * The drivers decide themselves who waits for the writer: transactions share a commit, and one that does
 * not end is passed by. By default kysely lets one at a time acquire a connection of SQLite.
 */
class SharedAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

/** Kysely over a driver of one query at a time, with Kysely's SQLite adapter and compiler. */
export function kyselyOver(driver: Driver): Kysely<Schema> {
  const dialect: Dialect = {
    createAdapter: () => new SharedAdapter(),
    createDriver: () => driver,
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
  return new Kysely<Schema>({ dialect });
}

export type RunAll = (statements: readonly BoundStatement[]) => QueryRows[] | Promise<QueryRows[]>;

export type Run = (sql: string, parameters: readonly unknown[]) => QueryRows | Promise<QueryRows>;

/** A Kysely connection over a function that runs one statement. */
class RunConnection implements DatabaseConnection {
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

/** Read-only: a transaction or a write through it is a programming error. */
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

/** From here on a callback waits for something else than its own queries. */
const SLOW_TRANSACTION_MS = 250;
/** From here on the log names it at the level debug, for those who write modules. */
const LONG_TRANSACTION_MS = 10;
const TRANSACTION_LIMIT_MS = 5000;

/**
 * State of a transaction besides its statements. `open` → `ended` on commit or rollback, or →
 * `expired` when it holds the writer for too long. Only `open` accepts statements.
 */
export class TransactionScope {
  /** Audit rows, written last in the transaction. */
  readonly audit: AuditRow[] = [];
  /** Effects to apply in this order once it is on disk. */
  readonly effects: Effect[] = [];
  /** Rejects when the writer was withdrawn, which the callback may never notice. */
  readonly expiry: DeferredPromise<never> = deferred<never>();
  state: "open" | "ended" | "expired" = "open";
  /** Runs statements of the transaction in one message; null before it has begun. */
  run: RunAll | null = null;
  #deferred: BoundStatement[] = [];
  /** Whether other transactions may commit with it. */
  readonly sharesCommit: boolean;
  /** Whether it runs before all that wait. */
  readonly isFirst: boolean;
  readonly sequences: Sequences;

  constructor(sequences: Sequences, sharesCommit: boolean, isFirst: boolean) {
    this.sharesCommit = sharesCommit;
    this.isFirst = isFirst;
    this.sequences = sequences;
  }

  /** Runs the statement before the next one that is awaited, or at the commit. */
  defer(statement: BoundStatement): void {
    this.#deferred.push(statement);
  }

  get hasDeferred(): boolean {
    return this.#deferred.length > 0;
  }

  takeDeferred(): readonly BoundStatement[] {
    const taken = this.#deferred;
    if (taken.length > 0) this.#deferred = [];
    return taken;
  }

  /** @throws TypeError, DATABASE_UNAVAILABLE */
  requireOpen(): void {
    if (this.state === "ended") throw new TypeError("the transaction has ended; await its queries inside it");
    if (this.state === "expired") throw expired();
  }
}

function expired(): PrismError {
  const message = "The transaction took too long and was rolled back";
  return new PrismError("DATABASE_UNAVAILABLE", message, { retryAfterMs: 1000 });
}

export interface WriteParts {
  readonly committer: Committer;
  readonly port: WriterPort;
  readonly reader: StatementCache;
  readonly log: Logger;
}

/** Kysely's transactions on the writing connection. Acquiring joins the committer's queue. */
export class WriteDriver implements Driver {
  readonly #parts: WriteParts;
  readonly #scope: () => TransactionScope | undefined;
  readonly #onEffect: (effect: Effect) => void;

  /** @param onEffect called with each effect after its commit, in order */
  constructor(parts: WriteParts, scope: () => TransactionScope | undefined, onEffect: (effect: Effect) => void) {
    this.#parts = parts;
    this.#scope = scope;
    this.#onEffect = onEffect;
  }

  async init(): Promise<void> {}
  async destroy(): Promise<void> {}

  async acquireConnection(): Promise<WriteConnection> {
    const scope = this.#scope();
    if (!scope) throw new TypeError("writes go through Database.write");
    const group = await this.#parts.committer.acquireTransaction(scope.sharesCommit, scope.isFirst);
    return new WriteConnection(this.#parts, scope, group, this.#onEffect);
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

/**
 * One transaction. A message to the writer's thread costs many times what a statement costs, so few are
 * sent: until the first write, statements that only read run on the main thread's reader, which sees the
 * same rows because nothing else is written meanwhile; the transaction begins with its first message; and
 * the end of one that shares its commit is answered together with the commit.
 */
class WriteConnection implements DatabaseConnection {
  readonly #parts: WriteParts;
  readonly #scope: TransactionScope;
  readonly #connection: RunConnection;
  readonly #onEffect: (effect: Effect) => void;
  #startedAt = 0;
  /** Duration of the first message, which waits for the commit before; that takes long on a slow disk. */
  #beginMs = 0;
  #limit: NodeJS.Timeout | null = null;
  #released = false;
  /** The writer has, or was sent, all of it. */
  #hasEnded = false;
  readonly #group: CommitGroup;
  /** The writer has begun it; null: nothing was sent yet. */
  #begun: { readonly isFirst: boolean } | null = null;
  /** The last error of a message, which may explain a rollback by SQLite. */
  #lastError: unknown;
  /** Names the transaction in the log. It contains no values: they are bound. */
  #firstQuery: string | null = null;

  constructor(parts: WriteParts, scope: TransactionScope, group: CommitGroup, onEffect: (effect: Effect) => void) {
    this.#onEffect = onEffect;
    this.#parts = parts;
    this.#scope = scope;
    this.#group = group;
    scope.run = (statements) => this.#run(statements);
    this.#connection = new RunConnection(async (sql, parameters) => {
      const [answer] = await this.#run([{ sql, parameters }]);
      return answer ?? { rows: [], changes: 0 };
    });
  }

  /** Runs the deferred statements, and these. @returns the rows of these */
  async #run(statements: readonly BoundStatement[]): Promise<QueryRows[]> {
    this.#scope.requireOpen();
    if (this.#readsCommitted(statements))
      return statements.map(({ sql, parameters }) => this.#parts.reader.readQuickly(sql, parameters));
    const all = this.#scope.hasDeferred ? [...this.#scope.takeDeferred(), ...statements] : statements;
    this.#firstQuery ??= all[0]?.sql ?? null;
    const answers = (await this.#ask({ op: "queries", statements: all })) as QueryRows[];
    return answers.slice(-statements.length);
  }

  /** Whether the statements only read, take little time, and nothing is written that is not committed. */
  #readsCommitted(statements: readonly BoundStatement[]): boolean {
    if (this.#begun !== null || this.#group.hasTransaction || this.#scope.hasDeferred) return false;
    return statements.every(({ sql }) => this.#parts.reader.isQuickRead(sql));
  }

  /** Sends a request of the transaction; the first one begins it. */
  async #ask(request: WriterRequest): Promise<unknown> {
    const { port, committer } = this.#parts;
    try {
      if (this.#begun !== null) return await port.ask(request);
      this.#begun = { isFirst: !this.#group.hasTransaction };
      this.#group.hasTransaction = true;
      const askedAt = performance.now();
      const begin = { op: this.#begun.isFirst ? "begin" : "beginPart" } as const;
      const answer = await port.ask({ op: "together", requests: [begin, request] });
      this.#beginMs = performance.now() - askedAt;
      return answer;
    } catch (error) {
      committer.record.failed(failureOf(error));
      this.#lastError = error;
      throw error;
    }
  }

  async begin(): Promise<void> {
    if (this.#parts.port.refusal) throw this.#parts.port.refusal;
    this.#startedAt = performance.now();
    this.#limit = setTimeout(() => void this.#expire(), TRANSACTION_LIMIT_MS);
  }

  async commit(): Promise<void> {
    this.#scope.requireOpen();
    const statements = this.#scope.takeDeferred();
    this.#firstQuery ??= statements[0]?.sql ?? null;
    this.#end();
    const { committer } = this.#parts;
    const { audit, effects } = this.#scope;
    const adds = statements.length + audit.length + committer.sequences.unstoredEnds().length;
    if (adds === 0 && this.#begun === null && !this.#group.hasTransaction) {
      this.#hasEnded = true;
      for (const effect of effects) this.#apply(effect);
      return;
    }
    const applyAll = (): void => {
      for (const effect of effects) this.#apply(effect);
    };
    if (committer.isLastOfCommit) {
      const settle = await committer.commitWith(this.#group, effects, async (set) => {
        const sequenceEnds = committer.sequences.unstoredEnds();
        const outcome = await this.#ask({ op: "commit", end: { statements, audit, sequenceEnds, effects }, set });
        committer.sequences.stored(sequenceEnds);
        return outcome;
      });
      this.#hasEnded = true;
      const afterCommit = (): void => {
        applyAll();
        settle();
      };
      void this.#group.ended(effects, afterCommit, Promise.resolve());
      committer.record.committed();
      await this.#group.committed();
      return;
    }
    this.#hasEnded = true;
    const isFirst = this.#begun?.isFirst ?? !this.#group.hasTransaction;
    const sequenceEnds = committer.sequences.unstoredEnds();
    const afterCommit = (): void => {
      committer.sequences.stored(sequenceEnds);
      applyAll();
    };
    const end = { statements, audit, sequenceEnds, effects };
    const onDisk = this.#group.ended(effects, afterCommit, this.#ask({ op: "endPart", end, isFirst }));
    this.release();
    await onDisk;
  }

  async rollback(): Promise<void> {
    if (this.#scope.state === "expired" || this.#hasEnded) return;
    this.#end();
    await this.#rollBack();
  }

  /** Rolls back this transaction; others of its commit only if SQLite rolled back everything. */
  async #rollBack(): Promise<void> {
    const { port } = this.#parts;
    if (this.#begun === null) return;
    if (this.#begun.isFirst) {
      this.#group.hasTransaction = false;
      await port.rollback();
      return;
    }
    await port.rollbackPart().catch(async (error: unknown) => {
      await port.rollback().catch(() => undefined);
      this.#group.failed(this.#lastError ?? error);
    });
  }

  /** Releases the writer. Idempotent: an expired transaction was released already. */
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

  /** The change is on disk: an error while applying an effect must not look like a failed write. */
  #apply(effect: Effect): void {
    try {
      this.#onEffect(effect);
    } catch (error) {
      const { type } = effect;
      this.#parts.log.error(
        { err: error, type, firstQuery: this.#firstQuery },
        "applying an effect of a commit failed",
      );
    }
  }

  /** The callback may never return, so the transaction is rolled back and released here. */
  async #expire(): Promise<void> {
    this.#scope.state = "expired";
    this.#parts.log.error(
      { limitMs: TRANSACTION_LIMIT_MS, firstQuery: this.#firstQuery },
      "rolled back a transaction that held the writer too long",
    );
    await this.#rollBack().catch(() => undefined);
    this.release();
    this.#scope.expiry.reject(expired());
  }

  #end(): void {
    this.#scope.state = "ended";
    if (this.#limit === null) return;
    clearTimeout(this.#limit);
    this.#limit = null;
    const durationMs = performance.now() - this.#startedAt - this.#beginMs;
    if (durationMs <= LONG_TRANSACTION_MS) return;
    this.#parts.log[durationMs <= SLOW_TRANSACTION_MS ? "debug" : "warn"](
      { durationMs: Math.round(durationMs), firstQuery: this.#firstQuery },
      "a transaction held the writer; nothing was stored meanwhile",
    );
  }
}
