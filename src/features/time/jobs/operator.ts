import type { Database as Sqlite } from "better-sqlite3";
import { sql } from "kysely";
import { actorOf, currentCaller } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { parseQueueName, type QueueName } from "../../../core/limits/queues.ts";
import {
  cancelWaiting,
  deleteJobs,
  findJob,
  holdersOf,
  makeReady,
  restartJobs,
  type StoredJob,
} from "../../../store/commit/job-table.ts";
import { addEffect, type InTransaction, type Trx } from "../../../store/database.ts";
import { jobsAdded } from "../../../store/effect.ts";
import type { JobState } from "../../../store/schema.ts";
import type { AuditTrail } from "../../records/audit/index.ts";
import { requireRoom } from "./job-service.ts";
import type { MovedHook, MovedJobsContext } from "./moved-jobs.ts";
import { DEAD_LETTER_QUEUES, firstQueue } from "./runner/job.ts";

/** Jobs per transaction, so that others wait for the writer no longer than for one slice. */
export const SLICE = 250;

/** Prefix of the `settings` that record paused queues. */
const PAUSED = "queue.paused:";
/** Key range of the prefix: `;` follows `:`. */
export const PAUSED_KEYS = { from: PAUSED, to: "queue.paused;" } as const;

export function pausedKey(queue: QueueName): string {
  return `${PAUSED}${queue}`;
}

/** The queue of such a key; undefined for an invalid name. */
export function queueOfKey(key: string): QueueName | undefined {
  return parseQueueName(key.slice(PAUSED.length));
}

/** The queues that are paused. */
export function pausedQueues(reader: Sqlite): QueueName[] {
  const statement = reader.prepare<[string, string]>("select key from settings where key >= ? and key < ?").pluck();
  const keys = statement.all(PAUSED_KEYS.from, PAUSED_KEYS.to) as string[];
  return keys.map(queueOfKey).filter((name) => name !== undefined);
}

/** Dependencies of operator actions on jobs and queues. */
export interface OperatorContext extends MovedJobsContext {
  readonly audit: AuditTrail;
}

/** Operator actions on one job. Each is one transaction with its audit row. */
export function jobControl(context: OperatorContext) {
  return {
    /**
     * `hook` runs in the transaction in which an operator cancels or retries a job of the kind,
     * alone or with its queue, or in which a starting server finds its last attempt lost.
     * @returns a function that removes the hook.
     */
    whenEnded: (kind: string, hook: MovedHook) => context.hooks.add(kind, hook),
    cancel: cancelJob.bind(null, context),
    retry: retryJob.bind(null, context),
    promote: promoteJob.bind(null, context),
    delete: deleteJob.bind(null, context),
  };
}

export type JobControl = ReturnType<typeof jobControl>;

/** Operator actions on a queue. Long work is sliced into transactions, each with its audit row. */
export function queueControl(context: OperatorContext) {
  return {
    pause: setPaused.bind(null, context, true),
    resume: setPaused.bind(null, context, false),
    requeueDead: requeueDead.bind(null, context),
    drain: drainQueue.bind(null, context),
  };
}

export type QueueControl = ReturnType<typeof queueControl>;

/** Cancels a waiting job. @throws JOB_NOT_FOUND, JOB_NOT_CANCELLABLE, INVALID_STATE */
async function cancelJob(context: OperatorContext, jobId: string, options: InTransaction = {}): Promise<void> {
  await changeJob(context, "job.cancel", jobId, options, async (trx, job) => {
    if (job.state === "running")
      throw new PrismError("JOB_NOT_CANCELLABLE", "The job is running; only waiting jobs can be cancelled");
    requireState(job, ["scheduled", "ready", "retrying"], "cancelled");
    await cancelWaiting(trx, job.queue, [job.seq], context.clock.now());
    await context.hooks.notify(trx, job.kind, { jobId, state: "cancelled", error: null });
    addEffect(trx, { type: "jobs-removed", queue: job.queue, count: 1 });
  });
}

/**
 * Retries a dead or cancelled job with all attempts of its queue; keeps its history. A job of a
 * messages queue restarts in `messages`.
 * @throws JOB_NOT_FOUND, INVALID_STATE, OVERLOADED
 */
async function retryJob(context: OperatorContext, jobId: string, options: InTransaction = {}): Promise<void> {
  const { runner, clock, hooks, settingsOf } = context;
  await changeJob(context, "job.retry", jobId, options, async (trx, job) => {
    requireState(job, ["dead", "cancelled"], "retried");
    const queue = firstQueue(job.queue as QueueName);
    requireRoom(runner, queue);
    if (job.dedupeKey !== null) await requireFreeKey(trx, queue, job.dedupeKey);
    const runAt = clock.now();
    await restartJobs(trx, [job.seq], { queue, runAt, maxAttempts: settingsOf(queue).maxAttempts });
    await hooks.notify(trx, job.kind, { jobId, state: "ready", error: null });
    addEffect(trx, jobsAdded([{ queue, state: "ready", runAt }]));
  });
}

