import type { Database as Sqlite } from "better-sqlite3";
import type { Clock } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import { type Committer, emptyContent, type SealedSet, type SetSource } from "../../../store/commit/committer.ts";
import {
  type CommitOutcome,
  type Effects,
  RULE_ENGINE,
  type SuppressionRows,
} from "../../../store/commit/write-set.ts";
import type { Database } from "../../../store/database.ts";
import type { EnqueuedRow, NotifiedRecipient } from "../../../store/effect.ts";
import type { DecisionOutcome, EventsTable, Flag } from "../../../store/schema.ts";
import { commitError } from "../../../store/sqlite/sqlite-errors.ts";
import type { JobRunner } from "../../jobs/index.ts";
import type { Announcer } from "../../notifications/index.ts";
import {
  Budget,
  type Decider,
  type Decision,
  type Earlier,
  enqueuedBy,
  type IncomingEvent,
  type PipelineMetrics,
  type RulePosition,
  RuleStats,
  sliceMark,
  storedEvent,
} from "../../rules/index.ts";

export interface BacklogParts {
  readonly committer: Committer;
  readonly reader: Sqlite;
  readonly decider: Decider;
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly metrics: PipelineMetrics;
  readonly log: Logger;
  /** NotifiedRecipient of jobs that have been committed. */
  onJobs(jobs: readonly EnqueuedRow[]): void;
}

const PAGE_EVENTS = 1000;
const PAGE_BYTES = 4_194_304;

interface Retry {
  readonly seq: number;
  /**
   * Where the last slice ended; after a crash the job begins again, without the rules that have
   * decided.
   */
  readonly askedTo: RulePosition | null;
  resolve(): void;
  reject(error: unknown): void;
}

/** A retry that is in a set, and what made its event poison again. */
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
  /** The last event of the page goes on with the next set. */
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

/** The effects of a set with those who hear of them, side by side. */
class Outcome {
  readonly effects: Effects[] = [];
  readonly told: (readonly NotifiedRecipient[])[] = [];

  add(effects: Effects, told: readonly NotifiedRecipient[] = []): void {
    this.effects.push(effects);
    this.told.push(told);
  }
}

/**
 * Step 5: the consumer `rule-engine`, which decides events that were stored undecided, in `seq`
 * order, from committed rows only, in sets that take turns with ingest's. Its truth is the partial
 * index of unprocessed events without an open failure, not a cursor; what it keeps in memory only
 * says which of them are in sets on their way. While it is behind, ingest leaves all deciding to
 * it, so order holds.
 */
export class Backlog implements SetSource {
  readonly #parts: BacklogParts;
  readonly #unprocessed;
  readonly #decided;
  readonly #sliced;
  readonly #one;
  #isBehind: boolean;
  #isEnding = false;
  #whenEnded: (() => void)[] = [];
  /** Ingest sets on their way which hold undecided events. */
  #setsStoring = 0;
  #sealedUpTo = 0;
  #setsDeciding = 0;
  #retries: Retry[] = [];
  /**
   * A slice of the oldest event is on its way: the tables do not know yet which of its rules
   * remain.
   */
  #isSlicing = false;

