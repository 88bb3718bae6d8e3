import type { Database as Sqlite } from "better-sqlite3";
import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
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
import { commitError } from "../../../store/sqlite/sqlite-errors.ts";
import { Budget, type EventResult, enqueuedBy, type IncomingEvent, RuleStats } from "../../rules/index.ts";
import type { Backlog, BacklogParts } from "./backlog.ts";

/** The request or call that handed an event in and waits for its result. */
export interface EventOwner {
  /**
   * The owner has been answered with an error already: what of it still waits is not to be stored.
   */
  readonly isAbandoned: boolean;
  /** Whether {@link rowsFor} is to be asked. */
  readonly hasRows: boolean;
  /**
   * Asked once per write set, when its events are numbered: what must be on disk with them.
   * `results` are those of this owner's events.
   */
  rowsFor(results: readonly EventResult[]): OwnerRows;
  /**
   * The event's commit is on disk, or it needed none. Called once per event, in the order they were
   * handed in.
   */
  settled(event: IncomingEvent, result: EventResult): void;
  /** Nothing of the set that held this event was stored. Called once per event. */
  failed(event: IncomingEvent, error: PrismError): void;
}

export interface OwnerRows {
  readonly idempotency?: IdempotencyRow;
  readonly finish?: JobFinish;
}

interface PipelineParts extends BacklogParts {
  readonly backlog: Backlog;
  readonly highWaterBytes: number;
  /** What the rules made of each batch. */
  readonly rulesLog: Logger;
  /** @throws STORAGE_FULL while the disk has too little room. */
  requireSpace(): void;
}

/** Events of one write set. */
const MAX_SET_EVENTS = 1000;
/**
 * While older events wait to be decided: fewer than the backlog decides in its turn, for else a
 * stream of large requests would keep it behind for ever.
 */
const MAX_SET_EVENTS_BEHIND = 200;
/** And about as many bytes: more would hold the loop while it is cloned. */
const MAX_SET_BYTES = 4 * 1024 * 1024;

interface Pending {
  readonly event: IncomingEvent;
  readonly owner: EventOwner;
}

/**
 * The way of an event, from top to bottom: {@link accept} takes it in; {@link seal} settles
 * duplicates, numbers and decides, in one turn of the loop while this pipeline holds the writer;
 * the committer puts the set on disk; {@link #settle} answers, announces and wakes the job runner.
 */
