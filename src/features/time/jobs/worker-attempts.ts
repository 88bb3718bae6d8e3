import { runAs } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import type { QueueName } from "../../../core/limits/queues.ts";
import type { Uses } from "../../../module/feature.ts";
import { endAttempt, findJob } from "../../../store/commit/job-table.ts";
import type { ClaimedJob, JobClaim } from "../../../store/commit/write-set.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { jobsAdded } from "../../../store/effect.ts";
import { LostLease } from "./job-service.ts";
import { type AttemptFacts, PermanentError, RetryLater } from "./runner/job.ts";
import { finishOf } from "./runner/job-execution.ts";

/** An attempt that a remote worker refers to. */
export interface HeldAttempt {
  readonly jobId: string;
  readonly fence: number;
  /** The worker's service token. */
  readonly tokenId: string;
}

/** Cause of a failed attempt that affects more than this attempt. */
export type Fault = "target" | "provider";

export interface FailedAttempt extends HeldAttempt {
  readonly error: string;
  readonly isPermanent: boolean;
  readonly retryAfterMs: number;
  readonly fault?: Fault | undefined;
  /** Epoch ms at which the other side knew that the target is gone. */
  readonly since?: number | undefined;
}

export type HeldJob = ClaimedJob & { readonly workerId: string };

/**
 * The running job of an attempt. @throws JOB_NOT_FOUND, INVALID_STATE when the attempt is over or
 * was never a worker's, FORBIDDEN when the worker is another token's
 */
export async function requireHeld(trx: Trx, { jobId, fence, tokenId }: HeldAttempt): Promise<HeldJob> {
  const row = isUuid(jobId) ? await findJob(trx, jobId) : undefined;
  if (!row) throw new PrismError("JOB_NOT_FOUND", "No such job");
  const { state, workerId, startedAt } = row;
  const worker =
    workerId === null
      ? undefined
      : await trx.selectFrom("workers").select("tokenId").where("id", "=", workerId).executeTakeFirst();
  if (state !== "running" || row.fence !== fence || workerId === null || startedAt === null || !worker)
    throw new PrismError("INVALID_STATE", "The worker no longer holds this job; abandon it");
  if (worker.tokenId !== tokenId) throw notYours();
  return { ...row, workerId, startedAt };
}

export function notYours(): PrismError {
  return new PrismError("FORBIDDEN", "The worker was registered with another token");
}

/**
 * The server's part of jobs that remote workers run: preparation and the handling of results. The
 * worker receives only what the work needs. Without such a handler, as for a module's queue, it
 * receives the stored payload.
 */
export interface RemoteHandler {
  claim(trx: Trx, claim: JobClaim): Promise<ClaimedJob[]>;
  /** @returns the payload for the worker; undefined when the job has ended or waits again */
  begin(job: HeldJob): Promise<object | undefined>;
  /** Completes the job in the transaction of its result. @throws LostLease */
  complete(job: HeldJob, result: unknown): Promise<AttemptFacts["outcome"]>;
  /** Fails the attempt in the transaction of its failure. @throws LostLease */
  fail(job: HeldJob, failure: FailedAttempt): Promise<AttemptFacts["outcome"]>;
  /** The workers of these jobs have released them or are lost. */
  returned(trx: Trx, jobIds: readonly string[]): Promise<void>;
}

type Outcome = AttemptFacts["outcome"];

export interface AttemptsContext extends Uses<"db" | "jobs" | "clock" | "log"> {
  /** By queue. */
  readonly handlers: ReadonlyMap<string, RemoteHandler>;
  onAttempt(attempt: AttemptFacts): void;
}

/** Delay before another try to dispatch a job. */
const TRY_AGAIN_MS = 1000;

/** Limit for the payloads of one claim; further jobs are left to the next. */
const MAX_CLAIMED_BYTES = 1_048_576;

/** Number of jobs that fit into one answer, at least one. */
export function howManyFit(jobs: readonly ClaimedJob[]): number {
  let bytes = 0;
  const first = jobs.findIndex(({ payload }, at) => {
    bytes += Buffer.byteLength(payload);
    return at > 0 && bytes > MAX_CLAIMED_BYTES;
  });
  return first === -1 ? jobs.length : first;
}

