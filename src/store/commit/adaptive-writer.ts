import type { QueryRows } from "../sqlite/statement-cache.ts";
import type { CommitOutcome, WriteSet } from "./write-set.ts";
import type { TransactionEnd, WriterPort } from "./writer-port.ts";

/** Events in one second that make a thread worth its 8 MB. */
const BUSY_EVENTS = 200;
/** A commit that holds the event loop this long, whatever the load. */
const SLOW_COMMIT_MS = 10;
const WINDOW_MS = 1000;

export interface AdaptiveParts {
  /** Where it begins: in the main thread. */
  readonly local: WriterPort;
  /** Starts the thread, with a connection of its own. */
  openThread(): WriterPort;
  /** Runs `fn` while nobody else has the writer: no set in flight, no transaction open. Rejects when the store is being closed. */
  alone(fn: () => Promise<void>): Promise<void>;
  /** @param error why it stays where it is, if it does. */
  onMoved(error: Error | null): void;
}

/** More than any `data_version`: those of two connections cannot be compared, so what comes from the thread must not look like what came before. */
const THREAD_VERSIONS = 2 ** 40;

/**
 * The writing connection where it serves best: in the main thread while there is little to do, which is quick to start and small in memory, and
 * in a thread of its own from the first busy second, or the first slow commit, on. It does not move back.
 */
export class AdaptiveWriter implements WriterPort {
  readonly #parts: AdaptiveParts;
  #port: WriterPort;
  #move: Promise<void> | null = null;
  #onRoom: (() => void) | null = null;
  #windowStart = 0;
  /** Opened by the move, also while that is under way. */
  #thread: WriterPort | null = null;
  #windowEvents = 0;

  constructor(parts: AdaptiveParts) {
    this.#parts = parts;
    this.#port = parts.local;
  }

  get onRoom(): (() => void) | null {
    return this.#onRoom;
  }

  set onRoom(fn: (() => void) | null) {
    this.#onRoom = fn;
    this.#port.onRoom = fn;
  }

  get isInThread(): boolean {
    return this.#port !== this.#parts.local;
  }

  hasRoom(): boolean {
    return this.#port.hasRoom();
  }

  commitSet(set: WriteSet, done: (outcome: CommitOutcome) => void): void {
    if (this.#move) {
      this.#port.commitSet(set, done);
      return;
    }
    const startedAt = performance.now();
    let isFirst = true;
    this.#port.commitSet(set, (outcome) => {
      if (isFirst && this.#isBusy(set.events.seq.length, startedAt)) this.#startMove();
      isFirst = false;
      done(outcome);
    });
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

  async dataVersion(): Promise<number> {
    const base = this.isInThread ? THREAD_VERSIONS : 0;
    return base + (await this.#port.dataVersion());
  }

  checkpoint(): Promise<void> {
    return this.#port.checkpoint();
  }

  async close(): Promise<void> {
    await this.#move;
    await this.#port.close();
  }

  unref(): void {
    this.#thread?.unref();
  }

  #isBusy(events: number, startedAt: number): boolean {
    const now = performance.now();
    if (now - this.#windowStart > WINDOW_MS) {
      this.#windowStart = now;
      this.#windowEvents = 0;
    }
    this.#windowEvents += events;
    return this.#windowEvents >= BUSY_EVENTS || now - startedAt >= SLOW_COMMIT_MS;
  }

  #startMove(): void {
    this.#move = this.#moveToThread().then(
      () => this.#parts.onMoved(null),
      (error: unknown) => this.#parts.onMoved(error instanceof Error ? error : new Error(String(error))),
    );
  }

  /** The thread opens the file first, which takes a while; only the change itself needs the writer. */
  async #moveToThread(): Promise<void> {
    const { local, openThread, alone } = this.#parts;
    const thread = openThread();
    this.#thread = thread;
    try {
      await thread.dataVersion();
      await alone(async () => {
        // It may have died while the writer was waited for.
        await thread.dataVersion();
        local.onRoom = null;
        thread.onRoom = this.#onRoom;
        this.#port = thread;
        await local.close();
      });
    } finally {
      if (!this.isInThread) await thread.close();
    }
  }
}
