import { setTimeout as wait } from "node:timers/promises";
import type { Logger } from "../../../core/log.ts";
import type { Database } from "../../../store/database.ts";
import { type StoredAlert, storeRepetitions } from "./alert-book.ts";

const FLUSH_AFTER_MS = 4000;
/** Rows of one transaction: it holds the writer for about 3 ms. */
const FLUSH_ROWS = 250;
/** Pause between them, in which requests are answered. */
const PAUSE_MS = 10;
/** All pauses of a flush. */
const PAUSES_MS = 1000;

/** Alerts with repetitions that only memory has yet. After a crash they are at most 5 s old. */
export class Repetitions {
  readonly #db: Database;
  readonly #log: Logger;
  #unstored = new Set<StoredAlert>();
  #timer: NodeJS.Timeout | null = null;
  #flushing: Promise<void> | null = null;
  #isStopped = false;

  constructor(db: Database, log: Logger) {
    this.#db = db;
    this.#log = log;
  }

  add(alert: StoredAlert): void {
    this.#unstored.add(alert);
    if (this.#timer || this.#isStopped) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#flush(PAUSE_MS);
    }, FLUSH_AFTER_MS);
    this.#timer.unref();
  }

  /** Its row has everything, or it is gone. */
  delete(alert: StoredAlert): void {
    this.#unstored.delete(alert);
  }

  /** Writes them in transactions of bounded size. Those that fail wait for the next flush. */
  flush(): Promise<void> {
    return this.#flush(0);
  }

  async #flush(pauseMs: number): Promise<void> {
    this.#flushing ??= this.#storeAll(pauseMs).finally(() => {
      this.#flushing = null;
    });
    await this.#flushing;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    await this.#flushing;
    await this.flush();
  }

  async #storeAll(pauseMs: number): Promise<void> {
    const alerts = [...this.#unstored];
    this.#unstored = new Set();
    const longestMs = PAUSES_MS / Math.ceil(alerts.length / FLUSH_ROWS);
    for (let at = 0; at < alerts.length; at += FLUSH_ROWS) {
      const isPaced = at > 0 && pauseMs > 0 && !this.#isStopped;
      if (isPaced) await wait(Math.min(pauseMs, longestMs), undefined, { ref: false });
      const some = alerts.slice(at, at + FLUSH_ROWS);
      try {
        await this.#db.write((trx) => storeRepetitions(trx, some), { sharesCommit: true });
      } catch (error) {
        this.#log.warn({ err: error, alerts: some.length }, "cannot store repetitions of alerts; retrying");
        for (const alert of alerts.slice(at)) if (alert.state !== "resolved") this.add(alert);
        return;
      }
    }
  }
}
