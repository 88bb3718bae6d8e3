import { setImmediate } from "node:timers/promises";
import { type Clock, DAY_MS } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import type { Database, ReadDb, Trx } from "../../store/database.ts";

/** After the start, so that a start has the machine to itself; then this often. */
const FIRST_SWEEP_MS = 300_000;
const SWEEP_EVERY_MS = 3_600_000;
/** Rows of one transaction: ingest waits for it no longer than for a commit. */
const SLICE_ROWS = 500;

/** What is no longer kept of one table. */
export interface RetentionRule<Key> {
  /** The table, for the log. */
  readonly name: string;
  /** Up to `limit` keys of rows whose time is over at `now`. It runs in the scan thread and may look at the whole table. */
  find(scan: ReadDb, now: number, limit: number): Promise<readonly Key[]>;
  /** Removes those of them whose time is still over, with what belongs to them. @returns how many rows went. */
  remove(trx: Trx, keys: readonly Key[], now: number): Promise<number>;
}

/** @returns the instant before which something that is kept for so many days may go. */
export function daysBefore(now: number, days: number): number {
  return now - days * DAY_MS;
}

/** One sweep of a rule, its keys being nobody else's business. @returns how many rows went. */
export type Sweep = (database: Database, now: number, isStopped: () => boolean) => Promise<number>;

/** Names a rule and how it is swept: in transactions of few rows, each after a turn of the loop. */
export function sweepOf<Key>(rule: RetentionRule<Key>, rows = SLICE_ROWS): { readonly name: string; sweep: Sweep } {
  return {
    name: rule.name,
    async sweep(database, now, isStopped) {
      for (let removed = 0; ; await setImmediate()) {
        if (isStopped()) return removed;
        const keys = await rule.find(database.scan, now, rows);
        const gone = keys.length === 0 ? 0 : await database.write((trx) => rule.remove(trx, keys, now));
        removed += gone;
        // What another stream or page still holds is found next time; rows that changed meanwhile are nobody's any more.
        if (gone === 0) return removed;
      }
    },
  };
}

export interface RetentionParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly log: Logger;
  readonly sweeps: readonly { readonly name: string; readonly sweep: Sweep }[];
}

/** Removes what is no longer kept (contract 3, column Retention), an hour at the latest after its time. */
export class Retention {
  readonly #parts: RetentionParts;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #isStopped = false;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#arm(FIRST_SWEEP_MS);
  }

  /** A sweep under way ends with its transaction. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#running;
  }

  /** Sweeps every table once. One that fails does not keep the others; it is tried again with the next sweep. */
  sweep(): Promise<void> {
    this.#running ??= this.#sweepAll().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  async #sweepAll(): Promise<void> {
    const { database, clock, log, sweeps } = this.#parts;
    for (const { name, sweep } of sweeps) {
      if (this.#isStopped) return;
      try {
        const rows = await sweep(database, clock.now(), () => this.#isStopped);
        if (rows > 0) log.info({ table: name, rows }, "removed what is no longer kept");
      } catch (error) {
        log.warn(
          { table: name, err: error },
          "what is no longer kept could not be removed; it is tried again in an hour",
        );
      }
    }
  }

  #arm(delayMs: number): void {
    this.#timer = setTimeout(() => {
      void this.sweep().then(() => {
        if (!this.#isStopped) this.#arm(SWEEP_EVERY_MS);
      });
    }, delayMs);
    this.#timer.unref();
  }
}
