import type { Database as Sqlite } from "better-sqlite3";
import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import type { Uses } from "../../../module/feature.ts";
import { emptyContent, type SealedSet, type SetSource } from "../../../store/commit/committer.ts";
import { eventColumns } from "../../../store/commit/event-columns.ts";
import type {
  CommitOutcome,
  Effects,
  IdempotencyRow,
  JobFinish,
  SuppressionRows,
} from "../../../store/commit/write-set.ts";
import type { NotifiedRecipient } from "../../../store/effect.ts";
import type { BoundStatement } from "../../../store/sqlite/connection.ts";
import { commitError } from "../../../store/sqlite/sqlite-errors.ts";
import { Budget, type EventResult, enqueuedBy, type IncomingEvent, RuleStats } from "../../rules/index.ts";
import type { BacklogParts } from "./backlog.ts";

/** The request or call that submitted an event and waits for its result. */
export interface EventOwner {
  /** The owner was already answered with an error: its waiting events must not be stored. */
  readonly isAbandoned: boolean;
  /** Whether {@link rowsFor} must be called. */
  readonly hasRows: boolean;
  /**
   * Called once per write set after its events are numbered: returns rows to commit with them.
   * `results` are those of this owner's events.
   */
  rowsFor(results: readonly EventResult[]): OwnerRows;
  /** The event is on disk, or needed no commit. Once per event, in the order of submission. */
  settled(event: IncomingEvent, result: EventResult): void;
  /** Nothing of the event's set was stored. Called once per event. */
  failed(event: IncomingEvent, error: PrismError): void;
}

export interface OwnerRows {
  readonly idempotency?: IdempotencyRow;
  readonly finish?: JobFinish;
  readonly inserts?: readonly RowInsert[];
  /** Sends live entries of the rows, once they are on disk; after those of the events, whose offsets are lower. */
  readonly announce?: () => void;
}

/** A row for a statement that takes the rows of a whole set: its one parameter is a JSON array of them. */
export interface RowInsert {
  readonly sql: string;
  readonly row: readonly (string | number | null)[];
}

type PipelineParts = BacklogParts & Uses<"backlog" | "config" | "storage">;

/** Limit of events per write set. */
const MAX_SET_EVENTS = 1000;
/**
 * Limit while older events wait to be decided: fewer than the backlog decides in its turn,
 * otherwise a stream of large requests would keep it behind for ever.
 */
const MAX_SET_EVENTS_BEHIND = 200;
/** Approximate limit of bytes per write set: cloning more would block the loop. */
const MAX_SET_BYTES = 4 * 1024 * 1024;

interface Pending {
  readonly event: IncomingEvent;
  readonly owner: EventOwner;
}

/**
 * The steps of an event, top to bottom: {@link accept} queues it; {@link seal} finds duplicates,
 * numbers and decides in one turn of the loop while this pipeline holds the writer; the committer
 * writes the set; {@link #settle} answers, announces and wakes the job runner.
 */
