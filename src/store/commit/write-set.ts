import { uuidOf } from "../../core/ids.ts";
import type {
  AlertSignalsTable,
  AuditLogTable,
  DecisionsTable,
  EventFailuresTable,
  EventSlicesTable,
  JobState,
  NotificationRecipientsTable,
  NotificationsTable,
} from "../schema.ts";
import type { BoundStatement } from "../sqlite/connection.ts";
import type { EventColumns } from "./event-columns.ts";

/**
 * The content of one commit as plain data: it is cloned to the writer thread, and a distributed
 * store would replicate it. A set is written completely or not at all (except for {@link Effects}).
 */
export interface WriteSet {
  /** A failed set fails every later set of its epoch, because they were decided on top of it. */
  readonly epoch: number;
  readonly events: EventColumns;
  /** Events of this set that its commit removes again: test events. */
  readonly withdrawn: readonly number[];
  readonly effects: Effects[];
  /** Events stored earlier that are now decided without any effect. */
  readonly processed: { readonly seqs: readonly number[]; readonly at: number } | null;
  readonly ruleStats: readonly RuleStatSum[];
  readonly suppression: SuppressionRows | null;
  readonly idempotency: readonly IdempotencyRow[];
  /** Rows of features that belong to its events. If SQL refuses one, the set fails. */
  readonly statements: readonly BoundStatement[];
  readonly delivered: readonly DeliveredMark[];
  readonly jobs: JobWork | null;
  readonly audit: readonly AuditRow[];
  readonly sequenceEnds: readonly SequenceEnd[];
}

/**
 * The consequences of one event. They are written in a savepoint after all events of the set. If
 * SQL refuses them, a failure and a retry job are written instead, the event's `processedAt` is
 * null, and the set continues: one bad event never blocks the rest.
 */
export interface Effects {
  readonly eventSeq: number;
  readonly correlationId: string;
  /** Why the event could not be decided; the failure is written at once. */
  readonly poison: string | null;
  /** For an event stored earlier: sets `processedAt` with the effects, unless it is set. */
  readonly processedAt: number | null;
  readonly decisions: readonly DecisionRow[];
  readonly notifications: readonly NotificationRow[];
  readonly recipients: readonly RecipientRow[];
  readonly jobs: readonly JobRow[];
  /** Alerts that the event opens or resolves. */
  readonly signals: readonly AlertSignalRow[];
  /** Progress through the rules; null for an event that is decided at once. */
  readonly slice: SliceMark | null;
  /** Closes the open failure of this consumer for this event. */
  readonly resolves: { readonly consumer: string; readonly at: number } | null;
  readonly retry: RetryPlan;
}

/** When and how often to retry an undecided event; shared by the effects of a set. */
export interface RetryPlan {
  readonly at: number;
  readonly runAt: number;
  readonly maxAttempts: number;
}

/** The last rule asked about an event that is decided in slices; null after the last one. */
export interface SliceMark {
  readonly after: Omit<EventSlicesTable, "eventSeq"> | null;
}

export type DecisionRow = DecisionsTable;
export type AlertSignalRow = AlertSignalsTable;
type FailureRow = EventFailuresTable;

export type NotificationRow = Pick<
  NotificationsTable,
  | "id"
  | "ruleId"
  | "eventId"
  | "projectId"
  | "kind"
  | "title"
  | "message"
  | "sound"
  | "action"
  | "data"
  | "dedupeKey"
  | "correlationId"
  | "createdAt"
  | "channels"
> & { readonly priority: number };

export type RecipientRow = Pick<NotificationRecipientsTable, "notificationId" | "userId" | "seq">;

/** Increments of one rule's totals. `lastMatchedAt` and `lastError` replace stored values. */
export interface RuleStatSum {
  readonly ruleId: string;
  readonly matched: number;
  readonly fired: number;
  readonly suppressed: number;
  readonly deduped: number;
  readonly cooled: number;
  readonly noRecipients: number;
  readonly counted: number;
  readonly alertsOpened: number;
  readonly alertsResolved: number;
  readonly errors: number;
  readonly lastMatchedAt: number | null;
  readonly lastError: string | null;
}

/** Counters of suppression and dedupe over a write set. */
export interface SuppressionRows {
  /** Windows to reset in the table before counts are added. */
  readonly resetWindows: readonly WindowName[];
  /** Counts to add to the table. */
  readonly windows: readonly WindowCount[];
  /** Current values. */
  readonly storms: readonly StormRow[];
  /** Dedupe keys of matches that a storm holds back; each is stored once. */
  readonly keys: readonly StormKey[];
  /** Further events represented by earlier notifications. */
  readonly repeats: readonly { readonly notificationId: string; readonly count: number }[];
  /** One for each storm that starts. */
  readonly jobs: readonly JobRow[];
}

export interface WindowName {
  readonly ruleId: string;
  readonly key: string;
}

export interface WindowCount extends WindowName {
  readonly bucketStart: number;
  readonly count: number;
}

export interface StormKey {
  readonly batchId: string;
  readonly key: string;
}

/** Matches of one rule and key that are being held back. */
export interface StormRow {
  readonly id: string;
  readonly ruleId: string;
  readonly key: string;
  readonly count: number;
  readonly firstSeq: number;
  readonly lastSeq: number;
  /** Times of receipt of the first and the last event. */
  readonly startedAt: number;
  readonly lastAt: number;
  /** Ids of the first events. */
  readonly samples: readonly string[];
  /** The job that sends the summary. */
  readonly jobId: string;
}

export interface IdempotencyRow {
  readonly scope: string;
  readonly key: string;
  readonly fingerprint: string;
  readonly status: number | null;
  readonly response: string | null;
  readonly createdAt: number;
  readonly expiresAt: number;
}

