import { AsyncResource } from "node:async_hooks";
import type { CompiledQuery, Insertable, Kysely, Transaction, Updateable } from "kysely";
import { AsyncScope, currentCaller } from "../core/caller.ts";
import { PrismError } from "../core/errors.ts";
import { type DeferredPromise, deferred } from "../core/promises.ts";
import {
  kyselyOver,
  ReadDriver,
  type Run,
  type RunAll,
  TransactionScope,
  WriteDriver,
  type WriteParts,
} from "./commit/write-driver.ts";
import type { AuditRow, CommitFailure } from "./commit/write-set.ts";
import type { Effect } from "./effect.ts";
import type { Scanner } from "./scanner.ts";
import type { Schema } from "./schema.ts";
import type { BoundStatement, StatementCache } from "./sqlite/connection.ts";
import { commitError, failureOf } from "./sqlite/sqlite-errors.ts";

export type Trx = Transaction<Schema>;
export type ReadDb = Kysely<Schema>;

export type { BoundStatement } from "./sqlite/connection.ts";

/** Last argument of service methods that write: they join the caller's transaction. */
export interface InTransaction {
  readonly trx?: Trx | undefined;
}

/**
 * With `sharesCommit` transactions that wait at the same time run one after the other and share one
 * sync to disk. Each is answered after that, and rolled back alone if it fails. It sees the rows of
 * those before it, but their effects are not applied yet: use it only for callbacks that decide
 * nothing by such memory.
 */
export interface WriteOptions {
  readonly sharesCommit?: boolean;
  /** Runs before the transactions that wait. */
  readonly isFirst?: boolean;
}

/** See {@link Database.writeSharedIfPossible}. */
export class MustCommitAlone extends Error {
  override readonly name = "MustCommitAlone";
}

export interface DatabaseParts extends WriteParts {
  readonly reader: StatementCache;
  /** Null: scans run on the reader. */
  readonly scanner: Scanner | null;
}

/**
 * The database as features see it. `read` sees every commit whose promise has settled; `scan` does
 * the same in another thread, for reads of many rows; `write` is the only way to change data
 * outside the hot paths.
 */
export class Database {
  readonly read: ReadDb;
  readonly scan: ReadDb;
  readonly #writer: Kysely<Schema>;
  readonly #committer: WriteParts["committer"];
  readonly #running = new AsyncScope<TransactionScope>();
  #onEffect: (effect: Effect) => void = () => undefined;

  constructor(parts: DatabaseParts) {
    const { reader, scanner } = parts;
    this.#committer = parts.committer;
    this.read = readerOver((sql, parameters) => reader.run(sql, parameters));
    this.scan = scanner
      ? readerOver(async (sql, parameters) => ({ rows: await scanner.query(sql, parameters), changes: 0 }))
      : this.read;
    const onEffect = (effect: Effect): void => this.#onEffect(effect);
    this.#writer = kyselyOver(new WriteDriver(parts, () => this.#running.get(), onEffect));
  }

  /**
   * Runs `fn` in one transaction with exclusive use of the writer, and resolves with its result
   * once it is on disk. `fn` awaits its own queries and nothing else, because no event can be
   * stored meanwhile. It is rolled back when it throws, or after 5 s.
   * @throws TypeError inside another transaction, which would deadlock. PrismError STORAGE_FULL,
   * DATABASE_UNAVAILABLE, SHUTTING_DOWN.
   */
  async write<T>(
    fn: (trx: Trx) => Promise<T>,
    { sharesCommit = false, isFirst = false }: WriteOptions = {},
  ): Promise<T> {
    this.requireOutside();
    return this.#write(fn, new TransactionScope(this.#committer.sequences, sharesCommit, isFirst));
  }

  /**
   * {@link write} of what may share its commit unless it changes something that memory decides: then it
   * throws {@link MustCommitAlone}, and runs again alone, before the transactions that came later.
   */
  async writeSharedIfPossible<T>(fn: (trx: Trx, sharesCommit: boolean) => Promise<T>): Promise<T> {
    try {
      return await this.write((trx) => fn(trx, true), { sharesCommit: true });
    } catch (error) {
      if (!(error instanceof MustCommitAlone)) throw error;
    }
    return this.write((trx) => fn(trx, false), { isFirst: true });
  }

