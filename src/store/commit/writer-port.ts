import type { Effect } from "../effect.ts";
import type { QueryRows } from "../sqlite/statement-cache.ts";
import type { CommitOutcome, WriteSet } from "./write-set.ts";
import type { TransactionRows } from "./writing-connection.ts";

/** The end of a transaction. Its effects are not for SQLite: they are the part of the commit that memory is kept current by. */
export interface TransactionEnd extends TransactionRows {
  readonly effects: readonly Effect[];
}

/**
 * The way to the writing connection, in this thread or another. Takes and gives data only: this is also the seam for a store on
 * other machines. The committer makes sure that calls of a transaction and write sets never interleave.
 */
export interface WriterPort {
  /** Whether a set may be sent now. */
  hasRoom(): boolean;
  /** Called when there is room again while sets are still on their way. */
  onRoom: (() => void) | null;
  /** Writes a set. `done` is called once, in the order of the calls; from the main thread's writer mostly before this returns. */
  commitSet(set: WriteSet, done: (outcome: CommitOutcome) => void): void;
  begin(): Promise<void>;
  query(sql: string, parameters: readonly unknown[]): Promise<QueryRows>;
  commit(end: TransactionEnd): Promise<void>;
  rollback(): Promise<void>;
  /** Within a transaction: what follows can be rolled back by itself, until {@link endPart} or {@link rollbackPart}. */
  beginPart(): Promise<void>;
  /** Keeps what was written since the transaction or its last part began, for one commit with what follows. */
  endPart(end: TransactionEnd, isFirst: boolean): Promise<void>;
  /** @throws when SQLite has rolled back the whole transaction */
  rollbackPart(): Promise<void>;
  dataVersion(): Promise<number>;
  checkpoint(): Promise<void>;
  close(): Promise<void>;
  /** Lets the process end although the writer was not closed. */
  unref(): void;
}
