import { setImmediate } from "node:timers/promises";
import { type Clock, DAY_MS } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Database, ReadDb, Trx } from "./database.ts";

/** Rows of one transaction: ingest waits for it no longer than for a commit. */
const SLICE_ROWS = 500;

/** What is no longer kept of one table. */
export interface RetentionRule<Key> {
  /** The table, for the log. */
  readonly name: string;
  /**
   * Up to `limit` keys of rows whose time is over at `now`. It runs in the scan thread and may look
   * at the whole table.
   */
  find(scan: ReadDb, now: number, limit: number): Promise<readonly Key[]>;
  /**
   * Removes those of them whose time is still over, with what belongs to them. @returns how many
   * rows went.
   */
  remove(trx: Trx, keys: readonly Key[], now: number): Promise<number>;
}

/** @returns the instant before which something that is kept for so many days may go. */
export function daysBefore(now: number, days: number): number {
  return now - days * DAY_MS;
}

/** Removes what is over at `now`. @returns how many rows went. */
type Sweep = (database: Database, now: number, isStopped: () => boolean) => Promise<number>;

/** A sweep, and the table for the log. */
export interface NamedSweep {
  readonly name: string;
  readonly sweep: Sweep;
}

/** Names a rule and how it is swept: in transactions of few rows, each after a turn of the loop. */
export function sweepOf<Key>(rule: RetentionRule<Key>, rows = SLICE_ROWS): NamedSweep {
  return {
    name: rule.name,
    async sweep(database, now, isStopped) {
      for (let removed = 0; ; await setImmediate()) {
        if (isStopped()) return removed;
        const keys = await rule.find(database.scan, now, rows);
        const gone = keys.length === 0 ? 0 : await database.write((trx) => rule.remove(trx, keys, now));
        removed += gone;
        // What another stream or page still holds is found next time; rows that changed meanwhile
        // are nobody's any more.
        if (gone === 0) return removed;
      }
    },
  };
}

export interface SweepContext {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Sweeps every table once. One that fails does not keep the others.
 * @param signal ends the sweep with the transaction under way.
 * @returns rows that were removed, by table; tables without any are left out. @throws Error that
 * names the tables that failed
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
