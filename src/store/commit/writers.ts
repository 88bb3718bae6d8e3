import { AsyncResource } from "node:async_hooks";
import type { Effect } from "../effect.ts";
import type { BoundStatement, QueryRows } from "../sqlite/connection.ts";
import type { CommitOutcome, WriteSet } from "./write-set.ts";
import { WriterLoad, type WriterPlace } from "./writer-load.ts";
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
 * and rolls it back if it fails. `commit` answers with the outcome of its set, which is decided about what
 * its transactions have stored: if SQL refuses the set, they are committed without it. `together` runs
 * several requests up to the first that fails, and answers with the result of the last.
 */
export type WriterRequest =
  | { readonly op: "queries"; readonly statements: readonly BoundStatement[] }
  | { readonly op: "commit"; readonly end: TransactionEnd; readonly set?: WriteSet | undefined }
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
  /** How long the connection has worked on the requests that it has answered, in milliseconds. */
  abstract readonly spentMs: number;
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

  /** @returns the outcome of the set */
  commit(end: TransactionEnd, set?: WriteSet): Promise<unknown> {
    return this.ask({ op: "commit", end, set });
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

type Answer = QueryRows[] | CommitOutcome | undefined;

/** Requests that are no part of a commit: their time is not measured. */
export function isUnmeasured({ op }: { readonly op: string }): boolean {
  return op === "checkpoint" || op === "collect" || op === "ping";
}

export function perform(connection: WritingConnection, request: WriterRequest): Answer {
  switch (request.op) {
    case "together":
      return request.requests.map((each) => perform(connection, each)).at(-1);
    case "queries":
      return connection.queries(request.statements);
    case "commit":
      return connection.commit(request.end, request.set);
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
  spentMs = 0;
  readonly #connection: WritingConnection;

  constructor(connection: WritingConnection) {
    super();
    this.#connection = connection;
  }

  hasRoom(): boolean {
    return true;
  }

  commitSet(set: WriteSet, done: (outcome: CommitOutcome) => void): void {
    const startedAt = performance.now();
    const outcome = this.#connection.commitSet(set);
    this.spentMs += performance.now() - startedAt;
    done(outcome);
  }

  async ask(request: WriterRequest): Promise<unknown> {
    if (isUnmeasured(request)) return perform(this.#connection, request);
    const startedAt = performance.now();
    try {
      return perform(this.#connection, request);
    } finally {
      this.spentMs += performance.now() - startedAt;
    }
  }

  /** A connection of this thread does not keep the process alive. */
  unref(): void {}
}

/** Refuses every write with the same error. */
export class NoWriter extends WriterPort {
  onRoom: (() => void) | null = null;
  readonly spentMs = 0;
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

export interface AdaptiveParts {
  /** The initial writer, in the main thread. */
  readonly local: WriterPort;
  /** Opens another one, when the thread is left. */
  openLocal(): WriterPort;
  /** Starts the thread with its own connection. */
  openThread(): WriterPort;
  /**
   * Runs `fn` with exclusive use of the writer: no set in flight, no open transaction. Rejects when
   * the store is closing.
   */
  alone(fn: () => Promise<void>): Promise<void>;
  /** @param error why the writer stays where it is, if it does: it is not moved again. */
  onMoved(place: WriterPlace, error: Error | null): void;
}

/**
 * Starts with the writing connection in the main thread, which starts quickly, needs little memory and
 * answers a lone request soonest. It moves the connection to a thread when commits are large or slow,
 * and back when they are small and quick again ({@link WriterLoad}), between two commits.
 */
export class AdaptiveWriter extends WriterPort {
  readonly #parts: AdaptiveParts;
  readonly #load = new WriterLoad();
  #port: WriterPort;
  /** Since it starts. */
  #thread: WriterPort | null = null;
  #place: WriterPlace = "main";
  #move: Promise<void> | null = null;
  #hasFailed = false;
  #onRoom: (() => void) | null = null;
  /** Of the connection, up to the commit before. */
  #spentMs = 0;
  /** Transactions that have ended and are not committed. */
  #ended = 0;
  /** A write may be busy in the context of a request. */
  readonly #moveOutside = AsyncResource.bind((to: WriterPlace) => this.#startMove(to));

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

  get spentMs(): number {
    return this.#port.spentMs;
  }

  get isInThread(): boolean {
    return this.#place === "thread";
  }

  hasRoom(): boolean {
    return this.#port.hasRoom();
  }

  commitSet(set: WriteSet, done: (outcome: CommitOutcome) => void): void {
    this.#port.commitSet(set, (outcome) => {
      this.#committed(rowsOf(set));
      done(outcome);
    });
  }

  ask(request: WriterRequest): Promise<unknown> {
    // The main thread's writer has run it when the call returns.
    const answer = this.#port.ask(request);
    const { op } = request.op === "together" ? (request.requests.at(-1) ?? request) : request;
    if (op === "endPart") this.#ended++;
    else if (op === "commit" || op === "rollback") {
      const transactions = this.#ended + 1;
      this.#ended = 0;
      this.#committed(transactions);
    }
    return answer;
  }

  override async close(): Promise<void> {
    await this.#move;
    await this.#port.close();
  }

  unref(): void {
    this.#thread?.unref();
  }

  #committed(rows: number): void {
    const spentMs = this.#port.spentMs;
    const place = this.#load.committed(rows, spentMs - this.#spentMs, performance.now());
    this.#spentMs = spentMs;
    if (place !== this.#place && this.#move === null && !this.#hasFailed) this.#moveOutside(place);
  }

  #startMove(to: WriterPlace): void {
    this.#move = (to === "thread" ? this.#moveToThread() : this.#moveToMain()).then(
      () => this.#parts.onMoved(to, null),
      (error: unknown) => {
        this.#hasFailed = true;
        this.#parts.onMoved(to, error instanceof Error ? error : new Error(String(error)));
      },
    );
    void this.#move.then(() => {
      this.#move = null;
    });
  }

  /** The thread opens the file first, which takes time; only the switch needs the writer. */
  async #moveToThread(): Promise<void> {
    const local = this.#port;
    const { openThread, alone } = this.#parts;
    const thread = openThread();
    this.#thread = thread;
    try {
      await thread.ask({ op: "ping" });
      await alone(async () => {
        // The thread may have died while the move waited for the writer.
        await thread.ask({ op: "ping" });
        this.#use(thread, "thread");
        await local.close();
      });
    } finally {
      if (!this.isInThread) await thread.close();
    }
  }

  async #moveToMain(): Promise<void> {
    const thread = this.#port;
    const { openLocal, alone } = this.#parts;
    await alone(async () => this.#use(openLocal(), "main"));
    // Nothing waits for it any more.
    await thread.close().catch(() => undefined);
    this.#thread = null;
  }

  #use(port: WriterPort, place: WriterPlace): void {
    this.#port.onRoom = null;
    port.onRoom = this.#onRoom;
    this.#port = port;
    this.#place = place;
    this.#spentMs = port.spentMs;
    this.#load.moved(place, performance.now());
  }
}

/** Roughly what another thread saves: the events of a set, and its jobs. */
function rowsOf({ events, effects, jobs }: WriteSet): number {
  const rows = Math.max(events.count, effects.length);
  if (jobs === null) return rows;
  const { insert, finish, progress, claim, succeeded = [] } = jobs;
  const claimed = claim.reduce((sum, { limit }) => sum + limit, 0);
  const ended = succeeded.reduce((sum, { seqs }) => sum + seqs.length, 0);
  return rows + insert.length + finish.length + progress.length + Math.max(claimed, ended);
}
