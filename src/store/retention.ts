import { setTimeout } from "node:timers/promises";
import { type RawBuilder, type SelectQueryBuilder, type SqlBool, sql } from "kysely";
import type { Logger } from "../core/log.ts";
import { type Clock, DAY_MS } from "../core/time/clock.ts";
import type { Database, ReadDb, Trx } from "./database.ts";
import type { Schema } from "./schema.ts";

/** Most rows per transaction. */
const SLICE_ROWS = 500;
const MIN_SLICE_ROWS = 20;
/** How long a transaction may take: an event waits for one. On a large database a row takes longer. */
const SLICE_MS = 5;
/** Pause after a transaction that took as long as it may. */
const PAUSE_MS = 10;

/** Slices of a table that grow and shrink with the time that each takes. */
export class Slices {
  readonly #most: number;
  #rows: number;

  constructor(most = SLICE_ROWS) {
    this.#most = most;
    this.#rows = Math.min(most, MIN_SLICE_ROWS);
  }

  /** Rows of the next one. */
  get rows(): number {
    return this.#rows;
  }

  /** Runs a transaction for {@link rows} rows, and lets others write afterwards. */
  async write<T>(db: Database, work: (trx: Trx) => Promise<T>): Promise<T> {
    let startedAt = 0;
    const result = await db.write((trx) => {
      startedAt = performance.now();
      return work(trx);
    });
    const tookMs = performance.now() - startedAt;
    // It grows slowly: the next rows may be on pages that are not in memory.
    const fitting = Math.floor(this.#rows * Math.min(2, SLICE_MS / tookMs));
    this.#rows = Math.max(Math.min(this.#most, MIN_SLICE_ROWS), Math.min(this.#most, fitting));
    await setTimeout(Math.min(PAUSE_MS, 2 * tookMs));
    return result;
  }
}

/** A rule that removes expired rows of one table. */
interface RetentionRule<Key> {
  /** Table name, for the log. */
  readonly name: string;
  /**
   * Returns up to `limit` keys of rows that have expired at `now`. Runs in the scan thread and may
   * read the whole table.
   */
  find(scan: ReadDb, now: number, limit: number): Promise<readonly Key[]>;
  /** Removes those still expired, with their dependent rows. @returns the number of removed rows */
  remove(trx: Trx, keys: readonly Key[], now: number): Promise<number>;
}

/** @returns the instant before which rows that are kept for this many days expire; 0 days: none does */
export function daysBefore(now: number, days: number): number {
  return days === 0 ? -1 : now - days * DAY_MS;
}

/** Removes rows that have expired at `now`. @returns the number of removed rows. */
type Sweep = (database: Database, now: number, isStopped: () => boolean) => Promise<number>;

/** A sweep, and its table for the log. */
export interface NamedSweep {
  readonly name: string;
  /** Comes after all that are not. */
  readonly isLong?: true;
  readonly sweep: Sweep;
}

/** Names a rule and its sweep: short transactions, with room for others between them. */
export function sweepOf<Key>(rule: RetentionRule<Key>, rows = SLICE_ROWS): NamedSweep {
  return {
    name: rule.name,
    async sweep(database, now, isStopped) {
      const slices = new Slices(rows);
      for (let removed = 0; ; ) {
        if (isStopped()) return removed;
        const keys = await rule.find(database.scan, now, slices.rows);
        const gone = keys.length === 0 ? 0 : await slices.write(database, (trx) => rule.remove(trx, keys, now));
        removed += gone;
        // Rows held by others are found next time; rows that changed meanwhile no longer match.
        if (gone === 0) return removed;
      }
    },
  };
}

/**
 * Removes the rows of a table that `expired` selects by the columns of their primary key. The scan
 * thread finds them; it is asked again before they are removed, as they may have changed meanwhile:
 * an operator may have retried a dead job.
 */
export function sweepRows<DB, TB extends keyof DB, K extends object>(
  table: keyof Schema & string,
  expired: (db: ReadDb | Trx, now: number) => SelectQueryBuilder<DB, TB, K>,
  {
    remove = (trx, keys) => sql`delete from ${sql.table(table)} where ${isAmong(keys)}`.execute(trx),
    atOnce = SLICE_ROWS,
  }: {
    /** Removes rows that others depend on; default: deletes only those of the table. */
    readonly remove?: (trx: Trx, keys: readonly K[], now: number) => Promise<unknown>;
    /** Rows per transaction. */
    readonly atOnce?: number;
  } = {},
): NamedSweep {
  return sweepOf<K>(
    {
      name: table,
      find: (scan, now, limit) => expired(scan, now).limit(limit).execute(),
      async remove(trx, keys, now) {
        const gone = await expired(trx, now).where(isAmong(keys)).execute();
        if (gone.length > 0) await remove(trx, gone, now);
        return gone.length;
      },
    },
    atOnce,
  );
}

/** Whether a row has one of these keys. */
function isAmong(keys: readonly object[]): RawBuilder<SqlBool> {
  const columns = Object.keys(keys[0] ?? {}).map((name) => sql.ref(name));
  const values = keys.map((key) => sql`(${sql.join(Object.values(key))})`);
  return sql`(${sql.join(columns)}) in (values ${sql.join(values)})`;
}

export interface SweepContext {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Sweeps every table once. A failure does not stop the others.
 * @param signal ends the sweep after the current transaction.
 * @returns removed rows by table; tables without any are left out. @throws Error that names the
 * failed tables
 */
export async function sweepAll(
  { database, clock, log }: SweepContext,
  sweeps: readonly NamedSweep[],
  signal?: AbortSignal,
): Promise<Readonly<Record<string, number>>> {
  const removed: Record<string, number> = {};
  const failed: string[] = [];
  const isStopped = (): boolean => signal?.aborted === true;
  for (const { name, sweep } of sweeps) {
    if (isStopped()) break;
    try {
      const rows = await sweep(database, clock.now(), isStopped);
      if (rows === 0) continue;
      removed[name] = (removed[name] ?? 0) + rows;
      log.info({ table: name, rows }, "removed expired rows");
    } catch (error) {
      failed.push(name);
      log.warn({ table: name, err: error }, "removing expired rows failed");
    }
  }
  if (failed.length > 0) throw new Error(`retention failed for ${failed.join(", ")}`);
  return removed;
}