export class EventPipeline implements SetSource {
  readonly #parts: PipelineParts;
  readonly #log: Logger;
  readonly #rulesLog: Logger;
  readonly #duplicates: Duplicates;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #reservedBytes = 0;
  #taken: () => void = () => undefined;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
    this.#log = parts.log.namespace("pipeline");
    this.#rulesLog = parts.log.namespace("rules");
    this.#duplicates = new Duplicates(parts.reader);
  }

  /** Bytes waiting for the writer, including unparsed batches. */
  get pendingBytes(): number {
    return this.#pendingBytes + this.#reservedBytes;
  }

  /** Part of {@link pendingBytes} whose events are parsed. */
  get unsealedBytes(): number {
    return this.#pendingBytes;
  }

  /** @param fn called whenever events were sealed for the writer. */
  onTaken(fn: () => void): void {
    this.#taken = fn;
  }

  /**
   * Call it before {@link accept}. @throws OVERLOADED when this many more bytes exceed the limit,
   * STORAGE_FULL when the disk is full.
   */
  requireRoom(bytes: number): void {
    this.#parts.storage.requireSpace();
    const waitingBytes = this.pendingBytes;
    // With nothing waiting, any request is accepted: a refusal would last for ever.
    if (waitingBytes > 0 && waitingBytes + bytes > this.#parts.config.ingest.highWaterBytes) {
      throw new PrismError("OVERLOADED", "Too many events wait to be stored; nothing was stored", {
        retryAfterMs: 1000,
      });
    }
  }

  /**
   * {@link requireRoom} for unparsed events: counts the bytes as waiting until released. @returns
   * an idempotent release function. @throws OVERLOADED, STORAGE_FULL
   */
  reserve(bytes: number): () => void {
    this.requireRoom(bytes);
    this.#reservedBytes += bytes;
    let isReserved = true;
    return () => {
      if (isReserved) this.#reservedBytes -= bytes;
      isReserved = false;
    };
  }

  /** Step 1: queues a checked event for the next seal. */
  accept(event: IncomingEvent, owner: EventOwner): void {
    this.#pending.push({ event, owner });
    this.#pendingBytes += event.bytes;
    if (this.#pending.length === 1) this.#parts.committer.wantSet(this);
  }

  /** Steps 2 to 4. */
  seal(): SealedSet | null {
    const { decider, backlog, clock, committer, pipelineMetrics: metrics } = this.#parts;
    if (backlog.isEnding) {
      backlog.whenEnded(() => committer.wantSet(this, true));
      return null;
    }
    const taken = this.#take();
    if (taken.length === 0) return null;
    const now = clock.now();
    const startedAt = performance.now();
    const results: EventResult[] = [];
    const stored: IncomingEvent[] = [];
    const effects: Effects[] = [];
    const notified: (readonly NotifiedRecipient[])[] = [];
    const stats = new RuleStats();
    const budget = new Budget(backlog.isBehind);

    for (const { event } of taken) {
      const known = this.#duplicates.find(event);
      if (known !== null) {
        results.push("status" in known ? known : { status: "duplicate", id: known.id, seq: known.seq });
        continue;
      }
      event.seq = committer.sequences.events.next();
      this.#duplicates.add(event);
      stored.push(event);
      results.push({ status: "accepted", id: event.id, seq: event.seq });
      if (budget.isSpent()) {
        event.processedAt = null;
        continue;
      }
      event.processedAt = now;
      try {
        const decision = decider.decide(event, stats, now);
        if (decision) {
          effects.push(decision.effects);
          notified.push(decision.notified);
          budget.spend(decision.effects);
          if (decision.askedTo) {
            event.processedAt = null;
            budget.end();
            metrics.sliced();
          }
        }
      } catch (error) {
        event.processedAt = null;
        effects.push(decider.poisoned(event, error, now));
        notified.push([]);
      }
    }

    metrics.deciding(startedAt);

    const isLeavingSome = stored.some((event) => event.processedAt === null);
    if (isLeavingSome) backlog.storing();
    const suppression = decider.takeSuppression();
    const rows = ownerRows(taken, results);
    const finish = rows.flatMap((row) => (row.finish ? [row.finish] : []));
    return {
      content: {
        ...emptyContent(),
        events: eventColumns(stored),
        effects,
        ruleStats: stats.rows(),
        suppression,
        idempotency: rows.flatMap((row) => (row.idempotency ? [row.idempotency] : [])),
        statements: rows.length > 0 ? insertsOf(rows) : NO_STATEMENTS,
        jobs:
          finish.length > 0 ? { insert: [], progress: [], finish, promoteDueAt: null, setBack: null, claim: [] } : null,
      },
      settle: (outcome) =>
        this.#settle(outcome, { taken, results, stored, effects, notified, stats, suppression, isLeavingSome, rows }),
    };
  }

  /** Steps 6 and 7 after the commit; after a failure the same error for every owner. */
  #settle(outcome: CommitOutcome, set: SetInFlight): void {
    const { announcer, backlog, decider, pipelineMetrics: metrics, runner } = this.#parts;
    for (const event of set.stored) this.#duplicates.delete(event);
    if (set.isLeavingSome) backlog.stored();
    if (!outcome.ok) {
      const error = commitError(outcome.failure, new Error(outcome.message));
      metrics.failed(set.taken.length);
      for (const { event, owner } of set.taken) owner.failed(event, error);
      return;
    }
    metrics.settled(set.results);
    metrics.decided(set.stats);
    this.#trace(set);
    for (let i = 0; i < set.taken.length; i++) {
      const { event, owner } = set.taken[i] as Pending;
      owner.settled(event, set.results[i] as EventResult);
    }
    decider.committed(set.effects, outcome.failedEffects);
    const refused = new Set(outcome.failedEffects);
    announcer.events(set.stored);
    announcer.notifications(set.notified.filter((_, i) => !refused.has(i)).flat());
    for (const { announce } of set.rows) announce?.();
    const jobs = enqueuedBy(set.effects, refused, set.suppression);
    if (jobs.length > 0) runner.enqueued(jobs);
  }

  #trace({ taken, stored, notified, stats, isLeavingSome }: SetInFlight): void {
    if (this.#log.isDebug()) {
      const facts = { events: taken.length, stored: stored.length, notified: notified.flat().length, isLeavingSome };
      this.#log.debug(facts, "committed a batch of events");
    }
    if (!this.#rulesLog.isDebug()) return;
    for (const { ruleId, matched, fired, suppressed, deduped, cooled, errors } of stats.rows())
      this.#rulesLog.debug(
        { ruleId, matched, fired, suppressed, deduped, cooled, errors },
        "a rule has matched in a batch",
      );
  }

  #take(): readonly Pending[] {
    const pending = this.#pending;
    const max = this.#parts.backlog.isBehind ? MAX_SET_EVENTS_BEHIND : MAX_SET_EVENTS;
    let count = 0;
    for (let bytes = 0; count < pending.length && count < max && bytes < MAX_SET_BYTES; count++)
      bytes += (pending[count] as Pending).event.bytes;
    const taken = count === pending.length ? pending : pending.slice(0, count);
    this.#pending = pending.slice(count);
    if (this.#pending.length > 0) this.#parts.committer.wantSet(this);
    for (const { event } of taken) this.#pendingBytes -= event.bytes;
    this.#taken();
    return taken.some(({ owner }) => owner.isAbandoned) ? taken.filter(({ owner }) => !owner.isAbandoned) : taken;
  }
}

