import { AsyncResource } from "node:async_hooks";
import { currentCaller } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { type Deferred, deferred } from "../../core/promises.ts";
import { commitError, failureOf } from "../sqlite/sqlite-errors.ts";
import { WriteRecord } from "../write-health.ts";
import { CommitGroup, MAX_OPEN_MS } from "./commit-group.ts";
import { eventColumns } from "./event-columns.ts";
import type { Sequences } from "./sequences.ts";
import type { CommitFailure, CommitOutcome, DeliveredMark, WriteSet } from "./write-set.ts";
import type { WriterPort } from "./writers.ts";

/** What a source gives when it is granted a slot; the committer adds the rest. */
export type SetContent = Omit<WriteSet, "epoch" | "delivered" | "sequenceEnds">;

export interface SealedSet {
  readonly content: SetContent;
  /** Called once when the set is on disk, or when it is known that it never will be. */
  settle(outcome: CommitOutcome): void;
}

/** Whoever has rows to write on a hot path. */
export interface SetSource {
  /**
   * Decides and numbers what is pending, in one synchronous turn, seeing everything committed or on
   * its way before it.
   * @returns null when there is nothing to write after all.
   */
  seal(): SealedSet | null;
  /** Called in place of {@link seal} when the committer closes first. */
  dropped?(error: PrismError): void;
}

/** Called after a set is on disk: how long it took and how many events it held. */
export type OnCommit = (durationMs: number, events: number) => void;

interface SetTicket {
  /** Tickets are numbered in the order in which they were asked for. */
  readonly order: number;
  readonly source: SetSource;
}

interface TransactionTicket {
  readonly order: number;
  readonly sharesCommit: boolean;
  readonly grant: Deferred<CommitGroup>;
}

/** Transactions of requests that may wait: some seconds' worth. */
const MAX_WAITING_TRANSACTIONS = 2000;

const MARKS_DELAY_MS = 50;
const MARKS_RETRY_MS = 1000;
const MAX_MARKS = 100_000;

/**
 * The one door to disk. It grants the writer to write sets and to transactions, first come, first
 * served; but after each commit of transactions a waiting set comes first, so that a line of them
 * never holds up ingest. A transaction runs alone, sets may be several in flight. Transactions that
 * wait together may share a commit, see {@link CommitGroup}. Offsets are drawn by the holder only,
 * so the order of grants is the order of commits, of offsets and of decisions.
 *
 * Failure: when a set fails, the writer refuses the later sets of its epoch; once all have been
 * answered the next epoch begins. Sources and settle functions must not throw: the writer's order
 * would be lost, so the process ends.
 */
export class Committer {
  readonly sequences: Sequences;
  /** What became of the latest sets and transactions. */
  readonly record = new WriteRecord();
  readonly #port: WriterPort;
  readonly #onCommit: OnCommit;
  readonly #epochListeners: (() => void)[] = [];
  /**
   * Sets are sealed and settled for many callers at once, on behalf of none: not in the
   * asynchronous context of whoever asked first.
   */
  readonly #context = new AsyncResource("prism.committer");
  #sets: SetTicket[] = [];
  #transactions: TransactionTicket[] = [];
  #tickets = 0;
  #lastWasTransaction = false;
  readonly #wanted = new Set<SetSource>();
  #pumpScheduled = false;
  #setsInFlight = 0;
  readonly #maxOpenMs: number;
  #group: CommitGroup | null = null;
  /** The group waits for its next transaction to be granted. */
  #isBetweenMembers = false;
  #epoch = 1;
  #epochFailed = false;
  #marks: DeliveredMark[] = [];
  #marksTimer: NodeJS.Timeout | null = null;
  readonly #marksSource: SetSource = {
    seal: () => (this.#marks.length === 0 ? null : { content: emptyContent(), settle: () => undefined }),
  };
  #idle: (() => void)[] = [];
  #isClosed = false;

  constructor(port: WriterPort, sequences: Sequences, onCommit: OnCommit, maxOpenMs = MAX_OPEN_MS) {
    this.#maxOpenMs = maxOpenMs;
    this.#port = port;
    this.sequences = sequences;
    this.#onCommit = onCommit;
    port.onRoom = () => this.#schedulePump();
  }

  /**
   * `fn` runs when a set has failed and all sets decided on top of it have failed with it: memory
   * that ran ahead of the tables must be read anew.
   */
  whenEpochFails(fn: () => void): void {
    this.#epochListeners.push(fn);
  }

