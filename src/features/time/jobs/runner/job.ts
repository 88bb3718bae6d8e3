import { PrismError } from "../../../../core/errors.ts";
import { uuidv7 } from "../../../../core/ids.ts";
import type { QueueName } from "../../../../core/limits/queues.ts";
import { DAY_MS } from "../../../../core/time/clock.ts";
import type { ClaimedJob, JobFinish, JobRow } from "../../../../store/commit/write-set.ts";

/** The next queue of jobs without attempts left. Jobs of other queues are dead. */
export const NEXT_QUEUE: ReadonlyMap<string, QueueName> = new Map([
  ["messages", "messages-retry"],
  ["messages-retry", "messages-dead-letter"],
]);

/** The queue in which a retried job restarts. */
export function firstQueue(queue: QueueName): QueueName {
  for (const [from, to] of NEXT_QUEUE) if (to === queue) return firstQueue(from as QueueName);
  return queue;
}

/** Queues that never run: a job that enters one is dead. */
export const DEAD_LETTER_QUEUES: ReadonlySet<string> = new Set(["messages-dead-letter"]);

export interface NewJob {
  /** Set by callers that need the id before the job is created. */
  readonly id?: string;
  readonly queue: QueueName;
  readonly kind: string;
  readonly payload: unknown;
  /** Whole epoch ms; past instants mean now. */
  readonly runAt: number;
  readonly maxAttempts: number;
  readonly priority?: number;
  readonly dedupeKey?: string | null;
  readonly label?: string | null;
  readonly createdBy?: string | null;
  readonly correlationId?: string | null;
  readonly module?: string | null;
  /** The schedule that creates the job. */
  readonly scheduleId?: string | null;
}

export const MAX_PAYLOAD_BYTES = 262_144;

/** Whole milliseconds: the strict table refuses a fraction, which would cost the transaction. @throws TypeError */
export function requireWholeMs(runAt: number): void {
  if (!Number.isSafeInteger(runAt)) throw new TypeError(`runAt of a job must be whole milliseconds, not ${runAt}`);
}

/** The row of a new job: ready when it is due, otherwise scheduled. @throws PAYLOAD_TOO_LARGE, TypeError */
export function newJobRow(job: NewJob, now: number): JobRow {
  requireWholeMs(job.runAt);
  const payload = JSON.stringify(job.payload);
  if (Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES) {
    throw new PrismError("PAYLOAD_TOO_LARGE", `The payload of a job exceeds ${MAX_PAYLOAD_BYTES} bytes`);
  }
  return {
    id: job.id ?? uuidv7(),
    queue: job.queue,
    kind: job.kind,
    payload,
    state: job.runAt <= now ? "ready" : "scheduled",
    priority: job.priority ?? 0,
    runAt: job.runAt,
    maxAttempts: job.maxAttempts,
    dedupeKey: job.dedupeKey ?? null,
    label: job.label ?? null,
    module: job.module ?? null,
    createdBy: job.createdBy ?? null,
    scheduleId: job.scheduleId ?? null,
    correlationId: job.correlationId ?? null,
    createdAt: now,
  };
}

/** Thrown by a handler when a retry cannot help: the job is dead at once. */
export class PermanentError extends Error {
  override readonly name: string = "PermanentError";
}

/** Limit of a module's own number. */
const LONGEST_WAIT_MS = 365 * DAY_MS;

/** Thrown by a handler when the other side named a time: the next attempt is not earlier. */
export class RetryLater extends Error {
  /** Whole milliseconds, at most a year; a fraction is rounded up. */
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number, options?: ErrorOptions) {
    super(message, options);
    this.name = "RetryLater";
    this.retryAfterMs = Math.min(Math.ceil(retryAfterMs), LONGEST_WAIT_MS);
    requireWholeMs(this.retryAfterMs);
  }
}

/** Argument of a handler. */
export interface RunningJob {
  readonly id: string;
  readonly kind: string;
  readonly payload: unknown;
  readonly attempt: number;
  readonly label: string | null;
  readonly createdBy: string | null;
  readonly correlationId: string;
  /**
   * From now on the attempt counts, even if the process dies. For handlers with `notesBegin`;
   * others count from their start. In a cluster it resolves when the rows say so; await it before
   * the code starts. @throws when the server stops
   */
  begun(): Promise<void> | null;
  /**
   * Records progress for people who look at the job; written with the next commit of the runner.
   * @param value JSON of at most 16 KiB.
   */
  progress(value: unknown): void;
  /** The claimed row, for a handler that completes the job in the transaction of its effect. */
  readonly claimed: ClaimedJob;
}

/**
 * Runs one kind of job, at least once. Resolves to a result to keep, or to {@link COMPLETED} when
 * it has completed the job in the transaction of its effect.
 */
export type JobFunction = (job: RunningJob, signal: AbortSignal) => Promise<unknown>;

export const COMPLETED = Symbol("completed");

export interface HandlerOptions {
  /**
   * The handler reports itself when code starts that could end the process ({@link
   * RunningJob.begun}). Before that, an attempt lost in a crash does not count. For handlers that
   * only write rows, or first wait.
   */
  readonly notesBegin?: boolean;
}

/** Outcome, duration and delay of an attempt. */
export interface AttemptFacts {
  readonly queue: QueueName;
  readonly outcome: JobFinish["outcome"];
  readonly durationMs: number;
  readonly latenessMs: number;
}
