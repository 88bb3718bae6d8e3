import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import type { QueueName, QueueSettings } from "../../../core/queues.ts";
import type { ClaimedJob, JobFinish } from "../../../store/commit/write-set.ts";
import { DEAD_LETTER_QUEUES, NEXT_QUEUE, PermanentError, RetryLater } from "./job.ts";

/** The space is measured every second; a job that asks is two small writes. */
const NO_SPACE_WAIT_MS = 10_000;
const MAX_ERROR_LENGTH = 4000;
/** Of what a handler leaves for people to read: its result, and how far it has come. */
const MAX_NOTE_BYTES = 16_384;

/** How an attempt ended, without whose attempt it was. */
export type JobEnd = JobFinish extends infer F ? (F extends JobFinish ? Omit<F, keyof AttemptRef> : never) : never;
export type FailedEnd = Extract<JobEnd, { outcome: "retrying" | "dead" }>;
type AttemptRef = Pick<JobFinish, "id" | "fence" | "attempt" | "workerId" | "startedAt" | "now">;

/**
 * What becomes of a job whose attempt failed (docs/jobs.md): it waits and is tried again, goes on
 * in the next queue, or is dead.
 */
export function endOfFailure(
  job: Pick<ClaimedJob, "queue" | "attempts" | "maxAttempts">,
  thrown: unknown,
  settingsOf: (queue: QueueName) => QueueSettings,
  now: number,
): FailedEnd {
  const error = (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, MAX_ERROR_LENGTH);
  const isPermanent = thrown instanceof PermanentError;
  const hasAttempts = job.attempts < job.maxAttempts;
  const queue = isPermanent || hasAttempts ? job.queue : (NEXT_QUEUE.get(job.queue) ?? job.queue);
  if (isPermanent || DEAD_LETTER_QUEUES.has(queue) || (!hasAttempts && queue === job.queue))
    return { outcome: "dead", error, queue: deadLetterOf(job.queue) };
  const settings = settingsOf(queue as QueueName);
  const retryAfterMs = thrown instanceof RetryLater ? thrown.retryAfterMs : 0;
  return {
    outcome: "retrying",
    error,
    queue,
    maxAttempts: hasAttempts ? job.maxAttempts : job.attempts + settings.maxAttempts,
    runAt: now + Math.max(jitteredDelayMs(job.attempts, settings), retryAfterMs),
  };
}

/**
 * A job that finds too little disk space waits, and its attempt does not count. @returns null for
 * any other failure
 */
export function endWithoutSpace(thrown: unknown, now: number): { outcome: "returned"; runAt: number } | null {
  const isFull = thrown instanceof PrismError && thrown.code === "STORAGE_FULL";
  return isFull ? { outcome: "returned", runAt: now + NO_SPACE_WAIT_MS } : null;
}

/** Where the dead jobs of a queue lie. */
function deadLetterOf(queue: string): string {
  const next = NEXT_QUEUE.get(queue);
  return next === undefined ? queue : deadLetterOf(next);
}

/**
 * What is kept of a handler's result or progress: a note for people, so one that is too long is
 * left out rather than failed.
 */
export function noteText(value: unknown, { id, kind }: Pick<ClaimedJob, "id" | "kind">, log: Logger): string | null {
  const text = value === undefined ? null : (JSON.stringify(value) ?? null);
  if (text === null || Buffer.byteLength(text) <= MAX_NOTE_BYTES) return text;
  log.warn({ jobId: id, kind }, `what the job says of itself is longer than ${MAX_NOTE_BYTES} bytes and is not kept`);
  return null;
}

/**
 * The end of an attempt, with the fence that makes it count only while the job is still this
 * worker's.
 */
export function finishOf<E extends JobEnd>(
  job: Pick<ClaimedJob, "id" | "fence" | "attempts" | "startedAt">,
  workerId: string,
  now: number,
  end: E,
) {
  return { id: job.id, fence: job.fence, attempt: job.attempts, startedAt: job.startedAt, workerId, now, ...end };
}

/** Delay before attempt n+1: doubling from the base to the cap. */
export const RETRY_BASE_MS = 1000;
export const RETRY_CAP_MS = 900_000;

/** The longest the delay after this failed attempt can be. @param attempt counts from 1. */
export function retryDelayMs(attempt: number, baseMs = RETRY_BASE_MS, capMs = RETRY_CAP_MS): number {
  return Math.min(baseMs * 2 ** Math.min(attempt - 1, 40), capMs);
}

/**
 * Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): many jobs that failed
 * together do not come back together.
 */
export function jitteredDelayMs(
  attempt: number,
  { backoffBaseMs, backoffCapMs }: Pick<QueueSettings, "backoffBaseMs" | "backoffCapMs">,
  random: () => number = Math.random,
): number {
  return Math.round(retryDelayMs(attempt, backoffBaseMs, backoffCapMs) * random());
}