/** Runs a scheduled job now. @throws JOB_NOT_FOUND, INVALID_STATE */
async function promoteJob(context: OperatorContext, jobId: string, options: InTransaction = {}): Promise<void> {
  await changeJob(context, "job.promote", jobId, options, async (trx, job) => {
    requireState(job, ["scheduled", "retrying"], "promoted");
    const runAt = context.clock.now();
    await makeReady(trx, [jobId], ["scheduled", "retrying"], runAt);
    // It was counted as waiting and is counted again.
    addEffect(trx, { type: "jobs-removed", queue: job.queue, count: 1 });
    addEffect(trx, jobsAdded([{ queue: job.queue, state: "ready", runAt }]));
  });
}

/** Deletes a finished job with its history. @throws JOB_NOT_FOUND, INVALID_STATE */
async function deleteJob(context: OperatorContext, jobId: string, options: InTransaction = {}): Promise<void> {
  await changeJob(context, "job.delete", jobId, options, async (trx, job) => {
    requireState(job, ["succeeded", "dead", "cancelled"], "deleted");
    await deleteJobs(trx, [jobId]);
  });
}

async function changeJob(
  { db, audit }: OperatorContext,
  action: string,
  jobId: string,
  options: InTransaction,
  change: (trx: Trx, job: StoredJob) => Promise<void>,
): Promise<void> {
  await db.writeIn(options, async (trx) => {
    const job = isUuid(jobId) ? await findJob(trx, jobId) : undefined;
    if (!job) throw new PrismError("JOB_NOT_FOUND", "No such job");
    await change(trx, job);
    const { queue, kind, state } = job;
    const metadata = { queue, kind, from: state };
    await audit.record({ action, resourceType: "job", resourceId: jobId, metadata }, { trx });
  });
}

function requireState({ state }: StoredJob, states: readonly JobState[], verb: string): void {
  if (!states.includes(state))
    throw new PrismError("INVALID_STATE", `The job is ${state}; only ${states.join(", ")} jobs can be ${verb}`);
}

/** Another job may have taken the key in the meantime. @throws INVALID_STATE */
async function requireFreeKey(trx: Trx, queue: QueueName, dedupeKey: string): Promise<void> {
  const [holder] = await holdersOf(trx, queue, [dedupeKey]);
  if (!holder) return;
  throw new PrismError(
    "INVALID_STATE",
    `Job ${holder.id} has the same dedupe key and is unfinished; wait for it or cancel it`,
  );
}

/**
 * Pauses or resumes a queue, across restarts. While it is paused no job starts; running jobs
 * continue, and new jobs are accepted.
 */
async function setPaused({ db, clock, audit }: OperatorContext, isPaused: boolean, queue: QueueName): Promise<void> {
  const [key, updatedAt] = [pausedKey(queue), clock.now()];
  const { userId: updatedBy } = actorOf(currentCaller());
  await db.write(async (trx) => {
    const rows = isPaused
      ? await trx
          .insertInto("settings")
          .values({ key, value: 1, updatedBy, updatedAt })
          .onConflict((conflict) => conflict.doNothing())
          .returning("key")
          .execute()
      : await trx.deleteFrom("settings").where("key", "=", key).returning("key").execute();
    if (rows.length > 0) await recordQueue(audit, trx, isPaused ? "job.pause" : "job.resume", queue);
    addEffect(trx, { type: "queue-changed", queue, isPaused });
  });
}

/**
 * Retries the queue's dead jobs. A job whose dedupe key is held by an unfinished one stays dead.
 * @returns the number of requeued jobs. @throws OVERLOADED when too many wait; jobs requeued so far
 * stay so.
 */
async function requeueDead(context: OperatorContext, queue: QueueName): Promise<number> {
  let requeued = 0;
  for (let after = 0; ; ) {
    requireRoom(context.runner, firstQueue(queue));
    const slice = await context.db.write((trx) => requeueSlice(context, trx, queue, after));
    requeued += slice.requeued;
    if (slice.last === null) return requeued;
    after = slice.last;
  }
}

/** A job that dies again has a number up to `after` and is not retried twice. */
async function requeueSlice(
  { clock, hooks, settingsOf, audit }: OperatorContext,
  trx: Trx,
  queue: QueueName,
  after: number,
): Promise<{ requeued: number; last: number | null }> {
  const dead = await trx
    .selectFrom("jobs")
    .select(["seq", "id", "kind", "dedupeKey"])
    .where("queue", "=", queue)
    // A literal: SQLite could not use the partial index with a bound value.
    .where("state", "=", sql.lit("dead"))
    .where("seq", ">", after)
    .orderBy("seq")
    .limit(SLICE)
    .execute();
  const requeued = await restartFree({ clock, hooks, settingsOf }, trx, queue, dead);
  if (requeued.length > 0) await recordQueue(audit, trx, "job.requeue_dead", queue, { requeued: requeued.length });
  return { requeued: requeued.length, last: dead.at(-1)?.seq ?? null };
}

