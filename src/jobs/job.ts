import { PrismError } from "../base/errors.ts";
import { uuidv7 } from "../base/ids.ts";
import type { ClaimedJob, JobRow } from "../store/write-set.ts";

/** The queues of this program (contract 8.3). */
export const QUEUES = ["event-processing", "notification-delivery", "retention", "timers"] as const;
export type QueueName = (typeof QUEUES)[number];

export interface NewJob {
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
}

const MAX_PAYLOAD_BYTES = 262_144;

/** The row of a job that is to be enqueued: ready when it is due, else scheduled. @throws PAYLOAD_TOO_LARGE */
export function newJobRow(job: NewJob, now: number): JobRow {
  const payload = JSON.stringify(job.payload);
  if (Buffer.byteLength(payload) > MAX_PAYLOAD_BYTES) {
    throw new PrismError("PAYLOAD_TOO_LARGE", `The payload of a job may have ${MAX_PAYLOAD_BYTES} bytes`);
  }
  return {
    id: uuidv7(),
    queue: job.queue,
    kind: job.kind,
    payload,
    state: job.runAt <= now ? "ready" : "scheduled",
    priority: job.priority ?? 0,
    runAt: job.runAt,
    maxAttempts: job.maxAttempts,
    backoff: null,
    dedupeKey: job.dedupeKey ?? null,
    label: job.label ?? null,
    module: null,
    createdBy: job.createdBy ?? null,
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

/** What a handler is given. */
export interface RunningJob {
  readonly id: string;
  readonly kind: string;
  readonly payload: unknown;
  readonly attempt: number;
  readonly label: string | null;
  readonly createdBy: string | null;
  readonly correlationId: string;
  /** The row as it was claimed, for a handler that completes the job in the transaction of its effect. */
  readonly claimed: ClaimedJob;
}

/**
 * Does the work of one kind of job; runs at least once. Resolves to a result to keep, or to {@link COMPLETED} when it has completed the
 * job itself, in the transaction of its effect.
 */
export type JobHandler = (job: RunningJob, signal: AbortSignal) => Promise<unknown>;

export const COMPLETED = Symbol("completed");
