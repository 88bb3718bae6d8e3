import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import type { Uses } from "../../../module/feature.ts";
import { emptyContent, type SealedSet, type SetSource } from "../../../store/commit/committer.ts";
import {
  type CommitOutcome,
  type Effects,
  RULE_ENGINE,
  type SuppressionRows,
} from "../../../store/commit/write-set.ts";
import type { AppendedEvent, Effect, EffectType, NotifiedRecipient } from "../../../store/effect.ts";
import type { DecisionOutcome, Flag } from "../../../store/schema.ts";
import { commitError } from "../../../store/sqlite/sqlite-errors.ts";
import {
  Budget,
  type Decision,
  type Earlier,
  enqueuedBy,
  type IncomingEvent,
  type RulePosition,
  RuleStats,
  sliceMark,
  storedEvent,
} from "../../rules/index.ts";

export type BacklogParts = Uses<
  "committer" | "reader" | "decider" | "announcer" | "clock" | "pipelineMetrics" | "log" | "runner"
>;

const RECEIVER = "(select r.receiverId from receiver_events r where r.eventSeq = events.seq) as receiverId";

const PAGE_EVENTS = 1000;
const PAGE_BYTES = 4_194_304;

interface Retry {
  readonly seq: number;
  /** Position after the last slice. After a crash the job skips the rules that have decided. */
  readonly askedTo: RulePosition | null;
  resolve(): void;
  reject(error: unknown): void;
}

/** A retry in a set, and the error if it failed again. */
interface TriedAgain {
  readonly retry: Retry;
  readonly error: unknown;
  /** Rules of the event after this position remain for the next set. */
  readonly askedTo: RulePosition | null;
}

interface SetInFlight {
  readonly stats: RuleStats;
  readonly suppression: SuppressionRows | null;
  readonly tried: readonly TriedAgain[];
  /** The last event of the page continues in the next set. */
  readonly isPartial: boolean;
}

interface Page {
  readonly stats: RuleStats;
  readonly now: number;
  readonly outcome: Outcome;
  /** Seqs of events that no rule matched. */
  readonly processed: number[];
  readonly budget: Budget;
}

/** Effects that change nothing that rules decide by, in memory or in tables. */
const DECIDES_NOTHING: ReadonlySet<EffectType> = new Set<EffectType>([
  "events-appended",
  "texts-changed",
  "forwards-changed",
  "entry",
  "notified",
  "jobs-added",
  "delivery-outcome",
  "turn-ended",
  "heartbeats-changed",
  "ntfy-scheduled",
]);

/**
 * The events that the transactions of a commit have appended. @returns null if one may have changed what
 * rules decide by: one that appends none is of another kind
 */
function appendedBy(transactions: readonly (readonly Effect[])[]): AppendedEvent[] | null {
  const all: AppendedEvent[] = [];
  for (const effects of transactions) {
    const before = all.length;
    for (const effect of effects) {
      if (effect.type === "events-appended") all.push(...effect.events);
      else if (!DECIDES_NOTHING.has(effect.type)) return null;
    }
    if (all.length === before) return null;
  }
  return all;
}

function newPage(stats: RuleStats, now: number, outcome: Outcome): Page {
  return { stats, now, outcome, processed: [], budget: new Budget(false) };
}

/** The effects of a set and their notified recipients. */
class Outcome {
  readonly effects: Effects[] = [];
  readonly notified: (readonly NotifiedRecipient[])[] = [];

  add(effects: Effects, notified: readonly NotifiedRecipient[] = []): void {
    this.effects.push(effects);
    this.notified.push(notified);
  }
}

/**
 * Step 5: the consumer `rule-engine`. It decides events that were stored undecided, in `seq` order,
 * from committed rows only, in sets of its own; those of transactions with their commit, if nothing else
 * of it changes what rules decide by and all events before are decided. It relies on the partial index of
 * unprocessed events without an open failure, not on a cursor; memory only records which of them
 * are in flight. While it is behind, ingest leaves all deciding to it, so the order holds.
 */
