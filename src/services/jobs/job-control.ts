import type { Selectable } from "kysely";
import type { Clock } from "../../base/clock.ts";
import { PrismError } from "../../base/errors.ts";
import { isUuid } from "../../base/ids.ts";
import { firstQueue, type QueueName, type QueueSettings } from "../../jobs/job.ts";
import type { JobRunner } from "../../jobs/runner.ts";
import type { Database, InTransaction, Trx } from "../../store/database.ts";
import type { JobState, JobsTable } from "../../store/schema.ts";
import type { AuditService } from "../audit/audit.ts";
import type { JobHooks, MovedHook } from "./job-hooks.ts";
import { requireRoom } from "./job-service.ts";

export interface JobControlParts {
  readonly database: Database;
  readonly runner: JobRunner;
  readonly clock: Clock;
  readonly audit: AuditService;
  readonly hooks: JobHooks;
  settingsOf(queue: QueueName): QueueSettings;
}

type JobLine = Pick<Selectable<JobsTable>, "seq" | "id" | "queue" | "kind" | "state" | "dedupeKey">;

/** What an operator does to one job (contract 8.2); each change is one transaction with its audit row. */
export class JobControl {
  readonly #parts: JobControlParts;

  constructor(parts: JobControlParts) {
    this.#parts = parts;
  }

  /**
   * `hook` runs in the transaction in which an operator cancels or retries a job of the kind, alone or with its queue, or in which a starting
   * server finds that one's last attempt was lost. @returns a function that takes it away again.
   */
  whenEnded(kind: string, hook: MovedHook): () => void {
    return this.#parts.hooks.add(kind, hook);
  }

  /** Ends a job that waits. @throws JOB_NOT_FOUND, JOB_NOT_CANCELLABLE while it runs, INVALID_STATE when it has ended */
  async cancel(jobId: string, options: InTransaction = {}): Promise<void> {
    const { database, runner, clock, hooks } = this.#parts;
    await this.#change("job.cancel", jobId, options, async (trx, job) => {
      if (job.state === "running")
        throw new PrismError("JOB_NOT_CANCELLABLE", "The job is running; only jobs that wait can be cancelled");
      requireState(job, ["scheduled", "ready", "retrying"], "cancelled");
      await trx
        .updateTable("jobs")
        .set({ state: "cancelled", finishedAt: clock.now() })
        .where("seq", "=", job.seq)
        .execute();
      await hooks.tell(trx, job.kind, { jobId, state: "cancelled", error: null });
      database.afterCommit(trx, () => runner.removed(job.queue, 1));
    });
  }

  /**
   * Has a dead or cancelled job tried anew, with all attempts of its queue; what they came to before stays in its history. A message's job
   * begins again in `messages`. @throws JOB_NOT_FOUND, INVALID_STATE, OVERLOADED
   */
  async retry(jobId: string, options: InTransaction = {}): Promise<void> {
    const { database, runner, clock, hooks, settingsOf } = this.#parts;
    await this.#change("job.retry", jobId, options, async (trx, job) => {
      requireState(job, ["dead", "cancelled"], "retried");
      const queue = firstQueue(job.queue as QueueName);
      requireRoom(runner, queue);
      if (job.dedupeKey !== null) await requireFreeKey(trx, queue, job.dedupeKey);
      const runAt = clock.now();
      await trx
        .updateTable("jobs")
        .set(anew(queue, settingsOf(queue), runAt))
        .where("seq", "=", job.seq)
        .execute();
      await hooks.tell(trx, job.kind, { jobId, state: "ready", error: null });
      database.afterCommit(trx, () => runner.enqueued([{ queue, state: "ready", runAt }]));
    });
  }

  /** Has a job that waits for its time run now. @throws JOB_NOT_FOUND, INVALID_STATE */
  async promote(jobId: string, options: InTransaction = {}): Promise<void> {
    const { database, runner, clock } = this.#parts;
    await this.#change("job.promote", jobId, options, async (trx, job) => {
      requireState(job, ["scheduled", "retrying"], "promoted");
      const runAt = clock.now();
      await trx.updateTable("jobs").set({ state: "ready", runAt }).where("seq", "=", job.seq).execute();
      database.afterCommit(trx, () => {
        // It was counted as waiting, and is again.
        runner.removed(job.queue, 1);
        runner.enqueued([{ queue: job.queue, state: "ready", runAt }]);
      });
    });
  }

  /** Removes a job that has ended, with its history. @throws JOB_NOT_FOUND, INVALID_STATE */
  async delete(jobId: string, options: InTransaction = {}): Promise<void> {
    await this.#change("job.delete", jobId, options, async (trx, job) => {
      requireState(job, ["succeeded", "dead", "cancelled"], "deleted");
      await trx.deleteFrom("job_attempts").where("jobId", "=", jobId).execute();
      await trx.deleteFrom("jobs").where("seq", "=", job.seq).execute();
    });
  }

  async #change(
    action: string,
    jobId: string,
    options: InTransaction,
    change: (trx: Trx, job: JobLine) => Promise<void>,
  ): Promise<void> {
    await this.#parts.database.writeIn(options, async (trx) => {
      const job = isUuid(jobId) ? await find(trx, jobId) : undefined;
      if (!job) throw new PrismError("JOB_NOT_FOUND", "No such job");
      await change(trx, job);
      const { queue, kind, state } = job;
      const metadata = { queue, kind, from: state };
      await this.#parts.audit.record({ action, resourceType: "job", resourceId: jobId, metadata }, { trx });
    });
  }
}

/** What a dead or cancelled job becomes when it is tried anew. */
export function anew(queue: QueueName, { maxAttempts }: QueueSettings, runAt: number) {
  return {
    queue,
    state: "ready",
    runAt,
    attempts: 0,
    maxAttempts,
    workerId: null,
    startedAt: null,
    finishedAt: null,
    progress: null,
  } as const;
}

function find(trx: Trx, jobId: string): Promise<JobLine | undefined> {
  return trx
    .selectFrom("jobs")
    .select(["seq", "id", "queue", "kind", "state", "dedupeKey"])
    .where("id", "=", jobId)
    .executeTakeFirst();
}

function requireState({ state }: JobLine, states: readonly JobState[], verb: string): void {
  if (!states.includes(state))
    throw new PrismError("INVALID_STATE", `The job is ${state}; only ${states.join(", ")} jobs can be ${verb}`);
}

/** Another job may have taken the key since this one ended. @throws INVALID_STATE */
async function requireFreeKey(trx: Trx, queue: QueueName, dedupeKey: string): Promise<void> {
  const holder = await trx
    .selectFrom("jobs")
    .select("id")
    .where("queue", "=", queue)
    .where("dedupeKey", "=", dedupeKey)
    .where("finishedAt", "is", null)
    .executeTakeFirst();
  if (!holder) return;
  throw new PrismError("INVALID_STATE", `Job ${holder.id} has the same dedupe key and has not ended; it does the work`);
}
