import { uuidOf } from "../../core/ids.ts";
import type {
  AuditLogTable,
  DecisionsTable,
  EventFailuresTable,
  EventSlicesTable,
  JobState,
  NotificationRecipientsTable,
  NotificationsTable,
} from "../schema.ts";
import type { EventColumns } from "./event-columns.ts";

/**
 * All that one commit writes, as plain data: it crosses to the writer thread by structured clone,
 * and it is what a distributed store would be given. Whatever belongs together is in one set; a set
 * is written whole or not at all (but see {@link Effects}).
 */
export interface WriteSet {
  /**
   * A failed set takes every later set of its epoch with it: they were decided on top of what it
   * would have written.
   */
  readonly epoch: number;
  readonly events: EventColumns;
  readonly effects: Effects[];
  /** Events stored earlier, decided now without any effect. */
  readonly processed: { readonly seqs: readonly number[]; readonly at: number } | null;
  readonly ruleStats: readonly RuleStatSum[];
  readonly suppression: SuppressionRows | null;
  readonly idempotency: readonly IdempotencyRow[];
  readonly delivered: readonly DeliveredMark[];
  readonly jobs: JobWork | null;
  readonly audit: readonly AuditRow[];
  readonly sequenceEnds: readonly SequenceEnd[];
}

/**
 * What follows from one event. It is written in a savepoint of its own after all events of the set;
 * if SQL refuses it, a failure and a job that tries again are written in its place, the event's
 * `processedAt` is null, and the set goes on: one bad event never blocks the rest.
 */
export interface Effects {
  readonly eventSeq: number;
  readonly correlationId: string;
  /** Why the event could not be decided; the failure is then written at once. */
  readonly poison: string | null;
  /** For an event stored earlier: set `processedAt` with the effects, if nobody else has. */
  readonly processedAt: number | null;
  readonly decisions: readonly DecisionRow[];
  readonly notifications: readonly NotificationRow[];
  readonly recipients: readonly RecipientRow[];
  readonly jobs: readonly JobRow[];
  /** How far the rules have been asked; null where the event is not decided in slices. */
  readonly slice: SliceMark | null;
  /** Closes the open failure of this consumer on this event. */
  readonly resolves: { readonly consumer: string; readonly at: number } | null;
  readonly retry: RetryPlan;
}

/**
 * When an event is to be decided again that could not be, and how often. One object may stand in
 * all effects of a set.
 */
export interface RetryPlan {
  readonly at: number;
  readonly runAt: number;
  readonly maxAttempts: number;
}

/**
 * The last rule that was asked about an event that is decided in slices; null once all have been.
 */
export interface SliceMark {
  readonly after: Omit<EventSlicesTable, "eventSeq"> | null;
}

export type DecisionRow = DecisionsTable;
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

/**
 * Increments of one rule's totals; `lastMatchedAt` and `lastError` replace what is stored when set.
 */
export interface RuleStatSum {
  readonly ruleId: string;
  readonly matched: number;
  readonly fired: number;
  readonly suppressed: number;
  readonly deduped: number;
  readonly cooled: number;
  readonly noRecipients: number;
  readonly errors: number;
  readonly lastMatchedAt: number | null;
  readonly lastError: string | null;
}

/** What suppression and dedupe have counted over a write set. */
export interface SuppressionRows {
  /** Windows of which the table is to forget what it has, before anything is added. */
  readonly resetWindows: readonly WindowName[];
  /** Added to what the table has. */
  readonly windows: readonly WindowCount[];
  /** As they now stand. */
  readonly storms: readonly StormRow[];
  /** Dedupe keys of matches that a storm holds back; each is stored once. */
  readonly keys: readonly StormKey[];
  /** Further events that earlier notifications stand for. */
  readonly repeats: readonly { readonly notificationId: string; readonly count: number }[];
  /** One for each storm that begins. */
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
  /** Receipt of the first and the last event. */
  readonly startedAt: number;
  readonly lastAt: number;
  /** Ids of the first events. */
  readonly samples: readonly string[];
  /** The job that tells of it. */
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
  /** It went out as an event of Pusher's protocol. */
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
  readonly finish: readonly JobFinish[];
  /** Makes every waiting job that is due by this instant ready. */
  readonly promoteDueAt: number | null;
  /**
   * Behind the promotion: the wall clock was set back, and now says `now`. Waiting jobs that were
   * made in what is the future now go with it.
   */
  readonly setBack: ClockStep | null;
  readonly claim: readonly JobClaim[];
}

/**
 * A step back of the wall clock. What was made between `madeFrom` and `now`, by the clock as it is,
 * was made after it.
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
  /** Takes those that wait longest whatever their priority, so that none starves. */
  readonly oldestFirst: boolean;
}

/** How far a running job has come, as JSON. */
export interface JobProgress {
  readonly id: string;
  readonly fence: number;
  readonly progress: string;
}

/**
 * The end of one attempt. It is written only while `fence` is still the job's: a worker that lost
 * its lease cannot write.
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
  /** In another queue than the job came from when its attempts there are used up. */
  | {
      readonly outcome: "retrying";
      readonly runAt: number;
      readonly error: string;
      readonly queue: string;
      readonly maxAttempts: number;
    }
  | { readonly outcome: "dead"; readonly error: string; readonly queue: string }
  /**
   * Not counted. With `runAt` it waits until then, without it is ready; in another queue if one is
   * given.
   */
  | { readonly outcome: "returned"; readonly runAt?: number; readonly queue?: string }
);

/** A job as a worker is given it. */
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

/**
 * An audit row before the chain: `seq`, `prevHash` and `hash` are given by the writing connection,
 * last in the transaction.
 */
export type AuditRow = Omit<AuditLogTable, "seq" | "prevHash" | "hash">;

/**
 * The end of the block a counter may draw from, stored before any number of the block can be seen
 * outside.
 */
export interface SequenceEnd {
  readonly name: string;
  readonly end: number;
  /** When it was drawn from. */
  readonly at: number;
}

/**
 * Why nothing was written: `broken` is a disk or file that fails, `closed` a writer that is gone,
 * `internal` a mistake of ours.
 */
export type CommitFailure = "full" | "busy" | "readonly" | "broken" | "closed" | "internal";

/** `superseded`: an earlier set of the epoch failed, for that reason. */
export type CommitOutcome =
  | { readonly ok: true; readonly failedEffects: readonly number[]; readonly claimed: readonly ClaimedJob[] }
  | { readonly ok: false; readonly failure: CommitFailure; readonly superseded: boolean; readonly message: string };

/** The consumer of events that decides by rules, as `event_failures` has it. */
export const RULE_ENGINE = "rule-engine";

/** The key of the one unfinished job that decides an event. */
export function eventJobKey(eventSeq: number): string {
  return `event:${eventSeq}`;
}

/**
 * What stands for an event that could not be decided: the failure, and the job that tries again.
 * Made only when it comes to that.
 */
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
