import { AsyncResource } from "node:async_hooks";
import { currentCaller } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { type DeferredPromise, deferred } from "../../core/promises.ts";
import type { Effect } from "../effect.ts";
import { commitError, failureOf } from "../sqlite/sqlite-errors.ts";
import { WriteRecord } from "../write-health.ts";
import { CommitGroup, MAX_OPEN_MS } from "./commit-group.ts";
import { NO_EVENTS } from "./event-columns.ts";
import type { Sequences } from "./sequences.ts";
import { ShareOfSets } from "./share-of-sets.ts";
import type { CommitFailure, CommitOutcome, DeliveredMark, WriteSet } from "./write-set.ts";
import type { WriterPort } from "./writers.ts";

/** Result of a source that is granted a slot; the committer adds the rest. */
export type SetContent = Omit<WriteSet, "epoch" | "delivered" | "sequenceEnds">;

export interface SealedSet {
  readonly content: SetContent;
  /** Called once, when the set is on disk or has failed. */
  settle(outcome: CommitOutcome): void;
}

/** A producer of write sets on a hot path. */
export interface SetSource {
  /**
   * Decides and numbers the pending items in one synchronous turn, on top of everything committed
   * or in flight.
   * @returns null when there is nothing to write.
   */
  seal(): SealedSet | null;
  /** Called instead of {@link seal} when the committer closes first. */
  dropped?(error: PrismError): void;
}

/**
 * Decides what the transactions of a commit have stored, for a set that is written with them. Nothing
 * else is in flight then.
 * @param transactions the effects of each, in their order. @returns null to leave it to a later set
 */
export type DecideWithin = (transactions: readonly (readonly Effect[])[]) => SealedSet | null;

/** Called after a set is on disk, with its duration and its number of events. */
export type OnCommit = (durationMs: number, events: number) => void;

interface SetTicket {
  /** Tickets are numbered in the order of the requests. */
  readonly order: number;
  readonly source: SetSource;
}

interface TransactionTicket {
  readonly order: number;
  readonly sharesCommit: boolean;
  readonly grant: DeferredPromise<CommitGroup>;
}

/** Limit of waiting transactions of requests: some seconds' worth. */
const MAX_WAITING_TRANSACTIONS = 2000;

const MARKS_DELAY_MS = 50;
const MARKS_RETRY_MS = 1000;
const MAX_MARKS = 100_000;

/**
 * The only way to disk. It grants the writer to write sets and transactions in the order of their
 * requests; after each commit of transactions the sets that wait go first, so that an event waits for
 * one such commit, however many sources and transactions there are, and have a fair share of the
 * writer ({@link ShareOfSets}). A transaction has the writer alone; several sets may be in flight.
 * Waiting transactions may share a commit, see {@link CommitGroup}. Only the holder draws offsets, so
 * grants, commits, offsets and decisions have the same order.
 *
 * When a set fails, the writer refuses the later sets of its epoch. Once all have been answered the
 * next epoch starts. Sources and their callbacks must not throw: the order would be lost, so the
 * process exits.
 */
export class Committer {
  readonly sequences: Sequences;
  /** Outcomes of the latest sets and transactions. */
  readonly record = new WriteRecord();
  readonly #port: WriterPort;
  readonly #onCommit: OnCommit;
  readonly #epochListeners: (() => void)[] = [];
  /** Sets are completed for many callers: not in the asynchronous context of the first one. */
  readonly #context = new AsyncResource("prism.committer");
  #sets: SetTicket[] = [];
  #transactions: TransactionTicket[] = [];
  #tickets = 0;
  /** Sets up to this order were requested before the last commit of transactions ended. */
  #waitedFor = 0;
  readonly #shareOfSets = new ShareOfSets();
  readonly #wanted = new Set<SetSource>();
  #pumpScheduled = false;
  #setsInFlight = 0;
  readonly #maxOpenMs: number;
  /** Duration of the latest set. */
  #setMs = 0;
  #group: CommitGroup | null = null;
  /** The group waits for its next transaction. */
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
  /** Absent: nothing is decided in the commits of transactions. */
  decideWithin: DecideWithin | null = null;

