import { AsyncResource } from "node:async_hooks";
import type { Effect } from "../effect.ts";
import type { BoundStatement, QueryRows } from "../sqlite/connection.ts";
import type { CommitOutcome, WriteSet } from "./write-set.ts";
import type { TransactionRows, WritingConnection } from "./writing-connection.ts";

/** The end of a transaction. Its effects are not stored: they keep memory current. */
export interface TransactionEnd extends TransactionRows {
  /** They run first. */
  readonly statements: readonly BoundStatement[];
  readonly effects: readonly Effect[];
}

/**
 * Requests to a writing connection besides write sets. Each is answered once, in order.
 *
 * `queries` runs several statements, up to the first that fails. `beginPart` starts a part of the
 * transaction that can be rolled back alone; `endPart` keeps what was written since then for the commit,
 * and rolls it back if it fails. `together` runs several requests up to the first that fails, and answers
 * with the result of the last.
 */
export type WriterRequest =
  | { readonly op: "queries"; readonly statements: readonly BoundStatement[] }
  | { readonly op: "commit"; readonly end: TransactionEnd }
  | { readonly op: "endPart"; readonly end: TransactionEnd; readonly isFirst: boolean }
  | { readonly op: "together"; readonly requests: readonly WriterRequest[] }
  | { readonly op: "begin" | "rollback" | "beginPart" | "rollbackPart" | "ping" | "checkpoint" | "collect" | "close" };

/**
 * The interface to the writing connection, in this thread or another. It takes and returns data
 * only, so it is also the seam for a store on other machines. The committer never interleaves
 * transactions and write sets.
 */
export abstract class WriterPort {
  /** Why every write is refused; null: it is not. */
  readonly refusal: Error | null = null;
  /** Called when another set can be sent while sets are in flight. */
  abstract onRoom: (() => void) | null;
  /** Whether a set may be sent now. */
  abstract hasRoom(): boolean;
  /**
   * Writes a set. `done` is called once, in the order of the calls; the main thread's writer
   * usually calls it before this returns.
   */
  abstract commitSet(set: WriteSet, done: (outcome: CommitOutcome) => void): void;
  /** Sends a request of the methods below. */
  abstract ask(request: WriterRequest): Promise<unknown>;
  /** Lets the process exit although the writer was not closed. */
  abstract unref(): void;

  async commit(end: TransactionEnd): Promise<void> {
    await this.ask({ op: "commit", end });
  }

  async rollback(): Promise<void> {
    await this.ask({ op: "rollback" });
  }

  /** Rolls back the current part alone. @throws when SQLite has rolled back the whole transaction */
  async rollbackPart(): Promise<void> {
    await this.ask({ op: "rollbackPart" });
  }

  async checkpoint(): Promise<void> {
    await this.ask({ op: "checkpoint" });
  }

  async close(): Promise<void> {
    await this.ask({ op: "close" });
  }
}

type Answer = QueryRows[] | undefined;

export function perform(connection: WritingConnection, request: WriterRequest): Answer {
  switch (request.op) {
    case "together":
      return request.requests.map((each) => perform(connection, each)).at(-1);
    case "queries":
      return connection.queries(request.statements);
    case "commit":
      return connection.commit(request.end) as undefined;
    case "endPart":
      return connection.endPart(request.end, request.isFirst) as undefined;
    default:
      return connection[request.op]() as undefined;
  }
}

/** The writing connection in the main thread, for machines with one core. */
export class LocalWriter extends WriterPort {
  /** A set is answered before the call returns. */
  onRoom: (() => void) | null = null;
  readonly #connection: WritingConnection;

  constructor(connection: WritingConnection) {
    super();
    this.#connection = connection;
  }

  hasRoom(): boolean {
    return true;
  }