export class EventPipeline implements SetSource {
  readonly #parts: PipelineParts;
  readonly #duplicates: Duplicates;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #reservedBytes = 0;
  #taken: () => void = () => undefined;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
    this.#duplicates = new Duplicates(parts.reader);
  }

  /** Bytes that wait for the writer, batches that are not read yet included. */
  get pendingBytes(): number {
    return this.#pendingBytes + this.#reservedBytes;
  }

  /** Bytes of {@link pendingBytes} whose events are read. */
  get unsealedBytes(): number {
    return this.#pendingBytes;
  }

  /** @param fn is called whenever events have gone to the writer. */
  onTaken(fn: () => void): void {
    this.#taken = fn;
  }

  /**
   * @throws OVERLOADED when this many more bytes may not wait, STORAGE_FULL when the disk is. To be
   * called before {@link accept}.
   */
  requireRoom(bytes: number): void {
    this.#parts.requireSpace();
    const waitingBytes = this.pendingBytes;
    // When nothing waits, any request that its own limits allow is taken: a refusal would last for
    // ever.
    if (waitingBytes > 0 && waitingBytes + bytes > this.#parts.highWaterBytes) {
      throw new PrismError("OVERLOADED", "The writer is behind; nothing was stored", { retryAfterMs: 1000 });
    }
  }

  /**
   * {@link requireRoom} for events that are not read yet: the bytes count as waiting until they are
   * given back. @returns what gives them back; calling it again changes nothing. @throws
   * OVERLOADED, STORAGE_FULL
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

  /** Step 1: a checked event waits for the next seal. */
  accept(event: IncomingEvent, owner: EventOwner): void {
    this.#pending.push({ event, owner });
    this.#pendingBytes += event.bytes;
    if (this.#pending.length === 1) this.#parts.committer.wantSet(this);
  }

  /** Steps 2 to 4. */
  seal(): SealedSet | null {
    const { decider, backlog, clock, committer, metrics } = this.#parts;
    if (backlog.isEnding) {
      backlog.whenEnded(() => committer.wantSet(this));
      return null;
    }
    const taken = this.#take();
    if (taken.length === 0) return null;
    const now = clock.now();
    const startedAt = performance.now();
    const results: EventResult[] = [];
    const stored: IncomingEvent[] = [];
    const effects: Effects[] = [];
    const told: (readonly NotifiedRecipient[])[] = [];
    const stats = new RuleStats();
    const budget = new Budget(backlog.isBehind);

    for (const { event } of taken) {
      const known = this.#duplicates.find(event);
      if (known !== null) {
        results.push(known === "conflict" ? CONFLICT : { status: "duplicate", id: known.id, seq: known.seq });
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
          told.push(decision.told);
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
        told.push([]);
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
        jobs:
          finish.length > 0 ? { insert: [], progress: [], finish, promoteDueAt: null, setBack: null, claim: [] } : null,
      },
      settle: (outcome) =>
        this.#settle(outcome, { taken, results, stored, effects, told, stats, suppression, isLeavingSome }),
    };
  }

  /**
   * Steps 6 and 7, when the commit is on disk; or the same error for every owner when it is not.
   */
  #settle(outcome: CommitOutcome, set: SetInFlight): void {
    const { announcer, backlog, decider, metrics, onJobs } = this.#parts;
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
    decider.refused(set.effects, outcome.failedEffects);
    const refused = new Set(outcome.failedEffects);
    announcer.events(set.stored);
    announcer.notifications(set.told.filter((_, i) => !refused.has(i)).flat());
    const jobs = enqueuedBy(set.effects, refused, set.suppression);
    if (jobs.length > 0) onJobs(jobs);
  }

  #trace({ taken, stored, told, stats, isLeavingSome }: SetInFlight): void {
    const { log, rulesLog } = this.#parts;
    if (log.isDebug()) {
      const facts = { events: taken.length, stored: stored.length, notified: told.flat().length, isLeavingSome };
      log.debug(facts, "a batch of events is committed");
    }
    if (!rulesLog.isDebug()) return;
    for (const { ruleId, matched, fired, suppressed, deduped, cooled, errors } of stats.rows())
      rulesLog.debug({ ruleId, matched, fired, suppressed, deduped, cooled, errors }, "a rule has matched in a batch");
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
  readonly told: readonly (readonly NotifiedRecipient[])[];
  readonly stats: RuleStats;
  readonly suppression: SuppressionRows | null;
  readonly isLeavingSome: boolean;
}

const CONFLICT: EventResult = { status: "conflict" };

/** The events of one owner stand side by side: they are handed in together. */
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

interface Known {
  readonly id: string;
  readonly seq: number;
  readonly projectId: string;
}

/**
 * Which events are already there: earlier in the set, in sets on their way, or in the database,
 * asked in this order. The unique indexes are the proof that nothing is stored twice; this is what
 * makes it never come to that.
 */
class Duplicates {
  readonly #byId = new Map<string, Known>();
  readonly #byDedupeKey = new Map<string, Known>();
  readonly #storedId;
  readonly #storedDedupeKey;

  constructor(reader: Sqlite) {
    this.#storedId = reader.prepare<[string], Known>("select id, seq, projectId from events where id = ?");
    this.#storedDedupeKey = reader.prepare<[string, string], Known>(
      "select id, seq, projectId from events where projectId = ? and dedupeKey = ?",
    );
  }

  /**
   * @returns the event that this one repeats; "conflict" when its id belongs to another project.
   */
  find(event: IncomingEvent): Known | "conflict" | null {
    if (event.isGivenId) {
      const known = this.#byId.get(event.id) ?? this.#storedId.get(event.id);
      if (known) return known.projectId === event.projectId ? known : "conflict";
    }
    if (event.dedupeKey === null) return null;
    return (
      this.#byDedupeKey.get(dedupeIndex(event)) ?? this.#storedDedupeKey.get(event.projectId, event.dedupeKey) ?? null
    );
  }

  /**
   * The event has its number and is on its way. Ids made here cannot be repeated before the answer.
   */
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

function dedupeIndex(event: IncomingEvent): string {
  return `${event.projectId}\n${event.dedupeKey}`;
}
