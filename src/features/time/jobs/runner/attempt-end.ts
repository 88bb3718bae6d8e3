import { PrismError } from "../../../../core/errors.ts";
import type { QueueName, QueueSettings } from "../../../../core/limits/queues.ts";
import type { Logger } from "../../../../core/log.ts";
import type { EpochMs } from "../../../../core/time/clock.ts";
import type { ClaimedJob, JobFinish } from "../../../../store/commit/write-set.ts";
import { DEAD_LETTER_QUEUES, NEXT_QUEUE, PermanentError, RetryLater } from "./job.ts";

/** Free space is measured every second; a job that waits for it costs two small writes. */
const NO_SPACE_WAIT_MS = 10_000;
const MAX_ERROR_LENGTH = 4000;
/** Limit of a job's result or progress, which is kept for people to read. */
const MAX_NOTE_BYTES = 16_384;

/** The end of an attempt, without its owner. */
export type JobEnd = JobFinish extends infer F ? (F extends JobFinish ? Omit<F, keyof AttemptRef> : never) : never;
export type FailedEnd = Extract<JobEnd, { outcome: "retrying" | "dead" }>;
type AttemptRef = Pick<JobFinish, "id" | "fence" | "attempt" | "workerId" | "startedAt" | "now">;

/**
 * The next state of a job whose attempt failed (docs/jobs.md): it waits for a retry, moves to the
 * next queue, or is dead.
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

/** A job that lacks disk space waits, uncounted. @returns null for any other failure */
export function endWithoutSpace(thrown: unknown, now: number): { outcome: "returned"; runAt: number } | null {
  const isFull = thrown instanceof PrismError && thrown.code === "STORAGE_FULL";
  return isFull ? { outcome: "returned", runAt: now + NO_SPACE_WAIT_MS } : null;
}

function deadLetterOf(queue: string): string {
  const next = NEXT_QUEUE.get(queue);
  return next === undefined ? queue : deadLetterOf(next);
}

/** Serialises a handler's result or progress. One that is too long is omitted, not an error. */
export function noteText(value: unknown, { id, kind }: Pick<ClaimedJob, "id" | "kind">, log: Logger): string | null {
  const text = value === undefined ? null : (JSON.stringify(value) ?? null);
  if (text === null || Buffer.byteLength(text) <= MAX_NOTE_BYTES) return text;
  log.warn({ jobId: id, kind }, `the job's result or progress exceeds ${MAX_NOTE_BYTES} bytes and is not stored`);
  return null;
}

/** The end of an attempt, with the fence that ignores it once another worker holds the job. */
export function finishOf<E extends JobEnd>(
  job: Pick<ClaimedJob, "id" | "fence" | "attempts" | "startedAt">,
  workerId: string,
  now: number,
  end: E,
) {
  return { id: job.id, fence: job.fence, attempt: job.attempts, startedAt: job.startedAt, workerId, now, ...end };
}

/** Attempts that succeeded and leave no result, by time and fence: few of many are different. */
export class SucceededAttempts {
  readonly groups: { readonly now: EpochMs; readonly fence: number; readonly seqs: number[] }[] = [];

  add(end: Pick<JobFinish, "now" | "fence">, ...seqs: readonly number[]): void {
    const { now, fence } = end;
    const group = this.groups.findLast((each) => each.now === now && each.fence === fence);
    if (group) group.seqs.push(...seqs);
    else this.groups.push({ now, fence, seqs: [...seqs] });
  }

  addAll({ groups }: SucceededAttempts): void {
    for (const { seqs, ...end } of groups) this.add(end, ...seqs);
  }
}

/** Delay before the next attempt: doubles from the base to the cap. */
export const RETRY_BASE_MS = 1000;
export const RETRY_CAP_MS = 900_000;

/** Longest possible delay after this failed attempt. @param attempt counts from 1. */
export function retryDelayMs(attempt: number, baseMs = RETRY_BASE_MS, capMs = RETRY_CAP_MS): number {
  return Math.min(baseMs * 2 ** Math.min(attempt - 1, 40), capMs);
}

/**
 * Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"), so that jobs that failed
 * together are not retried together.
 */
export function jitteredDelayMs(
  attempt: number,
  { backoffBaseMs, backoffCapMs }: Pick<QueueSettings, "backoffBaseMs" | "backoffCapMs">,
  random: () => number = Math.random,
): number {
  return Math.round(retryDelayMs(attempt, backoffBaseMs, backoffCapMs) * random());
}