/** A finished job, as an action on many needs it. */
export type FoundJob = Pick<StoredJob, "seq" | "id" | "kind" | "dedupeKey">;

/**
 * Restarts finished jobs of a queue; one with a dedupe key that an unfinished job holds stays as it
 * is. @returns the restarted jobs
 */
export async function restartFree(
  { clock, hooks, settingsOf }: Pick<OperatorContext, "clock" | "hooks" | "settingsOf">,
  trx: Trx,
  queue: QueueName,
  jobs: readonly FoundJob[],
): Promise<readonly FoundJob[]> {
  const target = firstQueue(queue);
  const keys = jobs.flatMap(({ dedupeKey }) => dedupeKey ?? []);
  const holders = keys.length === 0 ? [] : await holdersOf(trx, target, keys);
  const held = new Set(holders.map(({ dedupeKey }) => dedupeKey));
  const free = jobs.filter(({ dedupeKey }) => {
    if (dedupeKey === null) return true;
    const isFree = !held.has(dedupeKey);
    held.add(dedupeKey);
    return isFree;
  });
  if (free.length === 0) return free;
  const runAt = clock.now();
  await restartJobs(trx, seqsOf(free), { queue: target, runAt, maxAttempts: settingsOf(target).maxAttempts });
  for (const { id, kind } of free) await hooks.notify(trx, kind, { jobId: id, state: "ready", error: null });
  addEffect(trx, jobsAdded(free.map(() => ({ queue: target, state: "ready", runAt }))));
  return free;
}

/**
 * Cancels all waiting jobs of the queue: scheduled, ready and retrying. Running jobs continue.
 * @returns the number of cancelled jobs.
 */
async function drainQueue(context: OperatorContext, queue: QueueName): Promise<number> {
  if (DEAD_LETTER_QUEUES.has(queue)) return 0;
  return (await drainWaiting(context, queue)) + (await drainReady(context, queue));
}

/** Waiting jobs are sorted by time across all queues, so the scan thread selects them. */
async function drainWaiting(context: OperatorContext, queue: QueueName): Promise<number> {
  let cancelled = 0;
  for (let after = { runAt: Number.MIN_SAFE_INTEGER, seq: 0 }; ; ) {
    const page = await context.db.scan
      .selectFrom("jobs")
      .select(["seq", "runAt"])
      .where(sql<boolean>`state in ('scheduled', 'retrying')`)
      .where("queue", "=", queue)
      .where(sql<boolean>`(runAt, seq) > (${after.runAt}, ${after.seq})`)
      .orderBy("runAt")
      .orderBy("seq")
      .limit(SLICE)
      .execute();
    const last = page.at(-1);
    if (!last) return cancelled;
    after = last;
    cancelled += await cancelSlice(context, queue, page);
  }
}

async function drainReady(context: OperatorContext, queue: QueueName): Promise<number> {
  const { read } = context.db;
  // Excludes jobs created from now on.
  const newest = await read
    .selectFrom("jobs")
    .select((e) => e.fn.max("seq").as("seq"))
    .executeTakeFirst();
  const upTo = newest?.seq ?? 0;
  for (let cancelled = 0; ; ) {
    const page = await read
      .selectFrom("jobs")
      .select("seq")
      .where("queue", "=", queue)
      .where("state", "=", sql.lit("ready"))
      .where("seq", "<=", upTo)
      .limit(SLICE)
      .execute();
    if (page.length === 0) return cancelled;
    cancelled += await cancelSlice(context, queue, page);
  }
}

/** Some may have started, ended or been cancelled since the scan. */
async function cancelSlice(
  { db, clock, hooks, audit }: OperatorContext,
  queue: QueueName,
  found: readonly { readonly seq: number }[],
): Promise<number> {
  return db.write(async (trx) => {
    const jobs = await cancelWaiting(trx, queue, seqsOf(found), clock.now());
    if (jobs.length === 0) return 0;
    for (const { id, kind } of jobs) await hooks.notify(trx, kind, { jobId: id, state: "cancelled", error: null });
    await recordQueue(audit, trx, "job.drain", queue, { cancelled: jobs.length });
    addEffect(trx, { type: "jobs-removed", queue, count: jobs.length });
    return jobs.length;
  });
}

async function recordQueue(
  audit: AuditTrail,
  trx: Trx,
  action: string,
  queue: QueueName,
  metadata: Readonly<Record<string, number>> = {},
): Promise<void> {
  await audit.record({ action, resourceType: "queue", resourceId: queue, metadata }, { trx });
}

function seqsOf(jobs: readonly { readonly seq: number }[]): number[] {
  return jobs.map(({ seq }) => seq);
}