/** Runs the server's part of claimed jobs. @returns the jobs to dispatch, with their payload */
export async function beginAll<J extends ClaimedJob>(
  { db, jobs, handlers, clock, log }: AttemptsContext,
  workerId: string,
  claimed: readonly J[],
): Promise<J[]> {
  const begun = await Promise.all(
    claimed.map(async (job): Promise<J[]> => {
      const handler = handlers.get(job.queue);
      if (!handler) return [job];
      try {
        const handed = await asJob(job, () => handler.begin({ ...job, workerId }));
        return handed === undefined ? [] : [{ ...job, payload: JSON.stringify(handed) }];
      } catch (error) {
        log.warn({ jobId: job.id, kind: job.kind, err: error }, "dispatching a job failed; retrying");
        const runAt = clock.now() + TRY_AGAIN_MS;
        await db.write((trx) => jobs.postpone({ id: job.id, claimed: job }, trx, runAt)).catch(() => undefined);
        return [];
      }
    }),
  );
  return begun.flat();
}

/**
 * @returns the job's queue. @throws JOB_NOT_FOUND, INVALID_STATE when the attempt is over,
 * FORBIDDEN when it is another token's
 */
export function completeHeld(context: AttemptsContext, attempt: HeldAttempt, result: unknown): Promise<string> {
  const { db, jobs } = context;
  return end(context, attempt, async (job, handler) => {
    if (handler) return handler.complete(job, result);
    await db.write((trx) => jobs.complete({ id: job.id, claimed: job }, trx, result));
    return "succeeded";
  });
}

/** @returns the job's queue. @throws as {@link completeHeld} */
export function failHeld(context: AttemptsContext, attempt: FailedAttempt): Promise<string> {
  const { db, jobs } = context;
  return end(context, attempt, async (job, handler) => {
    if (handler) return handler.fail(job, attempt);
    const failed = { ...job, claimed: job };
    const { outcome } = await db.write((trx) => jobs.fail(failed, trx, errorOf(attempt), job.workerId));
    return outcome;
  });
}

/** The final transaction checks the fence again. */
async function end(
  { db, handlers, clock, onAttempt }: AttemptsContext,
  attempt: HeldAttempt,
  work: (job: HeldJob, handler: RemoteHandler | undefined) => Promise<Outcome>,
): Promise<string> {
  const job = await db.write((trx) => requireHeld(trx, attempt));
  const handler = handlers.get(job.queue);
  try {
    const outcome = await (handler ? asJob(job, () => work(job, handler)) : work(job, undefined));
    const durationMs = Math.max(0, clock.now() - job.startedAt);
    const latenessMs = Math.max(0, job.startedAt - job.runAt);
    onAttempt({ queue: job.queue as QueueName, outcome, durationMs, latenessMs });
  } catch (error) {
    if (!(error instanceof LostLease)) throw error;
    throw new PrismError("INVALID_STATE", "The worker no longer holds this job; abandon it", { cause: error });
  }
  return job.queue;
}

/** Audit rows of the server's part name the job, not a request. */
function asJob<T>({ id, correlationId }: ClaimedJob, work: () => Promise<T>): Promise<T> {
  const caller = { principal: null, ip: null, requestId: null, correlationId: correlationId ?? id };
  return runAs({ ...caller, process: "job" }, work);
}

function errorOf({ error, isPermanent, retryAfterMs, fault }: FailedAttempt): Error {
  if (isPermanent || fault === "target") return new PermanentError(error);
  return retryAfterMs > 0 ? new RetryLater(error, retryAfterMs) : new Error(error);
}

/** Releases claimed jobs without counting the attempt, except those whose attempt is over. */
export async function releaseJobs(context: AttemptsContext, trx: Trx, jobs: readonly ClaimedJob[]): Promise<void> {
  const returned: ClaimedJob[] = [];
  for (const job of jobs) {
    const finish = finishOf(job, "", context.clock.now(), { outcome: "returned" });
    if (await endAttempt(trx, finish)) returned.push(job);
  }
  if (returned.length === 0) return;
  await reportReturned(context, trx, returned);
  addEffect(trx, jobsAdded(returned.map(({ queue, runAt }) => ({ queue, runAt, state: "ready" }))));
}

export async function reportReturned(
  { handlers }: AttemptsContext,
  trx: Trx,
  jobs: readonly Pick<ClaimedJob, "id" | "queue">[],
): Promise<void> {
  for (const [queue, handler] of handlers) {
    const ids = jobs.filter((job) => job.queue === queue).map(({ id }) => id);
    if (ids.length > 0) await handler.returned(trx, ids);
  }
}