  constructor(port: WriterPort, sequences: Sequences, onCommit: OnCommit, maxOpenMs = MAX_OPEN_MS) {
    this.#maxOpenMs = maxOpenMs;
    this.#port = port;
    this.sequences = sequences;
    this.#onCommit = onCommit;
    port.onRoom = () => this.#schedulePump();
  }

  /**
   * Registers `fn` to run after a set and all sets decided on top of it have failed: memory that is
   * ahead of the tables must be reloaded.
   */
  whenEpochFails(fn: () => void): void {
    this.#epochListeners.push(fn);
  }

  /**
   * Requests a slot for this source. It is granted at the end of this loop turn at the earliest, so
   * that items that arrive together are written together. @param isFirst before all that waits, for
   * a source that others wait for
   */
  wantSet(source: SetSource, isFirst = false): void {
    if (this.#isClosed) return;
    if (isFirst) this.#sets = [{ order: 0, source }, ...this.#sets.filter((ticket) => ticket.source !== source)];
    else if (!this.#wanted.has(source)) this.#sets.push({ order: ++this.#tickets, source });
    this.#wanted.add(source);
    this.#schedulePump();
  }

  /** @throws SHUTTING_DOWN after close */
  requireOpen(): void {
    if (this.#isClosed) throw shuttingDown();
  }

  /**
   * Waits for exclusive use of the writer, until {@link releaseTransaction}.
   * @param sharesCommit whether other such transactions may commit with it. @param isFirst before all
   * transactions that wait. @throws SHUTTING_DOWN; OVERLOADED for requests when too many wait
   */
  async acquireTransaction(sharesCommit = false, isFirst = false): Promise<CommitGroup> {
    this.requireOpen();
    const isRequest = currentCaller().requestId !== null;
    if (isRequest && !isFirst && this.#transactions.length >= MAX_WAITING_TRANSACTIONS)
      throw new PrismError("OVERLOADED", "Too many writes are waiting for the disk", { retryAfterMs: 1000 });
    const grant = deferred<CommitGroup>();
    const ticket = { order: ++this.#tickets, sharesCommit, grant };
    if (isFirst) this.#transactions.unshift(ticket);
    else this.#transactions.push(ticket);
    this.#schedulePump();
    return grant.promise;
  }

  /**
   * Whether the current transaction is the last of its commit. While a set waits, a group stays open
   * no longer than a set takes: a slow disk needs groups, on a fast one they would delay ingest.
   */
  get isLastOfCommit(): boolean {
    const maxOpenMs = this.#sets.length > 0 ? Math.min(this.#setMs, this.#maxOpenMs) : this.#maxOpenMs;
    return !(this.#group?.hasRoom(maxOpenMs) && this.#transactions[0]?.sharesCommit);
  }

  /** Releases the writer: the next transaction of the same commit runs, or the commit is made. */
  releaseTransaction(): void {
    const group = this.#group;
    if (!group) return;
    if (group.hasTransaction && !this.isLastOfCommit) {
      // In a separate turn, so that other work of the event loop runs.
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
    this.#waitedFor = this.#tickets;
    this.#shareOfSets.transactionsEnded(group.openMs, this.#sets.length > 0, this.#port.spentMs);
    this.#schedulePump();
  }

  /** Runs `fn` with exclusive use of the writer. @throws SHUTTING_DOWN */
  async alone<T>(fn: () => Promise<T>): Promise<T> {
    await this.acquireTransaction();
    try {
      return await fn();
    } finally {
      this.releaseTransaction();
    }
  }

  /**
   * Makes the commit of a group, with what is decided about the rows of its transactions.
   * @param last effects of its last transaction, if that ends with the commit
   * @param send sends the commit, after the numbers for the set were drawn; answers with the outcome of the set
   * @returns to be called when the effects are applied
   */
  async commitWith(
    group: CommitGroup,
    last: readonly Effect[] | null,
    send: (set: WriteSet | undefined) => Promise<unknown>,
  ): Promise<() => void> {
    const decide = (): SealedSet | null =>
      this.decideWithin?.(last === null ? group.effects : [...group.effects, last]) ?? null;
    const sealed = this.#context.runInAsyncScope(decide);
    if (sealed === null) {
      await send(undefined);
      return () => undefined;
    }
    const settle = (outcome: CommitOutcome): void =>
      this.#context.runInAsyncScope(() => {
        sealed.settle(outcome);
        // Memory is ahead of the tables by this set, and nothing else is in flight.
        if (!outcome.ok) this.#nextEpoch();
      });
    try {
      const outcome = await send({ ...sealed.content, epoch: this.#epoch, delivered: [], sequenceEnds: [] });
      return () => settle(outcome as CommitOutcome);
    } catch (error) {
      settle({ ok: false, failure: failureOf(error), superseded: true, message: String(error) });
      throw error;
    }
  }

  /** The last transaction could not commit the group, which was rolled back. */
  async #commitGroup(group: CommitGroup): Promise<void> {
    try {
      const settle = await this.commitWith(group, null, async (set) => {
        const sequenceEnds = this.sequences.unstoredEnds();
        const outcome = await this.#port.commit({ statements: [], audit: [], sequenceEnds, effects: [] }, set);
        this.sequences.stored(sequenceEnds);
        return outcome;
      });
      this.record.committed();
      void group.ended([], settle, Promise.resolve());
      await group.committed();
    } catch (error) {
      this.record.failed(failureOf(error));
      await this.#port.rollback().catch(() => undefined);
      group.failed(error);
    }
  }

  /**
   * Records that a recipient was notified: a flag that is written with the next set, {@link
   * MARKS_DELAY_MS} from now at the latest.
   */
  markDelivered(mark: DeliveredMark): void {
    // Losing a flag costs at most a second delivery.
    if (this.#isClosed || this.#marks.length >= MAX_MARKS) return;
    this.#marks.push(mark);
    this.#armMarks(MARKS_DELAY_MS);
  }

  /**
   * {@link markDelivered} for several; resolves when they are on disk. @throws SHUTTING_DOWN,
   * STORAGE_FULL and similar.
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

  /** Resolves when nothing is waiting or in flight. */
  async settled(): Promise<void> {
    if (this.#disarmMarks()) this.wantSet(this.#marksSource);
    if (this.#isIdle()) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /**
   * Closes. Resolves when the current holder is done and the last flags are written. Waiting
   * requests are rejected; none of them has been acknowledged.
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
    const isFirst = set.order <= this.#waitedFor || set.order < transaction.order;
    return isFirst || this.#shareOfSets.isLeft ? set : transaction;
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
        if (this.#shareOfSets.waitsForNext()) {
          this.#schedulePump();
          return;
        }
        this.#group = new CommitGroup(ticket.sharesCommit);
        this.#grantNext(this.#group);
        return;
      }
      if (!this.#port.hasRoom()) return;
      this.#sets.shift();
      this.#wanted.delete(ticket.source);
      const sealed = ticket.source.seal();
      if (!sealed) continue;
      this.#send(sealed);
      // The set was written in this turn: other work of the event loop runs before the next one.
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
      const now = performance.now();
      this.#shareOfSets.setAnswered(now, this.#port.spentMs);
      this.#setMs = now - startedAt;
      if (outcome.ok) this.#onCommit(this.#setMs, content.events.count - content.withdrawn.length);
      settle(outcome);
      if (this.#epochFailed && this.#setsInFlight === 0) this.#nextEpoch();
      this.#schedulePump();
    });
  }

  #failed(failure: CommitFailure, delivered: readonly DeliveredMark[]): void {
    this.record.failed(failure);
    this.#epochFailed = true;
    // Flags that SQL refuses would make every later set fail.
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

/** Content without rows; a source fills in its own. */
export function emptyContent(): SetContent {
  return {
    events: NO_EVENTS,
    withdrawn: [],
    effects: [],
    processed: null,
    ruleStats: [],
    suppression: null,
    idempotency: [],
    statements: [],
    jobs: null,
    audit: [],
  };
}
