import type { CommitOutcome, WriteSet } from "../../../src/store/commit/write-set.ts";
import type { TransactionEnd, WriterPort } from "../../../src/store/commit/writers.ts";
import type { QueryRows } from "../../../src/store/sqlite/connection.ts";

/**
 * Either writer with two sets on their way at any time, each handed over a turn later: what a thread does when the disk is slow, without a
 * slow disk.
 */
export class TwoSlots implements WriterPort {
  onRoom: (() => void) | null = null;
  readonly #port: WriterPort;
  #inFlight = 0;

  constructor(port: WriterPort) {
    this.#port = port;
  }

  hasRoom(): boolean {
    return this.#inFlight < 2;
  }

  commitSet(set: WriteSet, done: (outcome: CommitOutcome) => void): void {
    this.#inFlight++;
    setImmediate(() =>
      setImmediate(() =>
        this.#port.commitSet(set, (outcome) => {
          this.#inFlight--;
          done(outcome);
        }),
      ),
    );
  }

  begin(): Promise<void> {
    return this.#port.begin();
  }

  query(sql: string, parameters: readonly unknown[]): Promise<QueryRows> {
    return this.#port.query(sql, parameters);
  }

  commit(end: TransactionEnd): Promise<void> {
    return this.#port.commit(end);
  }

  rollback(): Promise<void> {
    return this.#port.rollback();
  }

  beginPart(): Promise<void> {
    return this.#port.beginPart();
  }

  endPart(end: TransactionEnd, isFirst: boolean): Promise<void> {
    return this.#port.endPart(end, isFirst);
  }

  rollbackPart(): Promise<void> {
    return this.#port.rollbackPart();
  }

  dataVersion(): Promise<number> {
    return this.#port.dataVersion();
  }

  checkpoint(): Promise<void> {
    return this.#port.checkpoint();
  }

  close(): Promise<void> {
    return this.#port.close();
  }

  unref(): void {
    this.#port.unref();
  }
}