  constructor(parts: BacklogParts) {
    this.#parts = parts;
    this.#unprocessed = parts.reader.prepare<[number], EventsTable>(
      `select * from events where processedAt is null and seq > ? and not exists
       (select 1 from event_failures f where f.consumer = '${RULE_ENGINE}' and f.eventSeq = events.seq and f.resolvedAt is null)
       order by seq`,
    );
    this.#one = parts.reader.prepare<[number], EventsTable & { hasFailed: Flag }>(
      `select *, exists (select 1 from event_failures f where f.consumer = '${RULE_ENGINE}' and f.eventSeq = events.seq
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

  /** To be called once the server runs: decides what an earlier process left. */
  start(): void {
    if (this.#isBehind) this.#parts.committer.wantSet(this);
  }

  get isBehind(): boolean {
    return this.#isBehind;
  }

  /**
   * All that was stored undecided is in sets on their way. Storing more undecided events now would
   * keep the backlog from ever ending, while deciding costs twice as much as it would with the
   * event; so ingest waits these few milliseconds: see {@link whenEnded}.
   */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /**
   * `fn` runs when nothing waits any more, or when so much does that waiting for it is of no use.
   */
  whenEnded(fn: () => void): void {
    this.#whenEnded.push(fn);
  }

  #setEnding(isEnding: boolean): void {
    this.#isEnding = isEnding;
    if (!isEnding) for (const fn of this.#whenEnded.splice(0)) fn();
  }

  /** Undecided events that are stored, for `prism_consumer_lag`. Counts at most 100 000. */
  lag(): number {
    if (!this.#isBehind) return 0;
    const count = this.#parts.reader.prepare<[], { n: number }>(
      "select count(*) as n from (select 1 from events where processedAt is null limit 100000)",
    );
    return count.get()?.n ?? 0;
  }

  /** An ingest set with undecided events has been sealed. */
  storing(): void {
    this.#isBehind = true;
    this.#setsStoring++;
  }

  /** It has settled. */
  stored(): void {
    this.#setsStoring--;
    this.#parts.committer.wantSet(this);
  }

  /** Sets ahead of the tables have failed: look at the index from its beginning. */
  reset(): void {
    this.#sealedUpTo = 0;
    this.#setEnding(false);
    if (this.#isBehind) this.#parts.committer.wantSet(this);
  }

  /**
   * Decides one event again, on behalf of a job: rules that have decided it are left out, unless
   * they had no recipients and now have some. Resolves when that is on disk. @throws
   * EVENT_NOT_FOUND, and what makes the event poison again, which is then recorded.
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
    const processed = wasSlicing ? [] : this.#decidePage(stats, now, outcome);
    if (outcome.effects.length === 0 && processed.length === 0) return null;
    this.#parts.metrics.deciding(startedAt);
    this.#setsDeciding++;
    const suppression = this.#parts.decider.takeSuppression();
    const isPartial = !wasSlicing && this.#isSlicing;
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

  /** As many as the budget lets: the others have the next set. */
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

  /**
   * Rows are read now, not when the job asked: the event may have been deleted since, and other
   * rules may have decided.
   */
  #decideRetry(retry: Retry, stats: RuleStats, now: number, outcome: Outcome): TriedAgain | null {
    const { decider } = this.#parts;
    const row = this.#one.get(retry.seq);
    if (!row) {
      retry.reject(new PrismError("EVENT_NOT_FOUND", "No such event"));
      return null;
    }
    // Not decided at all: the page decides it in its turn, after older events.
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
      // What the failed attempt may have left is removed at the end.
      const over = { processedAt: now, resolves: { consumer: RULE_ENGINE, at: now }, slice: sliceMark(null) };
      outcome.add({ ...effects, ...(askedTo ? { slice: null } : over) }, decision?.told);
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

  /** @returns the seqs of events that no rule matched. */
  #decidePage(stats: RuleStats, now: number, outcome: Outcome): number[] {
    if (!this.#isBehind) return [];
    const { committer } = this.#parts;
    const page: Page = { stats, now, outcome, processed: [], budget: new Budget(false) };
    let events = 0;
    let bytes = 0;
    for (const row of this.#unprocessed.iterate(this.#sealedUpTo)) {
      if (page.budget.isSpent() || events === PAGE_EVENTS || bytes > PAGE_BYTES) {
        committer.wantSet(this);
        this.#setEnding(false);
        return page.processed;
      }
      events++;
      bytes += row.payload.length;
      // Only the oldest event can have been decided in part.
      const isPartial = this.#decideNext(storedEvent(row), events === 1 ? this.#earlierOf(row.seq) : null, page);
      if (isPartial) {
        this.#isSlicing = true;
        this.#setEnding(false);
        return page.processed;
      }
      this.#sealedUpTo = row.seq;
    }
    // The index holds nothing more. Ingest may decide again, unless it has undecided events on
    // their way.
    if (events === 0 && this.#setsStoring === 0 && this.#setsDeciding === 0) this.#isBehind = false;
    this.#setEnding(this.#isBehind);
    return page.processed;
  }

  /** @returns whether rules of the event remain for the next set. */
  #decideNext(event: IncomingEvent, earlier: Earlier | null, page: Page): boolean {
    const { decider, metrics, log } = this.#parts;
    const { stats, now, outcome, processed, budget } = page;
    let decision: Decision | null;
    try {
      decision = decider.decide(event, stats, now, earlier);
    } catch (error) {
      outcome.add(decider.poisoned(event, error, now));
      return false;
    }
    const { effects, told, askedTo = null } = decision ?? {};
    const isPartial = askedTo !== null;
    if (effects) {
      outcome.add({ ...effects, processedAt: isPartial ? null : now }, told);
      budget.spend(effects);
    } else processed.push(event.seq);
    if (isPartial) metrics.sliced();
    else if (earlier) {
      const rules = earlier.outcomes.size + (effects?.decisions.length ?? 0);
      log.warn(
        { eventId: event.id, projectId: event.projectId, rules },
        "an event was decided in slices: many rules match it, or their conditions are costly",
      );
    }
    return isPartial;
  }

  #settle(committed: CommitOutcome, { effects, told }: Outcome, set: SetInFlight): void {
    const { stats, suppression, tried } = set;
    this.#setsDeciding--;
    if (set.isPartial) this.#isSlicing = false;
    if (this.#isBehind) this.#parts.committer.wantSet(this);
    if (!committed.ok) {
      const error = commitError(committed.failure, new Error(committed.message));
      for (const { retry } of tried) retry.reject(error);
      return;
    }
    this.#parts.metrics.decided(stats);
    this.#parts.decider.refused(effects, committed.failedEffects);
    const refused = new Set(committed.failedEffects);
    // Retries come first in the set, in their order.
    for (const [i, { retry, error, askedTo }] of tried.entries()) {
      if (error !== null) retry.reject(error);
      else if (refused.has(i)) retry.reject(new Error("the database refused what the rules made of the event"));
      else if (askedTo) this.#retries.push({ ...retry, askedTo });
      else retry.resolve();
    }
    if (this.#retries.length > 0) this.#parts.committer.wantSet(this);
    this.#parts.announcer.notifications(told.filter((_, i) => !refused.has(i)).flat());
    const jobs = enqueuedBy(effects, refused, suppression);
    if (jobs.length > 0) this.#parts.onJobs(jobs);
  }
}

/** A job on one event: after a failure, or because a user wants its rules evaluated again. */
export interface EventJobPayload {
  readonly eventSeq: number;
  /** Also where the event has been decided. */
  readonly again?: true;
}

/** Handles the jobs that decide an event again. */
export function handleEventJobs(db: Database, runner: JobRunner, backlog: Backlog): void {
  runner.handle("event.process", async (job) => {
    const { eventSeq, again } = job.payload as EventJobPayload;
    const event = await db.read
      .selectFrom("events")
      .select("processedAt")
      .where("seq", "=", eventSeq)
      .executeTakeFirst();
    // Deleted since, or decided by a run of this job that a crash cut short after its commit.
    if (!event || (event.processedAt !== null && again !== true)) return;
    await backlog.decideAgain(eventSeq);
  });
}