export class Backlog implements SetSource {
  readonly #parts: BacklogParts;
  readonly #log: Logger;
  readonly #unprocessed;
  readonly #decided;
  readonly #sliced;
  readonly #one;
  #isBehind: boolean;
  #isEnding = false;
  #whenEnded: (() => void)[] = [];
  /** Ingest sets in flight with undecided events. */
  #setsStoring = 0;
  #sealedUpTo = 0;
  #retries: Retry[] = [];
  /** A slice of the oldest event is in flight: the tables do not have its remaining rules yet. */
  #isSlicing = false;
  /** Events that are decided in the commit of their transactions, by `seq`, until it has ended. */
  readonly #within = new Map<number, IncomingEvent>();

  constructor(parts: BacklogParts) {
    this.#parts = parts;
    this.#log = parts.log.namespace("rules");
    this.#unprocessed = parts.reader.prepare<[number], AppendedEvent>(
      `select *, ${RECEIVER} from events where processedAt is null and seq > ? and not exists
       (select 1 from event_failures f where f.consumer = '${RULE_ENGINE}' and f.eventSeq = events.seq
         and f.resolvedAt is null)
       order by seq`,
    );
    this.#one = parts.reader.prepare<[number], AppendedEvent & { hasFailed: Flag }>(
      `select *, ${RECEIVER}, exists (select 1 from event_failures f where f.consumer = '${RULE_ENGINE}' and f.eventSeq = events.seq
       and f.resolvedAt is null) as hasFailed from events where seq = ?`,
    );
    this.#decided = parts.reader.prepare<[number], { ruleId: string; outcome: DecisionOutcome }>(
      "select ruleId, outcome from decisions where eventSeq = ?",
    );
    this.#sliced = parts.reader.prepare<[number], RulePosition>(
      "select priority, createdAt, ruleId as key from event_slices where eventSeq = ?",
    );
    this.#isBehind = this.#unprocessed.get(0) !== undefined;
  }

  /** Call it once the server runs: decides the events of an earlier process. */
  start(): void {
    if (this.#isBehind) this.#parts.committer.wantSet(this);
  }

  get isBehind(): boolean {
    return this.#isBehind;
  }

  /**
   * All that the reader sees is decided, or is about to be; the rest is in ingest's sets in flight.
   * More undecided events would keep the backlog from ending, and deciding later costs twice as
   * much; so ingest waits these few milliseconds: see {@link whenEnded}.
   */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** `fn` runs when the backlog is empty, or when it is too long to wait for. */
  whenEnded(fn: () => void): void {
    this.#whenEnded.push(fn);
  }

  #setEnding(isEnding: boolean): void {
    this.#isEnding = isEnding;
    if (!isEnding) for (const fn of this.#whenEnded.splice(0)) fn();
  }

  /** Number of stored undecided events, for `prism_consumer_lag`. Counts up to 100 000. */
  lag(): number {
    if (!this.#isBehind) return 0;
    const count = this.#parts.reader.prepare<[], { n: number }>(
      "select count(*) as n from (select 1 from events where processedAt is null limit 100000)",
    );
    return count.get()?.n ?? 0;
  }

  /** A transaction has stored events. @returns them as they were decided, if their commit did so */
  appended(rows: readonly AppendedEvent[]): IncomingEvent[] {
    const events = rows.map((row) => this.#within.get(row.seq) ?? storedEvent(row));
    if (events.every(({ seq }) => this.#within.has(seq) && seq <= this.#sealedUpTo)) return events;
    this.#isBehind = true;
    // Before ingest's, which then decides its own events.
    this.#parts.committer.wantSet(this, true);
    return events;
  }

  /** An ingest set with undecided events was sealed. */
  storing(): void {
    this.#isBehind = true;
    this.#setsStoring++;
  }

  /** That set is committed or has failed. */
  stored(): void {
    this.#setsStoring--;
    this.#parts.committer.wantSet(this, true);
  }

  /** Sets ahead of the tables have failed, perhaps with decisions: read the index from its start. */
  reset(): void {
    this.#sealedUpTo = 0;
    this.#isBehind = true;
    this.#setEnding(false);
    this.#parts.committer.wantSet(this);
  }

  /**
   * Decides one event again for a job. Rules that have decided it are skipped, unless they had no
   * recipients and now have some. Resolves when the result is on disk. @throws EVENT_NOT_FOUND, and
   * the error if deciding fails again, which is then recorded.
   */
  decideAgain(seq: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#retries.push({ seq, askedTo: null, resolve, reject });
      this.#parts.committer.wantSet(this);
    });
  }

  seal(): SealedSet | null {
    const now = this.#parts.clock.now();
    const startedAt = performance.now();
    const stats = new RuleStats();
    const outcome = new Outcome();
    const tried = this.#decideRetries(stats, now, outcome);
    const wasSlicing = this.#isSlicing;
    const page = newPage(stats, now, outcome);
    if (!wasSlicing) this.#decidePage(page);
    if (outcome.effects.length === 0 && page.processed.length === 0) return null;
    return this.#setOf(page, tried, startedAt, !wasSlicing && this.#isSlicing);
  }

  #setOf(page: Page, tried: readonly TriedAgain[], startedAt: number, isPartial: boolean): SealedSet {
    const { stats, now, outcome, processed } = page;
    this.#parts.pipelineMetrics.deciding(startedAt);
    const suppression = this.#parts.decider.takeSuppression();
    return {
      content: {
        ...emptyContent(),
        effects: outcome.effects,
        processed: processed.length > 0 ? { seqs: processed, at: now } : null,
        ruleStats: stats.rows(),
        suppression,
      },
      settle: (committed) => this.#settle(committed, outcome, { stats, suppression, tried, isPartial }),
    };
  }

  /** Decides the events of transactions for their commit. @returns null if a set after it must */
  sealWithin(transactions: readonly (readonly Effect[])[]): SealedSet | null {
    // Older events come first.
    if (this.#isBehind) return null;
    const rows = appendedBy(transactions);
    if (rows === null || rows.length === 0) return null;
    const now = this.#parts.clock.now();
    const startedAt = performance.now();
    const page = newPage(new RuleStats(), now, new Outcome());
    for (const row of rows) {
      if (page.budget.isSpent()) break;
      const event = storedEvent(row);
      this.#within.set(event.seq, event);
      this.#isSlicing = this.#decideNext(event, null, page);
      if (this.#isSlicing) break;
      this.#sealedUpTo = event.seq;
    }
    const set = this.#setOf(page, [], startedAt, this.#isSlicing);
    return {
      content: set.content,
      settle: (committed) => {
        this.#within.clear();
        set.settle(committed);
      },
    };
  }

  /** Decides retries within the budget; the others wait for the next set. */
  #decideRetries(stats: RuleStats, now: number, outcome: Outcome): TriedAgain[] {
    const tried: TriedAgain[] = [];
    const budget = new Budget(false);
    while (this.#retries.length > 0 && !budget.isSpent()) {
      const [retry] = this.#retries.splice(0, 1);
      const again = retry && this.#decideRetry(retry, stats, now, outcome);
      if (again) tried.push(again);
    }
    if (this.#retries.length > 0) this.#parts.committer.wantSet(this);
    return tried;
  }

  /** Reads the rows now: since the job's start the event may be gone, or other rules decided. */
  #decideRetry(retry: Retry, stats: RuleStats, now: number, outcome: Outcome): TriedAgain | null {
    const { decider } = this.#parts;
    const row = this.#one.get(retry.seq);
    if (!row) {
      retry.reject(new PrismError("EVENT_NOT_FOUND", "No such event"));
      return null;
    }
    // Undecided: the page decides it in order, after older events.
    if (row.processedAt === null && row.hasFailed === 0) {
      retry.resolve();
      return null;
    }
    const event = storedEvent(row);
    try {
      const earlier = { outcomes: this.#decidedBefore(row.seq), isLate: true, askedTo: retry.askedTo };
      const decision = decider.decide(event, stats, now, earlier);
      const { askedTo = null } = decision ?? {};
      const effects = decision?.effects ?? decider.noEffects(event, now);
      // The remains of the failed attempt are removed at the end.
      const over = { processedAt: now, resolves: { consumer: RULE_ENGINE, at: now }, slice: sliceMark(null) };
      outcome.add({ ...effects, ...(askedTo ? { slice: null } : over) }, decision?.notified);
      return { retry, error: null, askedTo };
    } catch (error) {
      outcome.add(decider.poisoned(event, error, now));
      return { retry, error, askedTo: null };
    }
  }

  #decidedBefore(seq: number): Earlier["outcomes"] {
    return new Map(this.#decided.all(seq).map(({ ruleId, outcome }) => [ruleId, outcome]));
  }

  #earlierOf(seq: number): Earlier | null {
    const outcomes = this.#decidedBefore(seq);
    const askedTo = this.#sliced.get(seq) ?? null;
    return outcomes.size > 0 || askedTo ? { outcomes, isLate: false, askedTo } : null;
  }

  #decidePage(page: Page): void {
    if (!this.#isBehind) return;
    const { committer } = this.#parts;
    let events = 0;
    let bytes = 0;
    for (const row of this.#unprocessed.iterate(this.#sealedUpTo)) {
      if (page.budget.isSpent() || events === PAGE_EVENTS || bytes > PAGE_BYTES) {
        committer.wantSet(this);
        this.#setEnding(false);
        return;
      }
      events++;
      bytes += row.payload.length;
      // Only the oldest event can be partly decided.
      const isPartial = this.#decideNext(storedEvent(row), events === 1 ? this.#earlierOf(row.seq) : null, page);
      if (isPartial) {
        this.#isSlicing = true;
        this.#setEnding(false);
        return;
      }
      this.#sealedUpTo = row.seq;
    }
    // All that is stored is decided, in the tables or in flight: ingest may decide again, unless it has
    // undecided events in flight.
    if (this.#setsStoring === 0) this.#isBehind = false;
    this.#setEnding(this.#isBehind);
  }

  /** @returns whether rules of the event remain for the next set. */
  #decideNext(event: IncomingEvent, earlier: Earlier | null, page: Page): boolean {
    const { decider, pipelineMetrics: metrics } = this.#parts;
    const { stats, now, outcome, processed, budget } = page;
    let decision: Decision | null;
    try {
      decision = decider.decide(event, stats, now, earlier);
    } catch (error) {
      outcome.add(decider.poisoned(event, error, now));
      return false;
    }
    const { effects, notified, askedTo = null } = decision ?? {};
    const isPartial = askedTo !== null;
    event.processedAt = isPartial ? null : now;
    if (effects) {
      outcome.add({ ...effects, processedAt: isPartial ? null : now }, notified);
      budget.spend(effects);
    } else processed.push(event.seq);
    if (isPartial) metrics.sliced();
    else if (earlier) {
      const rules = earlier.outcomes.size + (effects?.decisions.length ?? 0);
      this.#log.warn(
        { eventId: event.id, projectId: event.projectId, rules },
        "evaluated an event in slices: many rules match it, or their conditions are costly",
      );
    }
    return isPartial;
  }

  #settle(committed: CommitOutcome, { effects, notified }: Outcome, set: SetInFlight): void {
    const { stats, suppression, tried } = set;
    if (set.isPartial) this.#isSlicing = false;
    if (this.#isBehind) this.#parts.committer.wantSet(this);
    if (!committed.ok) {
      const error = commitError(committed.failure, new Error(committed.message));
      for (const { retry } of tried) retry.reject(error);
      return;
    }
    this.#parts.pipelineMetrics.decided(stats);
    this.#parts.decider.committed(effects, committed.failedEffects);
    const refused = new Set(committed.failedEffects);
    // Retries come first in the set, in their order.
    for (const [i, { retry, error, askedTo }] of tried.entries()) {
      if (error !== null) retry.reject(error);
      else if (refused.has(i)) retry.reject(new Error("the database refused what the rules made of the event"));
      else if (askedTo) this.#retries.push({ ...retry, askedTo });
      else retry.resolve();
    }
    if (this.#retries.length > 0) this.#parts.committer.wantSet(this);
    this.#parts.announcer.notifications(notified.filter((_, i) => !refused.has(i)).flat());
    const jobs = enqueuedBy(effects, refused, suppression);
    if (jobs.length > 0) this.#parts.runner.enqueued(jobs);
  }
}

/** Payload of a job that decides one event, after a failure or on a user's request. */
export interface EventJobPayload {
  readonly eventSeq: number;
  /** Also if the event is already decided. */
  readonly again?: true;
}

/** Registers the handler of jobs that decide an event again. */
export function handleEventJobs({ db, runner, backlog }: Uses<"db" | "runner" | "backlog">): void {
  runner.handle("event.process", async (job) => {
    const { eventSeq, again } = job.payload as EventJobPayload;
    const event = await db.read
      .selectFrom("events")
      .select("processedAt")
      .where("seq", "=", eventSeq)
      .executeTakeFirst();
    // Deleted, or decided by a run of this job that crashed after its commit.
    if (!event || (event.processedAt !== null && again !== true)) return;
    await backlog.decideAgain(eventSeq);
  });
}
