import type { Selectable } from "kysely";
import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import type { ModuleQueue } from "../../core/limits/queues.ts";
import type { Json } from "../../core/text/json-text.ts";
import { epochOf, toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import type { Uses } from "../../module/feature.ts";
import type { JobHandler, JobView, Scheduler } from "../../module/module-api.ts";
import { isWaiting } from "../../store/commit/job-table.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { JobsTable } from "../../store/schema.ts";
import { PermanentError, RetryLater, type RunningJob } from "../time/jobs/index.ts";

export type ModuleJobParts = Uses<"db" | "clock" | "runner" | "jobs" | "jobControl" | "schedules">;

/** The module, or built-in feature, that owns jobs. */
export interface JobOwner {
  readonly name: string;
  /** @throws when the owner has ended. */
  requireAlive(): void;
  /** `undo` is called when the owner ends. */
  added(undo: () => unknown): () => void;
  within<T>(work: () => Promise<T> | T): Promise<T>;
  call<T>(code: () => T): T;
}

const KIND = /^[\w.:-]{1,80}$/;

export function queueOf(module: string): ModuleQueue {
  return `module:${module}`;
}

/**
 * A module's jobs and schedules: in its own queue, with kinds and names prefixed by its own, so
 * that modules cannot collide.
 * @param onCron called with each created schedule.
 */
export function moduleScheduler(owner: JobOwner, parts: ModuleJobParts, onCron: (name: string) => void): Scheduler {
  const { name: module } = owner;
  const { db, clock, runner, jobs, jobControl, schedules } = parts;
  const queue = queueOf(module);
  return {
    async add(into, kind, payload, options = {}) {
      requireOwn(into, module);
      const { trx, delayMs = 0, priority = 0, maxAttempts, dedupeKey = null } = options;
      const runAt = epochOf(options.runAt ?? clock.now() + delayMs);
      const job = { queue, kind: fullKind(module, kind), payload: payload ?? null, runAt, module, priority, dedupeKey };
      const { jobId } = await jobs.enqueue(maxAttempts === undefined ? job : { ...job, maxAttempts }, { trx });
      return { jobId };
    },
    async cron(name, cron, kind, payload, { trx, timezone, missed } = {}) {
      const job = { queue, kind: fullKind(module, kind), payload: payload ?? null, module };
      const schedule = { ...job, name: `${module}:${name}`, cron, timezone, missed };
      const { id } = await schedules.put(schedule, { trx });
      onCron(schedule.name);
      return { scheduleId: id };
    },
    /** @throws TypeError when the kind already has a handler. */
    handle(kind, handler) {
      owner.requireAlive();
      const full = fullKind(module, kind);
      const work = (job: RunningJob, signal: AbortSignal) =>
        owner.within(() => runJob(owner, db, job, signal, handler));
      owner.added(runner.handle(full, work));
      // Operators may schedule it too.
      owner.added(schedules.offer(queue, full));
    },
    cancel: (id, { trx } = {}) =>
      db.writeIn({ trx }, async (inner) => {
        const job = isUuid(id) ? await findJob(inner, queue, id) : undefined;
        if (!job) {
          const schedule = await findSchedule(inner, module, id);
          if (schedule) await schedules.delete(schedule.id, { trx: inner });
          return schedule !== undefined;
        }
        if (!isWaiting(job.state)) return false;
        await jobControl.cancel(id, { trx: inner });
        return true;
      }),
    async get(jobId) {
      const job = isUuid(jobId) ? await findJob(db.read, queue, jobId) : undefined;
      return job ? jobView(job, module) : null;
    },
  };
}

async function runJob(
  owner: JobOwner,
  { read }: Database,
  job: RunningJob,
  signal: AbortSignal,
  handler: JobHandler,
): Promise<unknown> {
  const row = await findJob(read, queueOf(owner.name), job.id);
  if (!row) throw new PermanentError("the job is gone");
  const progress = (value: Json): void => job.progress(value);
  const view = { ...jobView(row, owner.name), state: "running" as const, attempts: job.attempt, progress };
  try {
    return await owner.call(() => handler(view, signal));
  } catch (error) {
    throw jobFailure(error);
  }
}

function findJob(db: Pick<Database["read"], "selectFrom">, queue: ModuleQueue, jobId: string) {
  return db.selectFrom("jobs").selectAll().where("id", "=", jobId).where("queue", "=", queue).executeTakeFirst();
}

/** @param id or the given name. */
function findSchedule(trx: Trx, module: string, id: string) {
  return trx
    .selectFrom("schedules")
    .select("id")
    .where(isUuid(id) ? "id" : "name", "=", isUuid(id) ? id : `${module}:${id}`)
    .where("queue", "=", queueOf(module))
    .where("module", "=", module)
    .executeTakeFirst();
}

function jobView(job: Selectable<JobsTable>, module: string): JobView {
  return {
    id: job.id,
    queue: job.queue,
    kind: job.kind.slice(module.length + 1),
    payload: JSON.parse(job.payload) as Json,
    state: job.state,
    attempts: job.attempts,
    maxAttempts: job.maxAttempts,
    runAt: toRfc3339(job.runAt),
    correlationId: job.correlationId ?? job.id,
    createdAt: toRfc3339(job.createdAt),
    finishedAt: toRfc3339OrNull(job.finishedAt),
    lastError: job.lastError,
    result: job.result === null ? null : (JSON.parse(job.result) as Json),
  };
}

/** @throws TypeError */
function fullKind(module: string, kind: string): string {
  if (typeof kind !== "string" || !KIND.test(kind))
    throw new TypeError("the kind of a job must be 1 to 80 letters, digits or any of _ . : -");
  return `${module}:${kind}`;
}

/** @throws QUEUE_NOT_FOUND */
function requireOwn(queue: string, module: string): void {
  if (queue === "default" || queue === module || queue === queueOf(module)) return;
  throw new PrismError("QUEUE_NOT_FOUND", `The jobs of the module ${module} run in its own queue, ${queueOf(module)}`);
}

/** Reads the retry instructions of a module's error, which cannot use Prism's classes. */
export function jobFailure(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof PermanentError || error instanceof RetryLater) return error;
  const { permanent, retryAfterMs } = error as { permanent?: unknown; retryAfterMs?: unknown };
  if (permanent === true) return new PermanentError(error.message, { cause: error });
  if (typeof retryAfterMs === "number" && Number.isFinite(retryAfterMs) && retryAfterMs >= 0)
    return new RetryLater(error.message, retryAfterMs, { cause: error });
  return error;
}