  commitSet(set: WriteSet, done: (outcome: CommitOutcome) => void): void {
    done(this.#connection.commitSet(set));
  }

  async ask(request: WriterRequest): Promise<unknown> {
    return perform(this.#connection, request);
  }

  /** A connection of this thread does not keep the process alive. */
  unref(): void {}
}

/** Refuses every write with the same error. */
export class NoWriter extends WriterPort {
  onRoom: (() => void) | null = null;
  override readonly refusal: Error;

  constructor(refusal: Error) {
    super();
    this.refusal = refusal;
  }

  hasRoom(): boolean {
    return true;
  }

  commitSet(_set: WriteSet, done: (outcome: CommitOutcome) => void): void {
    done({ ok: false, failure: "readonly", superseded: false, message: this.refusal.message });
  }

  async ask({ op }: WriterRequest): Promise<unknown> {
    if (op === "begin" || op === "together") throw this.refusal;
    return undefined;
  }

  unref(): void {}
}

/** Events per second that justify a thread and its 8 MB. */
const BUSY_EVENTS = 200;
/** So do writes that block the event loop for this long within a second. */
const BUSY_MS = 100;
/** A commit that blocks the event loop for this long moves the writer, whatever the load. */
const SLOW_COMMIT_MS = 10;
const WINDOW_MS = 1000;

export interface AdaptiveParts {
  /** The initial writer, in the main thread. */
  readonly local: WriterPort;
  /** Starts the thread with its own connection. */
  openThread(): WriterPort;
  /**
   * Runs `fn` with exclusive use of the writer: no set in flight, no open transaction. Rejects when
   * the store is closing.
   */
  alone(fn: () => Promise<void>): Promise<void>;
  /** @param error why writer stays in the main thread, if it does. */
  onMoved(error: Error | null): void;
}

/**
 * Starts with the writing connection in the main thread, which starts quickly and needs little
 * memory, and moves it to a thread after the first busy second or slow write set. It does not move
 * back.
 */
export class AdaptiveWriter extends WriterPort {
  readonly #parts: AdaptiveParts;
  #port: WriterPort;
  #move: Promise<void> | null = null;
  #onRoom: (() => void) | null = null;
  #windowStart = 0;
  /** Set as soon as the move starts. */
  #thread: WriterPort | null = null;
  #windowEvents = 0;
  #windowMs = 0;
  /** A write may be busy in the context of a request. */
  readonly #moveOutside = AsyncResource.bind(() => this.#startMove());

  constructor(parts: AdaptiveParts) {
    super();
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
      const tookMs = performance.now() - startedAt;
      const isBusy = isFirst && (this.#isBusy(tookMs, set.events.count) || tookMs >= SLOW_COMMIT_MS);
      if (isBusy) this.#moveOutside();
      isFirst = false;
      done(outcome);
    });
  }

  ask(request: WriterRequest): Promise<unknown> {
    if (this.#move || request.op === "checkpoint") return this.#port.ask(request);
    const startedAt = performance.now();
    // The main thread's writer has run it when the call returns.
    const answer = this.#port.ask(request);
    if (this.#isBusy(performance.now() - startedAt)) this.#moveOutside();
    return answer;
  }

  override async close(): Promise<void> {
    await this.#move;
    await this.#port.close();
  }

  unref(): void {
    this.#thread?.unref();
  }

  #isBusy(tookMs: number, events = 0): boolean {
    const now = performance.now();
    if (now - this.#windowStart > WINDOW_MS) {
      this.#windowStart = now;
      this.#windowEvents = 0;
      this.#windowMs = 0;
    }
    this.#windowEvents += events;
    this.#windowMs += tookMs;
    return this.#windowEvents >= BUSY_EVENTS || this.#windowMs >= BUSY_MS;
  }

  #startMove(): void {
    this.#move = this.#moveToThread().then(
      () => this.#parts.onMoved(null),
      (error: unknown) => this.#parts.onMoved(error instanceof Error ? error : new Error(String(error))),
    );
  }

  /** The thread opens the file first, which takes time; only the switch needs the writer. */
  async #moveToThread(): Promise<void> {
    const { local, openThread, alone } = this.#parts;
    const thread = openThread();
    this.#thread = thread;
    try {
      await thread.ask({ op: "ping" });
      await alone(async () => {
        // The thread may have died while the move waited for the writer.
        await thread.ask({ op: "ping" });
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