  async #write<T>(fn: (trx: Trx) => Promise<T>, scope: TransactionScope): Promise<T> {
    try {
      return await this.#running.run(scope, () => Promise.race([this.#transaction(scope, fn), scope.expiry.promise]));
    } catch (error) {
      throw publicError(error);
    }
  }

  /** @throws TypeError inside a transaction: a write that does not join it would deadlock. */
  requireOutside(message = "a write inside a transaction must be given its trx"): void {
    if (this.#running.get()) throw new TypeError(message);
  }

  #transaction<T>(scope: TransactionScope, fn: (trx: Trx) => Promise<T>): Promise<T> {
    return this.#writer.transaction().execute((trx) => {
      scopes.set(trx, scope);
      currentCaller().requireStill?.();
      const result = fn(trx);
      const store = alongside.get();
      if (store === undefined) return result;
      return result.then((value) => {
        store(trx);
        return value;
      });
    });
  }

  /** {@link write}, or part of the caller's open transaction. */
  writeIn<T>({ trx }: InTransaction, fn: (trx: Trx) => Promise<T>, options?: WriteOptions): Promise<T> {
    return trx ? fn(trx) : this.write(fn, options);
  }

  /** Adds an audit row to the transaction. It is chained at the end. */
  audit(trx: Trx, row: AuditRow): void {
    scopeOf(trx).audit.push(row);
  }

  /** Registers the function that applies effects to this process's memory. It must not throw. */
  whenCommitted(apply: (effect: Effect) => void): void {
    this.#onEffect = apply;
  }

  /** Draws the next offset of the user, task, message and channel streams. */
  nextOffset(trx: Trx): number {
    scopeOf(trx); // Only the holder of the writer may draw.
    return this.#committer.sequences.streams.next();
  }
}

const alongside = new AsyncScope<(trx: Trx) => void>();

/** Calls `store` at the end of each transaction that `fn` begins, before its commit. */
export function withEachWrite<T>(store: (trx: Trx) => void, fn: () => T): T {
  return alongside.run(store, fn);
}

/** What {@link withEachWrite} stores with the caller's writes, for a queue that makes one transaction of several callers. */
export function storesAlso(): ((trx: Trx) => void) | undefined {
  return alongside.get();
}

/** Draws the seq of an event that the transaction inserts. */
export function nextEventSeq(trx: Trx): number {
  return scopeOf(trx).sequences.events.next();
}

function readerOver(run: Run): ReadDb {
  const db = kyselyOver(new ReadDriver((sql, parameters) => charged(run(sql, parameters))));
  runners.set(db, (statements) => Promise.all(statements.map(({ sql, parameters }) => charged(run(sql, parameters)))));
  return db;
}

/** Rows are charged to the request that reads them. */
function charged(result: ReturnType<Run>): ReturnType<Run> {
  const caller = currentCaller();
  if (!caller.charge) return result;
  if (result instanceof Promise) return result.then((each) => charged(each));
  caller.charge({ found: result.rows.length });
  return result;
}

const scopes = new WeakMap<Trx, TransactionScope>();

function scopeOf(trx: Trx): TransactionScope {
  const scope = scopes.get(trx);
  if (!scope) throw new TypeError("this trx is not one that Database.write has given out");
  scope.requireOpen();
  return scope;
}

/** Their memory decides, also in a transaction that shares its commit: there it must equal the tables. */
const COMMITS_ALONE: ReadonlySet<Effect["type"]> = new Set(["alerts-changed"]);

/**
 * Adds an {@link Effect} to the transaction: what changed, for memory. Effects are applied in order
 * once the transaction is on disk, before the writer is granted again.
 */
export function addEffect(trx: Trx, effect: Effect): void {
  const scope = scopeOf(trx);
  if (scope.sharesCommit && COMMITS_ALONE.has(effect.type))
    throw new TypeError(`a transaction with the effect ${effect.type} must not share its commit`);
  scope.effects.push(effect);
}

