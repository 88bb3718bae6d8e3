import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { isWorkerChannel, type WorkerChannel } from "../../../core/vocabulary.ts";
import type { ClaimedJob, JobFinish, JobRow } from "../../../store/commit/write-set.ts";

/** The queues of this program (contract 8.3). */
export const QUEUES = [
  "event-processing",
  "notification-delivery",
  "push-notification",
  "bucket-monitoring",
  "alert-suppression",
  "messages",
  "messages-retry",
  "messages-dead-letter",
  "alert",
  "digest",
  "retention",
  "timers",
] as const;
/** A module has a queue of its own. */
export type ModuleQueue = `module:${string}`;
/** Attempts by a channel that is left to workers elsewhere (`delivery.workers`) stand in a queue of their own, in front of which nobody here stands. */
export type WorkerQueue = `workers:${WorkerChannel}`;
export type QueueName = (typeof QUEUES)[number] | ModuleQueue | WorkerQueue;

export function isModuleQueue(name: string): name is ModuleQueue {
  return name.startsWith("module:");
}

export function isWorkerQueue(name: string): name is WorkerQueue {
  return name.startsWith("workers:") && isWorkerChannel(name.slice("workers:".length));
}

/** Where attempts by the channel stand while the server makes them; the queue that a worker names to be given them. */
export function deliveryQueue(channel: string): "notification-delivery" | "push-notification" {
  return channel === "fcm" || channel === "apns" ? "push-notification" : "notification-delivery";
}

/** The queue whose settings and pause hold for a worker queue, too. */
export function parentQueue(name: WorkerQueue): ReturnType<typeof deliveryQueue> {
  return deliveryQueue(name.slice("workers:".length));
}

/** {@link parentQueue}; undefined for a queue that is no part of another. */
export function parentOf(name: QueueName): QueueName | undefined {
  return isWorkerQueue(name) ? parentQueue(name) : undefined;
}

/** Names by which S2 knows a queue stand for it (D32). @returns undefined for a name that no queue can have. */
export function parseQueueName(text: string): QueueName | undefined {
  if (/^module:[a-z][a-z0-9-]{1,63}$/.test(text)) return text as ModuleQueue;
  if (isWorkerQueue(text)) return text;
  const name = text.endsWith("-queue") ? text.slice(0, -"-queue".length) : text;
  return QUEUES.find((queue) => queue === name);
}

/** What a queue is given; read anew at each use, for a reload may change it. */
export interface QueueSettings {
  /** Jobs that run at a time; 0 parks what is there. */
  readonly concurrency: number;
  readonly maxAttempts: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
}

/** Where the jobs of a queue go on when their attempts there are used up (D31); of all others they are dead where they are. */
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

/** The row of a job that is to be enqueued: ready when it is due, else scheduled. @throws PAYLOAD_TOO_LARGE */
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
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "PermanentError";
  }
}

/** Thrown by a handler when the other side has said when to come back: the next attempt is not before that. */
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
  /** From now on the attempt counts, also when the process dies. For handlers with `notesBegin`; of all others it counts from their begin. */
  begun(): void;
  /** Notes how far the work is, for people who look at the job; kept with the next commit of the runner. @param value JSON of at most 16 KiB. */
  progress(value: unknown): void;
  /** The row as it was claimed, for a handler that completes the job in the transaction of its effect. */
  readonly claimed: ClaimedJob;
}

/**
 * Does the work of one kind of job; runs at least once. Resolves to a result to keep, or to {@link COMPLETED} when it has completed the
 * job itself, in the transaction of its effect.
 */
export type JobHandler = (job: RunningJob, signal: AbortSignal) => Promise<unknown>;

export const COMPLETED = Symbol("completed");

export interface HandlerOptions {
  /**
   * The handler says itself when code begins that could end the process ({@link RunningJob.begun}); before that an attempt that is lost in a crash
   * does not count. For handlers that only write rows, or wait for something first.
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