  /**
   * Asks for a slot for this source. It is granted at the earliest at the end of this loop turn, so
   * that what arrives together is written together.
   */
  wantSet(source: SetSource): void {
    if (this.#isClosed || this.#wanted.has(source)) return;
    this.#wanted.add(source);
    this.#sets.push({ order: ++this.#tickets, source });
    this.#schedulePump();
  }

  /** @throws SHUTTING_DOWN when nothing more will be written */
  requireOpen(): void {
    if (this.#isClosed) throw shuttingDown();
  }

  /**
   * Waits for the writer; the caller is then alone with it until {@link releaseTransaction}.
   * @param sharesCommit whether other such transactions may commit with it. @throws SHUTTING_DOWN,
   * OVERLOADED to requests when too many wait
   */
  async acquireTransaction(sharesCommit = false): Promise<CommitGroup> {
    this.requireOpen();
    const isRequest = currentCaller().requestId !== null;
    if (isRequest && this.#transactions.length >= MAX_WAITING_TRANSACTIONS)
      throw new PrismError("OVERLOADED", "Too many writes wait for the disk", { retryAfterMs: 1000 });
    const grant = deferred<CommitGroup>();
    this.#transactions.push({ order: ++this.#tickets, sharesCommit, grant });
    this.#schedulePump();
    return grant.promise;
  }

  /** Whether the transaction that has the writer is the last of its commit. */
  get isLastOfCommit(): boolean {
    return !(this.#group?.hasRoom && this.#transactions[0]?.sharesCommit);
  }

  /**
   * The holder is done with the writer: another transaction of the same commit is next, or the
   * commit is made.
   */
  releaseTransaction(): void {
    const group = this.#group;
    if (!group) return;
    if (group.hasTransaction && !this.isLastOfCommit) {
      // In a turn of its own: others may wait for the event loop.
      this.#isBetweenMembers = true;
      this.#schedulePump();
    } else void this.#endGroup(group);
  }

  #grantNext(group: CommitGroup): void {
    const next = this.#transactions.shift();
    group.granted();
    next?.grant.resolve(group);
  }

  async #endGroup(group: CommitGroup): Promise<void> {
    if (group.hasTransaction) await this.#commitGroup(group);
    this.#group = null;
    this.#schedulePump();
  }

  /** Runs `fn` while nothing else uses the writer. @throws SHUTTING_DOWN */
  async alone<T>(fn: () => Promise<T>): Promise<T> {
    await this.acquireTransaction();
    try {
      return await fn();
    } finally {
      this.releaseTransaction();
    }
  }

  /** The last one could not commit for all: it was rolled back. */
  async #commitGroup(group: CommitGroup): Promise<void> {
    const sequenceEnds = this.sequences.unstoredEnds();
    try {
      await this.#port.commit({ audit: [], sequenceEnds, effects: [] });
      this.record.committed();
      this.sequences.stored(sequenceEnds);
      group.committed();
    } catch (error) {
      this.record.failed(failureOf(error));
      await this.#port.rollback().catch(() => undefined);
      group.failed(error);
    }
  }

  /**
   * A recipient was told: one flag, written with the next set, at the latest {@link MARKS_DELAY_MS}
   * from now.
   */
  markDelivered(mark: DeliveredMark): void {
    // To lose a flag costs a second delivery at the most.
    if (this.#isClosed || this.#marks.length >= MAX_MARKS) return;
    this.#marks.push(mark);
    this.#armMarks(MARKS_DELAY_MS);
  }

  /**
   * {@link markDelivered} of several; resolves when they are on disk. @throws SHUTTING_DOWN,
   * STORAGE_FULL and the like.
   */
  async storeDelivered(marks: readonly DeliveredMark[]): Promise<void> {
    this.requireOpen();
    if (marks.length === 0) return;
    const stored = deferred<void>();
    this.wantSet({
      seal: () => {
        this.#marks.push(...marks);
        return {
          content: emptyContent(),
          settle: (outcome) =>
            outcome.ok ? stored.resolve() : stored.reject(commitError(outcome.failure, new Error(outcome.message))),
        };
      },
      dropped: stored.reject,
    });
    await stored.promise;
  }

  #armMarks(delayMs: number): void {
    this.#marksTimer ??= setTimeout(() => {
      this.#marksTimer = null;
      this.wantSet(this.#marksSource);
    }, delayMs);
  }

