import type { EpochMs } from "../../core/clock.ts";
import type { NewJob, QueueName } from "../jobs/index.ts";
import { MAX_WAIT_MS } from "./delivery-limits.ts";

export const ATTEMPT_JOB = "delivery.attempt";
export const MERGE_JOB = "delivery.merge";

type Job = Omit<NewJob, "maxAttempts">;

export interface AttemptPayload {
  readonly deliveryId: string;
}

export interface MergePayload {
  readonly userId: string;
}

/** The job of one delivery, in the queue of its channel. Its id is the delivery's: whoever moves the job finds the delivery. */
export function attemptJob(
  { id }: { readonly id: string },
  { priority, correlationId }: { readonly priority: number; readonly correlationId: string },
  runAt: EpochMs,
  queue: QueueName,
): Job {
  return {
    id,
    queue,
    kind: ATTEMPT_JOB,
    payload: { deliveryId: id } satisfies AttemptPayload,
    runAt,
    priority,
    dedupeKey: `delivery:${id}`,
    correlationId,
  };
}

/** The job that makes one message of what came to a user too fast: when the tokens of today's waiting are there again. */
export function mergeJob(userId: string, now: EpochMs): Job {
  return {
    queue: "notification-delivery",
    kind: MERGE_JOB,
    payload: { userId } satisfies MergePayload,
    runAt: now + MAX_WAIT_MS,
    dedupeKey: `merge:${userId}`,
  };
}