export interface DeliveredMark {
  readonly userId: string;
  readonly seq: number;
  readonly at: number;
  /** It was sent as an event of the Pusher protocol. */
  readonly byPusher?: boolean;
}

export interface JobRow {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly payload: string;
  readonly state: Extract<JobState, "scheduled" | "ready">;
  readonly priority: number;
  readonly runAt: number;
  readonly maxAttempts: number;
  readonly dedupeKey: string | null;
  readonly label: string | null;
  readonly module: string | null;
  readonly createdBy: string | null;
  readonly scheduleId: string | null;
  readonly correlationId: string | null;
  readonly createdAt: number;
}

export interface JobWork {
  readonly insert: readonly JobRow[];
  readonly progress: readonly JobProgress[];
  /** Attempts whose handlers may begin after this commit; only in a cluster. */
  readonly begun?: readonly Pick<JobProgress, "id" | "fence">[];
  readonly finish: readonly JobFinish[];
  /** Attempts that end without a result to keep: many in one statement. */
  readonly succeeded?: readonly SucceededJobs[];
  /** Makes waiting jobs that are due by this instant ready, the longest due first, up to MOST_PROMOTED. */
  readonly promoteDueAt: number | null;
  /**
   * After the promotion: the wall clock was set back to `now`. Waiting jobs created at what is now
   * a future time move with it.
   */
  readonly setBack: ClockStep | null;
  readonly claim: readonly JobClaim[];
}

/**
 * A backward step of the wall clock. Rows with a creation time between `madeFrom` and `now`, by the
 * new clock, were made after it.
 */
interface ClockStep {
  readonly byMs: number;
  readonly madeFrom: number;
  readonly now: number;
}

export interface JobClaim {
  readonly queue: string;
  readonly limit: number;
  readonly workerId: string;
  readonly now: number;
  /** Takes the jobs that wait longest whatever their priority, so that none starves. */
  readonly oldestFirst: boolean;
}

/** Progress of a running job, as JSON. */
export interface JobProgress {
  readonly id: string;
  readonly fence: number;
  readonly progress: string;
}

/**
 * The end of one attempt. It is written only while the job has this `fence`: a worker that lost its
 * lease cannot write.
 */
export type JobFinish = {
  readonly id: string;
  readonly fence: number;
  readonly attempt: number;
  readonly workerId: string;
  readonly startedAt: number;
  readonly now: number;
} & (
  | { readonly outcome: "succeeded"; readonly result: string | null }
  /** The queue of a job without attempts left, if it changes. */
  | {
      readonly outcome: "retrying";
      readonly runAt: number;
      readonly error: string;
      readonly queue: string;
      readonly maxAttempts: number;
    }
  | { readonly outcome: "dead"; readonly error: string; readonly queue: string }
  /** Attempt not counted. With `runAt` the job waits, without it is ready; `queue` moves it. */
  | { readonly outcome: "returned"; readonly runAt?: number; readonly queue?: string }
);

/** Jobs that ended at the same time and have the same fence. */
export interface SucceededJobs {
  readonly now: number;
  readonly fence: number;
  readonly seqs: readonly number[];
}

/** A job as a worker receives it. */
export interface ClaimedJob {
  readonly seq: number;
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly payload: string;
  readonly priority: number;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly fence: number;
  readonly runAt: number;
  readonly startedAt: number;
  readonly label: string | null;
  readonly createdBy: string | null;
  readonly correlationId: string | null;
}

/** An audit row before the chain: the writing connection adds `seq` and hashes last. */
export type AuditRow = Omit<AuditLogTable, "seq" | "prevHash" | "hash">;

/** End of the block a counter may draw from, stored before any of its numbers becomes visible. */
export interface SequenceEnd {
  readonly name: string;
  readonly end: number;
  /** Time of the draw. */
  readonly at: number;
}

/**
 * Why nothing was written: `limit` is a set of ingest that would fill what `maxDbBytes` keeps for
 * other writes, `broken` a failing disk or file, `closed` a stopped writer, `internal` a programming
 * error.
 */
export type CommitFailure = "full" | "limit" | "busy" | "readonly" | "broken" | "closed" | "internal";

/**
 * `claimed`: the jobs of each claim, for `claimedJobs` (job-sql.ts). `superseded`: an earlier set of the
 * epoch failed for that reason.
 */
export type CommitOutcome =
  | { readonly ok: true; readonly failedEffects: readonly number[]; readonly claimed: readonly string[] }
  | { readonly ok: false; readonly failure: CommitFailure; readonly superseded: boolean; readonly message: string };

/** The consumer of events that evaluates rules, as named in `event_failures`. */
export const RULE_ENGINE = "rule-engine";

/** Dedupe key of the one unfinished job that decides an event. */
export function eventJobKey(eventSeq: number): string {
  return `event:${eventSeq}`;
}

/** Rows for an event that could not be decided: the failure and the retry job. */
export function undecidedRows({ eventSeq, correlationId, retry }: Effects): {
  readonly failure: FailureRow;
  readonly job: JobRow;
} {
  const job: JobRow = {
    id: uuidOf(retry.at, eventJobKey(eventSeq)),
    queue: "event-processing",
    kind: "event.process",
    payload: JSON.stringify({ eventSeq }),
    state: "scheduled",
    priority: 0,
    runAt: retry.runAt,
    maxAttempts: retry.maxAttempts,
    dedupeKey: eventJobKey(eventSeq),
    label: null,
    module: null,
    createdBy: null,
    scheduleId: null,
    correlationId,
    createdAt: retry.at,
  };
  const failure = { consumer: RULE_ENGINE, eventSeq, attempts: 1, lastError: null, jobId: job.id };
  return { job, failure: { ...failure, createdAt: retry.at, resolvedAt: null } };
}