/**
 * Runs a statement of the transaction without waiting for it: before the next one that is awaited, or
 * at the commit, whose promise has its error. Many statements then cost one message to the writer.
 */
export function later(trx: Trx, sql: string, parameters: readonly unknown[]): void {
  scopeOf(trx).defer({ sql, parameters });
}

const runners = new WeakMap<ReadDb, RunAll>();

/**
 * Rows of a statement whose text is constant: building and compiling it each time takes longer
 * than running it.
 */
export async function rowsOf<T>(db: ReadDb | Trx, sql: string, parameters: readonly unknown[]): Promise<T[]> {
  const [rows] = await rowsOfAll(db, [{ sql, parameters }]);
  return rows as T[];
}

/** {@link rowsOf} of several statements, which cost one message to the writer. */
export async function rowsOfAll(db: ReadDb | Trx, statements: readonly BoundStatement[]): Promise<unknown[][]> {
  const run = runners.get(db) ?? scopeOf(db as Trx).run;
  if (!run) throw new TypeError("the transaction has not begun");
  return (await run(statements)).map(({ rows }) => rows);
}

/** Maps errors of SQLite to public codes; passes others through. */
function publicError(error: unknown): unknown {
  if (error instanceof PrismError || error instanceof TypeError) return error;
  const failure: CommitFailure = failureOf(error);
  return failure === "internal" ? error : commitError(failure, error);
}

/* Writes that need no result, see `later`. */

/** The text for columns in this order. */
interface KnownText {
  readonly names: readonly string[];
  readonly text: string;
}

const texts = new Map<string, KnownText[]>();

/** Comparing names is quicker than a key made of them. */
function textOf(statement: string, names: readonly string[], make: () => string): string {
  const known = texts.get(statement) ?? [];
  for (const each of known) if (isSame(each.names, names)) return each.text;
  const text = make();
  texts.set(statement, [...known, { names, text }]);
  return text;
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((name, at) => name === right[at]);
}

/** Runs a built statement at the latest with the commit. */
export function runLater(trx: Trx, { sql, parameters }: CompiledQuery): void {
  later(trx, sql, parameters);
}

/** Inserts a row at the latest with the commit. */
export function insertLater<T extends keyof Schema & string>(
  trx: Trx,
  table: T,
  row: Insertable<Schema[T]>,
  ending: "" | "on conflict do nothing" = "",
): void {
  const names = Object.keys(row);
  const sql = textOf(`insert ${table} ${ending}`, names, () => {
    const columns = names.map((name) => `"${name}"`).join(", ");
    return `insert into "${table}" (${columns}) values (${names.map(() => "?").join(", ")}) ${ending}`;
  });
  later(trx, sql, Object.values(row));
}

/** Changes the row with this id at the latest with the commit. */
export function updateLater<T extends keyof Schema & string>(
  trx: Trx,
  table: T,
  id: string,
  values: Updateable<Schema[T]>,
): void {
  updateRowLater(trx, table, { id }, values);
}

/** Changes the rows with this key, which is not null, at the latest with the commit. */
export function updateRowLater<T extends keyof Schema & string>(
  trx: Trx,
  table: T,
  key: Readonly<Record<string, string | number>>,
  values: Updateable<Schema[T]>,
): void {
  const names = Object.keys(values);
  const keys = Object.keys(key);
  const sql = textOf(`update ${table} ${keys}`, names, () => {
    const columns = names.map((name) => `"${name}" = ?`).join(", ");
    const conditions = keys.map((name) => `"${name}" = ?`).join(" and ");
    return `update "${table}" set ${columns} where ${conditions}`;
  });
  later(trx, sql, [...Object.values(values), ...Object.values(key)]);
}

