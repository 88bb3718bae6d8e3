import type { Selectable } from "kysely";
import type { Clock } from "../../core/clock.ts";
import { toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import type { Json } from "../../core/json-text.ts";
import type {
  InTransaction,
  JobHandler,
  JobOptions,
  JobView,
  RunningJobView,
  Scheduler,
} from "../../module/module-api.ts";
import { isWaiting } from "../../store/commit/job-table.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { JobsTable } from "../../store/schema.ts";
import type { JobControl, JobRunner, JobService } from "../jobs/index.ts";
import { type ModuleQueue, PermanentError, RetryLater, type RunningJob } from "../jobs/index.ts";
import type { Schedules } from "../schedules/index.ts";
import { epochOf } from "../timers/index.ts";

export interface ModuleJobParts {
  readonly database: Database;
  readonly clock: Clock;
  readonly runner: JobRunner;
  readonly jobs: JobService;
  readonly jobControl: JobControl;
  readonly schedules: Schedules;
}

/** Whose jobs they are. */
export interface JobOwner {
  readonly name: string;
  /** @throws when the owner's life is over. */
  requireLife(): void;
  /** `undo` is called when the owner's life ends. */
  added(undo: () => unknown): () => void;
  within<T>(work: () => Promise<T> | T): Promise<T>;
  call<T>(code: () => T): T;
  /** A handler has been added. */
  handles(): void;
}

const KIND = /^[\w.:-]{1,80}$/;

export function queueOf(module: string): ModuleQueue {
  return `module:${module}`;
}

/** A module's jobs and schedules. They stand in its own queue, their kinds and names behind its own: none of them can be another's. */
export class ModuleScheduler implements Scheduler {
  readonly #owner: JobOwner;
  readonly #parts: ModuleJobParts;
  /** Called with each schedule that is made. */
  readonly #onCron: (name: string) => void;

  constructor(owner: JobOwner, parts: ModuleJobParts, onCron: (name: string) => void) {
    this.#owner = owner;
    this.#parts = parts;
    this.#onCron = onCron;
  }

  async add(
    queue: string,
    kind: string,
    payload: Json,
    { trx, delayMs = 0, runAt, priority, maxAttempts, dedupeKey }: JobOptions & InTransaction = {},
  ): Promise<{ jobId: string }> {
    this.#requireOwn(queue);
    const now = this.#parts.clock.now();
    const job = {
      queue: queueOf(this.#owner.name),
      kind: this.#kind(kind),
      payload: payload ?? null,
      runAt: runAt === undefined ? now + delayMs : epochOf(runAt),
      module: this.#owner.name,
      ...(priority === undefined ? {} : { priority }),
      ...(maxAttempts === undefined ? {} : { maxAttempts }),
      ...(dedupeKey === undefined ? {} : { dedupeKey }),
    };
    const { jobId } = await this.#parts.jobs.enqueue(job, { trx });
    return { jobId };
  }

  async cron(
    name: string,
    pattern: string,
    kind: string,
    payload: Json,
    { trx, timezone, missed }: Parameters<Scheduler["cron"]>[4] = {},
  ): Promise<{ scheduleId: string }> {
    const full = `${this.#owner.name}:${name}`;
    const schedule = await this.#parts.schedules.put(
      {
        name: full,
        cron: pattern,
        timezone,
        queue: queueOf(this.#owner.name),
        kind: this.#kind(kind),
        payload: payload ?? null,
        module: this.#owner.name,
        ...(missed === undefined ? {} : { missed }),
      },
      { trx },
    );
    this.#onCron(full);
    return { scheduleId: schedule.id };
  }

  /** @throws TypeError when the kind has a handler already. */
  handle(kind: string, handler: JobHandler): void {
    this.#owner.requireLife();
    const undo = this.#parts.runner.handle(this.#kind(kind), (job, signal) =>
      this.#owner.within(() => this.#work(job, signal, handler)),
    );
    this.#owner.added(undo);
    this.#owner.handles();
    // Operators may have it made too.
    this.#owner.added(this.#parts.schedules.offer(queueOf(this.#owner.name), this.#kind(kind)));
  }

  async cancel(id: string, { trx }: InTransaction = {}): Promise<boolean> {
    return this.#parts.database.writeIn({ trx }, async (inner) => {
      const job = isUuid(id) ? await this.#find(inner, id) : undefined;
      if (!job) return this.#endSchedule(id, inner);
      if (!isWaiting(job.state)) return false;
      await this.#parts.jobControl.cancel(id, { trx: inner });
      return true;
    });
  }

  /** @param id or name. @returns whether the owner had such a schedule. */
  async #endSchedule(id: string, trx: Trx): Promise<boolean> {
    const schedule = await trx
      .selectFrom("schedules")
      .select("id")
      .where(isUuid(id) ? "id" : "name", "=", isUuid(id) ? id : `${this.#owner.name}:${id}`)
      .where("queue", "=", queueOf(this.#owner.name))
      .where("module", "=", this.#owner.name)
      .executeTakeFirst();
    if (!schedule) return false;
    await this.#parts.schedules.delete(schedule.id, { trx });
    return true;
  }

  async get(jobId: string): Promise<JobView | null> {
    const job = isUuid(jobId) ? await this.#find(this.#parts.database.read, jobId) : undefined;
    return job ? this.#view(job) : null;
  }

  #find(db: Pick<Database["read"], "selectFrom">, jobId: string): Promise<Selectable<JobsTable> | undefined> {
    return db
      .selectFrom("jobs")
      .selectAll()
      .where("id", "=", jobId)
      .where("queue", "=", queueOf(this.#owner.name))
      .executeTakeFirst();
  }

  async #work(job: RunningJob, signal: AbortSignal, handler: JobHandler): Promise<unknown> {
    const row = await this.#find(this.#parts.database.read, job.id);
    if (!row) throw new PermanentError("the job is gone");
    const view: RunningJobView = {
      ...this.#view(row),
      state: "running",
      attempts: job.attempt,
      progress: (value) => job.progress(value),
    };
    try {
      return await this.#owner.call(() => handler(view, signal));
    } catch (error) {
      throw jobFailure(error);
    }
  }

  #view(job: Selectable<JobsTable>): JobView {
    return {
      id: job.id,
      queue: job.queue,
      kind: job.kind.slice(this.#owner.name.length + 1),
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
  #kind(kind: string): string {
    if (typeof kind !== "string" || !KIND.test(kind))
      throw new TypeError("the kind of a job must be 1 to 80 letters, digits or any of _ . : -");
    return `${this.#owner.name}:${kind}`;
  }

  /** @throws QUEUE_NOT_FOUND */
  #requireOwn(queue: string): void {
    const { name } = this.#owner;
    if (queue === "default" || queue === name || queue === queueOf(name)) return;
    throw new PrismError("QUEUE_NOT_FOUND", `The jobs of the module ${name} run in its own queue, ${queueOf(name)}`);
  }
}

/** What an outsider's error says of further attempts: it has not the classes that the program's own handlers throw. */
export function jobFailure(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof PermanentError || error instanceof RetryLater) return error;
  const { permanent, retryAfterMs } = error as { permanent?: unknown; retryAfterMs?: unknown };
  if (permanent === true) return new PermanentError(error.message, { cause: error });
  if (typeof retryAfterMs === "number" && Number.isFinite(retryAfterMs) && retryAfterMs >= 0)
    return new RetryLater(error.message, retryAfterMs, { cause: error });
  return error;
}
