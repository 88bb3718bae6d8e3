import { setImmediate } from "node:timers/promises";
import { type SelectQueryBuilder, sql } from "kysely";
import { type Clock, DAY_MS } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Database, ReadDb, Trx } from "./database.ts";

/** Rows per transaction: ingest then waits no longer than for a commit. */
const SLICE_ROWS = 500;

/** A rule that removes expired rows of one table. */
export interface RetentionRule<Key> {
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

/** @returns the instant before which rows that are kept for this many days expire. */
export function daysBefore(now: number, days: number): number {
  return now - days * DAY_MS;
}

/** Removes rows that have expired at `now`. @returns the number of removed rows. */
type Sweep = (database: Database, now: number, isStopped: () => boolean) => Promise<number>;

/** A sweep, and its table for the log. */
export interface NamedSweep {
  readonly name: string;
  readonly sweep: Sweep;
}

/** Names a rule and its sweep: transactions of few rows, each in a separate turn of the loop. */
export function sweepOf<Key>(rule: RetentionRule<Key>, rows = SLICE_ROWS): NamedSweep {
  return {
    name: rule.name,
    async sweep(database, now, isStopped) {
      for (let removed = 0; ; await setImmediate()) {
        if (isStopped()) return removed;
        const keys = await rule.find(database.scan, now, rows);
        const gone = keys.length === 0 ? 0 : await database.write((trx) => rule.remove(trx, keys, now));
        removed += gone;
        // Rows held by others are found next time; rows that changed meanwhile no longer match.
        if (gone === 0) return removed;
      }
    },
  };
}

type SweptTable =
  | "api_keys"
  | "channel_messages"
  | "deliveries"
  | "messages"
  | "project_invitations"
  | "push_devices"
  | "sealed_mails"
  | "service_tokens"
  | "sessions"
  | "suppressed_batches"
  | "workers";

/**
 * {@link sweepOf} for the rows that `expired` selects. It runs again before they are deleted: they
 * may have changed, as a dead job that an operator retried.
 */
export function sweepRows<DB, TB extends keyof DB>(
  table: SweptTable,
  expired: (db: ReadDb | Trx, now: number) => SelectQueryBuilder<DB, TB, { id: string }>,
): NamedSweep {
  return sweepOf({
    name: table,
    find: async (scan, now, limit) => (await expired(scan, now).limit(limit).execute()).map(({ id }) => id),
    async remove(trx, ids, now) {
      const gone = (await expired(trx, now).where(sql`id`, "in", ids).execute()).map(({ id }) => id);
      if (gone.length > 0) await trx.deleteFrom(table).where("id", "in", gone).execute();
      return gone.length;
    },
  });
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
      log.info({ table: name, rows }, "removed what is no longer kept");
    } catch (error) {
      failed.push(name);
      log.warn({ table: name, err: error }, "what is no longer kept could not be removed");
    }
  }
  if (failed.length > 0) throw new Error(`retention failed for ${failed.join(", ")}`);
  return removed;
}