interface WriteQueueParts<I, O> {
  readonly db: Pick<Database, "write">;
  readonly options?: WriteOptions;
  /** Inputs of one transaction. */
  readonly most: number;
  /** Inputs that may wait; default: any number. */
  readonly mayWait?: number;
  /** Stores them in order. @returns what came of each; of fewer: the next one must be stored alone, before the rest */
  store(trx: Trx, inputs: readonly I[]): Promise<readonly O[]>;
  /** Stores one that must be alone in its transaction. */
  storeAlone?(trx: Trx, input: I): Promise<O>;
  /** Whether an error is about one input, so that the others are stored without it; default: a defect is. */
  isOfOne?(error: unknown): boolean;
  /** The input is stored, or has failed: called before its promise settles. */
  ended?(input: I): void;
}

interface Entry<I, O> {
  readonly input: I;
  readonly stored: DeferredPromise<O>;
  /** Stored with it, for its caller. */
  readonly also: ((trx: Trx) => void) | undefined;
}

/**
 * Small writes of one kind: all that wait are one transaction, up to a limit; those that arrive
 * meanwhile are the next one. A transaction costs many times what its statements do.
 */
export class WriteQueue<I, O> {
  readonly #parts: WriteQueueParts<I, O>;
  #waiting: Entry<I, O>[] = [];
  #running: Promise<void> | null = null;
  /** The inputs of many callers: not in the asynchronous context of the first one. */
  readonly #runOutside = AsyncResource.bind(() => this.#run());

  constructor(parts: WriteQueueParts<I, O>) {
    this.#parts = parts;
  }

  /** Resolves after the commit. @throws OVERLOADED */
  add(input: I): Promise<O> {
    const { mayWait = Number.POSITIVE_INFINITY } = this.#parts;
    if (this.#waiting.length >= mayWait)
      throw new PrismError("OVERLOADED", "Too many writes are waiting for the disk", { retryAfterMs: 1000 });
    const stored = deferred<O>();
    this.#waiting.push({ input, stored, also: storesAlso() });
    this.#running ??= this.#runOutside();
    return stored.promise;
  }

  async #run(): Promise<void> {
    // Inputs of the same turn of the event loop are stored together.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#store(this.#waiting.splice(0, this.#parts.most));
    // At once: an input that comes in the same turn starts the next run.
    this.#running = null;
  }

  /** @param isFirst before the transactions that wait: the first ones of the inputs have waited */
  async #store(entries: readonly Entry<I, O>[], isFirst = false): Promise<void> {
    const { db, store, storeAlone, options, isOfOne = isDefect } = this.#parts;
    const inputs = entries.map(({ input }) => input);
    try {
      const results = await db.write(
        async (trx) => {
          const stored = await store(trx, inputs);
          for (const { also } of entries.slice(0, stored.length)) also?.(trx);
          return stored;
        },
        { ...options, isFirst },
      );
      for (const [i, result] of results.entries()) this.#resolve(entries[i], result);
      const [next, ...rest] = entries.slice(results.length);
      if (next === undefined) return;
      if (storeAlone === undefined) throw new TypeError("a queue that leaves inputs over must store them alone");
      await this.#alone(next, storeAlone);
      if (rest.length > 0) await this.#store(rest, true);
    } catch (error) {
      // What one of them meets must not stop the others.
      if (entries.length > 1 && isOfOne(error)) for (const entry of entries) await this.#store([entry]);
      else for (const entry of entries) this.#end(entry, () => entry.stored.reject(error));
    }
  }

  async #alone(entry: Entry<I, O>, storeAlone: (trx: Trx, input: I) => Promise<O>): Promise<void> {
    try {
      const result = await this.#parts.db.write(
        async (trx) => {
          const stored = await storeAlone(trx, entry.input);
          entry.also?.(trx);
          return stored;
        },
        { isFirst: true },
      );
      this.#resolve(entry, result);
    } catch (error) {
      this.#end(entry, () => entry.stored.reject(error));
    }
  }

  #resolve(entry: Entry<I, O> | undefined, result: O): void {
    if (entry) this.#end(entry, () => entry.stored.resolve(result));
  }

  #end({ input }: Entry<I, O>, settle: () => void): void {
    this.#parts.ended?.(input);
    settle();
  }
}

function isDefect(error: unknown): boolean {
  return !(error instanceof PrismError);
}