  /** Resolves when nothing waits and nothing is in flight. */
  async settled(): Promise<void> {
    if (this.#disarmMarks()) this.wantSet(this.#marksSource);
    if (this.#isIdle()) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /**
   * The end: resolves when what has the writer is done with it and the last flags are written. What
   * still waits for the writer is dropped, for nobody was told that it is stored.
   */
  async close(): Promise<void> {
    this.#wanted.clear();
    for (const { source } of this.#sets.splice(0)) source.dropped?.(shuttingDown());
    for (const { grant } of this.#transactions.splice(0)) grant.reject(shuttingDown());
    this.#disarmMarks();
    if (!this.#isClosed && this.#marks.length > 0) this.wantSet(this.#marksSource);
    this.#isClosed = true;
    await this.settled();
  }

  #disarmMarks(): boolean {
    if (!this.#marksTimer) return false;
    clearTimeout(this.#marksTimer);
    this.#marksTimer = null;
    return true;
  }

  #isIdle(): boolean {
    return this.#nextTicket() === undefined && this.#setsInFlight === 0 && this.#group === null;
  }

  #schedulePump(): void {
    if (this.#pumpScheduled) return;
    this.#pumpScheduled = true;
    setImmediate(() => {
      this.#pumpScheduled = false;
      this.#context.runInAsyncScope(this.#pump, this);
    });
  }

  #nextTicket(): SetTicket | TransactionTicket | undefined {
    const [set] = this.#sets;
    const [transaction] = this.#transactions;
    if (!set || !transaction) return set ?? transaction;
    return this.#lastWasTransaction || set.order < transaction.order ? set : transaction;
  }

  /** Grants the writer while the next ticket may have it. */
  #pump(): void {
    if (this.#group && this.#isBetweenMembers) {
      this.#isBetweenMembers = false;
      if (this.isLastOfCommit) void this.#endGroup(this.#group);
      else this.#grantNext(this.#group);
      return;
    }
    while (this.#group === null && !this.#epochFailed) {
      const ticket = this.#nextTicket();
      if (!ticket) break;
      if ("grant" in ticket) {
        if (this.#setsInFlight > 0) return;
        this.#group = new CommitGroup(ticket.sharesCommit, this.#maxOpenMs);
        this.#lastWasTransaction = true;
        this.#grantNext(this.#group);
        return;
      }
      if (!this.#port.hasRoom()) return;
      this.#sets.shift();
      this.#lastWasTransaction = false;
      this.#wanted.delete(ticket.source);
      const sealed = ticket.source.seal();
      if (!sealed) continue;
      this.#send(sealed);
      // Written at once, in this thread: whoever else waits for the event loop comes before the
      // next set.
      if (this.#setsInFlight === 0) return;
    }
    if (this.#isIdle()) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #send({ content, settle }: SealedSet): void {
    const delivered = this.#marks;
    if (delivered.length > 0) this.#marks = [];
    const sequenceEnds = this.sequences.unstoredEnds();
    const startedAt = performance.now();
    this.#setsInFlight++;
    this.#port.commitSet({ ...content, epoch: this.#epoch, delivered, sequenceEnds }, (outcome) => {
      this.#setsInFlight--;
      if (outcome.ok) {
        this.record.committed();
        this.sequences.stored(sequenceEnds);
      } else this.#failed(outcome.failure, delivered);
      if (outcome.ok) this.#onCommit(performance.now() - startedAt, content.events.seq.length);
      settle(outcome);
      if (this.#epochFailed && this.#setsInFlight === 0) this.#nextEpoch();
      this.#schedulePump();
    });
  }

  #failed(failure: CommitFailure, delivered: readonly DeliveredMark[]): void {
    this.record.failed(failure);
    this.#epochFailed = true;
    // Flags that SQL itself refuses would spoil every later set.
    if (failure === "internal" || failure === "closed" || this.#isClosed || delivered.length === 0) return;
    this.#marks = [...delivered, ...this.#marks].slice(-MAX_MARKS);
    this.#armMarks(MARKS_RETRY_MS);
  }

  #nextEpoch(): void {
    this.#epoch++;
    for (const listener of this.#epochListeners) listener();
    this.#epochFailed = false;
  }
}

function shuttingDown(): PrismError {
  return new PrismError("SHUTTING_DOWN", "The server is stopping; nothing was stored", { retryAfterMs: 5000 });
}

/** Content without a row; a source fills in what it has. */
export function emptyContent(): SetContent {
  return {
    events: eventColumns([]),
    effects: [],
    processed: null,
    ruleStats: [],
    suppression: null,
    idempotency: [],
    jobs: null,
    audit: [],
  };
}
