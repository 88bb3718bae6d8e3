import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { QueueName } from "../../../core/queues.ts";
import type { ClaimedJob, JobFinish, JobRow } from "../../../store/commit/write-set.ts";

/**
 * Where the jobs of a queue go on when their attempts there are used up; of all others they
 * are dead where they are.
 */
export const NEXT_QUEUE: ReadonlyMap<string, QueueName> = new Map([
  ["messages", "messages-retry"],
  ["messages-retry", "messages-dead-letter"],
]);

/** Where a job that is tried anew begins again. */
export function firstQueue(queue: QueueName): QueueName {
  for (const [from, to] of NEXT_QUEUE) if (to === queue) return firstQueue(from as QueueName);
  return queue;
}

/** Queues in which nothing runs: a job that comes here is dead. */
export const DEAD_LETTER_QUEUES: ReadonlySet<string> = new Set(["messages-dead-letter"]);

export interface NewJob {
  /** Given by whoever has to name the job before it is made. */
  readonly id?: string;
  readonly queue: QueueName;
  readonly kind: string;
  readonly payload: unknown;
  /** Epoch ms; a past instant runs at once. */
  readonly runAt: number;
  readonly maxAttempts: number;
  readonly priority?: number;
  readonly dedupeKey?: string | null;
  readonly label?: string | null;
  readonly createdBy?: string | null;
  readonly correlationId?: string | null;
  readonly module?: string | null;
  /** The schedule that makes it. */
  readonly scheduleId?: string | null;
}

export const MAX_PAYLOAD_BYTES = 262_144;

/**
 * The row of a job that is to be enqueued: ready when it is due, else scheduled. @throws
 * PAYLOAD_TOO_LARGE
 */
export function newJobRow(job: NewJob, now: number): JobRow {
  const payload = JSON.stringify(job.payload);
  if (Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES) {
    throw new PrismError("PAYLOAD_TOO_LARGE", `The payload of a job may have ${MAX_PAYLOAD_BYTES} bytes`);
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

/** Thrown by a handler when trying again cannot help: the job is dead at once. */
export class PermanentError extends Error {
  override readonly name = "PermanentError";
}

/**
 * Thrown by a handler when the other side has said when to come back: the next attempt is not
 * before that.
 */
export class RetryLater extends Error {
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number, options?: ErrorOptions) {
    super(message, options);
    this.name = "RetryLater";
    this.retryAfterMs = retryAfterMs;
  }
}

/** What a handler is given. */
export interface RunningJob {
  readonly id: string;
  readonly kind: string;
  readonly payload: unknown;
  readonly attempt: number;
  readonly label: string | null;
  readonly createdBy: string | null;
  readonly correlationId: string;
  /**
   * From now on the attempt counts, also when the process dies. For handlers with `notesBegin`; of
   * all others it counts from their begin.
   */
  begun(): void;
  /**
   * Notes how far the work is, for people who look at the job; kept with the next commit of the
   * runner. @param value JSON of at most 16 KiB.
   */
  progress(value: unknown): void;
  /**
   * The row as it was claimed, for a handler that completes the job in the transaction of its
   * effect.
   */
  readonly claimed: ClaimedJob;
}

/**
 * Does the work of one kind of job; runs at least once. Resolves to a result to keep, or to {@link
 * COMPLETED} when it has completed the job itself, in the transaction of its effect.
 */
export type JobHandler = (job: RunningJob, signal: AbortSignal) => Promise<unknown>;

export const COMPLETED = Symbol("completed");

export interface HandlerOptions {
  /**
   * The handler says itself when code begins that could end the process ({@link RunningJob.begun});
   * before that an attempt that is lost in a crash does not count. For handlers that only write
   * rows, or wait for something first.
   */
  readonly notesBegin?: boolean;
}

/** How an attempt ended, how long it took, and how long after its time it began. */
export interface AttemptFacts {
  readonly queue: QueueName;
  readonly outcome: JobFinish["outcome"];
  readonly durationMs: number;
  readonly latenessMs: number;
}
