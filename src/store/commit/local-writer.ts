import { failureOf } from "../sqlite/sqlite-errors.ts";
import type { QueryRows } from "../sqlite/statement-cache.ts";
import type { CommitOutcome, WriteSet } from "./write-set.ts";
import type { TransactionEnd, WriterPort } from "./writer-port.ts";
import type { WritingConnection } from "./writing-connection.ts";

/** A command beside the server may hold the file for a moment: ask again this often, for this long, without stopping the event loop. */
const BUSY_RETRY_MS = 5;

/** The writing connection in the main thread, for machines with one core. Its `busy_timeout` must be 0. */
export class LocalWriter implements WriterPort {
  /** A set is answered before the call returns, unless another process holds the file. */
  onRoom: (() => void) | null = null;
  #isBusy = false;
  readonly #connection: WritingConnection;
  readonly #busyLimitMs: number;

  /** @param busyLimitMs how long another process's lock is waited for. */
  constructor(connection: WritingConnection, busyLimitMs: number) {
    this.#connection = connection;
    this.#busyLimitMs = busyLimitMs;
  }

  hasRoom(): boolean {
    return !this.#isBusy;
  }

  commitSet(set: WriteSet, answer: (outcome: CommitOutcome) => void): void {
    const startedAt = performance.now();
    this.#isBusy = true;
    const done = (outcome: CommitOutcome): void => {
      this.#isBusy = false;
      answer(outcome);
    };
    const attempt = (): void => {
      const error = this.#tryBegin();
      if (error === null) {
        done(this.#connection.commitSet(set, { hasBegun: true }));
        return;
      }
      const failure = failureOf(error);
      if (failure === "busy" && performance.now() - startedAt < this.#busyLimitMs) {
        setTimeout(attempt, BUSY_RETRY_MS);
        return;
      }
      done({ ok: false, failure, superseded: false, message: error.message });
    };
    attempt();
  }

  async begin(): Promise<void> {
    const startedAt = performance.now();
    for (;;) {
      const error = this.#tryBegin();
      if (error === null) return;
      if (failureOf(error) !== "busy" || performance.now() - startedAt >= this.#busyLimitMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, BUSY_RETRY_MS));
    }
  }

  async query(sql: string, parameters: readonly unknown[]): Promise<QueryRows> {
    return this.#connection.query(sql, parameters);
  }

  async commit(end: TransactionEnd): Promise<void> {
    this.#connection.commit(end);
  }

  async rollback(): Promise<void> {
    this.#connection.rollback();
  }

  async beginPart(): Promise<void> {
    this.#connection.beginPart();
  }

  async endPart(end: TransactionEnd, isFirst: boolean): Promise<void> {
    this.#connection.endPart(end, isFirst);
  }

  async rollbackPart(): Promise<void> {
    this.#connection.rollbackPart();
  }

  async dataVersion(): Promise<number> {
    return this.#connection.dataVersion();
  }

  async checkpoint(): Promise<void> {
    this.#connection.checkpoint();
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  /** A connection of this thread keeps no process. */
  unref(): void {}

  #tryBegin(): Error | null {
    try {
      this.#connection.begin();
      return null;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}