interface SetInFlight {
  readonly taken: readonly Pending[];
  readonly results: readonly EventResult[];
  readonly stored: readonly IncomingEvent[];
  readonly effects: readonly Effects[];
  readonly notified: readonly (readonly NotifiedRecipient[])[];
  readonly stats: RuleStats;
  readonly suppression: SuppressionRows | null;
  readonly isLeavingSome: boolean;
  readonly rows: readonly OwnerRows[];
}

const CONFLICT = { status: "conflict" } as const;
const TAKEN = { status: "taken" } as const;

/** An owner's events are adjacent: they are submitted together. */
function ownerRows(taken: readonly Pending[], results: readonly EventResult[]): OwnerRows[] {
  const rows: OwnerRows[] = [];
  for (let from = 0; from < taken.length; ) {
    const { owner } = taken[from] as Pending;
    let to = from + 1;
    while (to < taken.length && taken[to]?.owner === owner) to++;
    if (owner.hasRows) rows.push(owner.rowsFor(results.slice(from, to)));
    from = to;
  }
  return rows;
}

const NO_STATEMENTS: readonly BoundStatement[] = [];

/** One statement for each text. */
function insertsOf(rows: readonly OwnerRows[]): readonly BoundStatement[] {
  const bySql = new Map<string, RowInsert["row"][]>();
  for (const { inserts } of rows) {
    if (!inserts) continue;
    for (const { sql, row } of inserts) {
      const same = bySql.get(sql);
      if (same) same.push(row);
      else bySql.set(sql, [row]);
    }
  }
  return Array.from(bySql, ([sql, all]) => ({ sql, parameters: [JSON.stringify(all)] }));
}

interface Known {
  readonly id: string;
  readonly seq: number;
  readonly projectId: string;
  /** Null: not known, as of events whose ids the server chose. */
  readonly sender: string | null;
}

/**
 * Finds events that already exist: earlier in the set, in sets in flight, or in the database, in
 * this order. The unique indexes guarantee that nothing is stored twice; this check makes conflicts
 * with them rare.
 */
class Duplicates {
  readonly #byId = new Map<string, Known>();
  readonly #byDedupeKey = new Map<string, Known>();
  readonly #storedId;
  readonly #storedDedupeKey;

  constructor(reader: Sqlite) {
    this.#storedId = reader.prepare<[string], Known>(
      `select id, seq, projectId, sender from events left join event_senders on eventSeq = seq where id = ?`,
    );
    this.#storedDedupeKey = reader.prepare<[string, string], Known>(
      `select id, seq, projectId, sender from events left join event_senders on eventSeq = seq
       where projectId = ? and dedupeKey = ?`,
    );
  }

  /** @returns the event that this one repeats, or why its id is not its own */
  find(event: IncomingEvent): Known | typeof CONFLICT | typeof TAKEN | null {
    if (event.isGivenId) {
      const known = this.#byId.get(event.id) ?? this.#storedId.get(event.id);
      if (known && known.projectId !== event.projectId) return CONFLICT;
      if (known) return isOwn(known, event) ? known : TAKEN;
    }
    if (event.dedupeKey === null) return null;
    const same =
      this.#byDedupeKey.get(dedupeIndex(event)) ?? this.#storedDedupeKey.get(event.projectId, event.dedupeKey);
    if (!same) return null;
    // A dedupe key is shared by senders, unless it is the id of a CloudEvent.
    return event.sender === null || isOwn(same, event) ? same : TAKEN;
  }

  /** The event is numbered and in flight. Generated ids cannot be repeated before the answer. */
  add(event: IncomingEvent): void {
    if (event.isGivenId) this.#byId.set(event.id, event);
    if (event.dedupeKey !== null) this.#byDedupeKey.set(dedupeIndex(event), event);
  }

  /** The event's set is committed or has failed: from now on the database answers. */
  delete(event: IncomingEvent): void {
    if (event.isGivenId && this.#byId.get(event.id) === event) this.#byId.delete(event.id);
    if (event.dedupeKey === null) return;
    const index = dedupeIndex(event);
    if (this.#byDedupeKey.get(index) === event) this.#byDedupeKey.delete(index);
  }
}

/** Otherwise who guesses an id could keep the event of another sender from being stored. */
function isOwn(known: Known, event: IncomingEvent): boolean {
  return known.sender === null || known.sender === event.sender;
}

function dedupeIndex(event: IncomingEvent): string {
  return `${event.projectId}\n${event.dedupeKey}`;
}
