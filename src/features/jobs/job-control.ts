import type { Clock } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import {
  cancelWaiting,
  deleteJobs,
  findJob,
  holdersOf,
  makeReady,
  restartJobs,
  type StoredJob,
} from "../../store/commit/job-table.ts";
import { addEffect, type Database, type InTransaction, type Trx } from "../../store/database.ts";
import { jobsAdded } from "../../store/effect.ts";
import type { JobState } from "../../store/schema.ts";
import type { AuditService } from "../audit/index.ts";
import type { JobHooks, MovedHook } from "./job-hooks.ts";
import { requireRoom } from "./job-service.ts";
import { firstQueue, type QueueName, type QueueSettings } from "./runner/job.ts";
import type { JobRunner } from "./runner/runner.ts";

export interface JobControlParts {
  readonly database: Database;
  readonly runner: JobRunner;
  readonly clock: Clock;
  readonly audit: AuditService;
  readonly hooks: JobHooks;
  settingsOf(queue: QueueName): QueueSettings;
}

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
    const { clock, hooks } = this.#parts;
    await this.#change("job.cancel", jobId, options, async (trx, job) => {
      if (job.state === "running")
        throw new PrismError("JOB_NOT_CANCELLABLE", "The job is running; only jobs that wait can be cancelled");
      requireState(job, ["scheduled", "ready", "retrying"], "cancelled");
      await cancelWaiting(trx, job.queue, [job.seq], clock.now());
      await hooks.tell(trx, job.kind, { jobId, state: "cancelled", error: null });
      addEffect(trx, { type: "jobs-removed", queue: job.queue, count: 1 });
    });
  }

  /**
   * Has a dead or cancelled job tried anew, with all attempts of its queue; what they came to before stays in its history. A message's job
   * begins again in `messages`. @throws JOB_NOT_FOUND, INVALID_STATE, OVERLOADED
   */
  async retry(jobId: string, options: InTransaction = {}): Promise<void> {
    const { runner, clock, hooks, settingsOf } = this.#parts;
    await this.#change("job.retry", jobId, options, async (trx, job) => {
      requireState(job, ["dead", "cancelled"], "retried");
      const queue = firstQueue(job.queue as QueueName);
      requireRoom(runner, queue);
      if (job.dedupeKey !== null) await requireFreeKey(trx, queue, job.dedupeKey);
      const runAt = clock.now();
      await restartJobs(trx, [job.seq], { queue, runAt, maxAttempts: settingsOf(queue).maxAttempts });
      await hooks.tell(trx, job.kind, { jobId, state: "ready", error: null });
      addEffect(trx, jobsAdded([{ queue, state: "ready", runAt }]));
    });
  }

  /** Has a job that waits for its time run now. @throws JOB_NOT_FOUND, INVALID_STATE */
  async promote(jobId: string, options: InTransaction = {}): Promise<void> {
    const { clock } = this.#parts;
    await this.#change("job.promote", jobId, options, async (trx, job) => {
      requireState(job, ["scheduled", "retrying"], "promoted");
      const runAt = clock.now();
      await makeReady(trx, [jobId], ["scheduled", "retrying"], runAt);
      // It was counted as waiting, and is again.
      addEffect(trx, { type: "jobs-removed", queue: job.queue, count: 1 });
      addEffect(trx, jobsAdded([{ queue: job.queue, state: "ready", runAt }]));
    });
  }

  /** Removes a job that has ended, with its history. @throws JOB_NOT_FOUND, INVALID_STATE */
  async delete(jobId: string, options: InTransaction = {}): Promise<void> {
    await this.#change("job.delete", jobId, options, async (trx, job) => {
      requireState(job, ["succeeded", "dead", "cancelled"], "deleted");
      await deleteJobs(trx, [jobId]);
    });
  }

  async #change(
    action: string,
    jobId: string,
    options: InTransaction,
    change: (trx: Trx, job: StoredJob) => Promise<void>,
  ): Promise<void> {
    await this.#parts.database.writeIn(options, async (trx) => {
      const job = isUuid(jobId) ? await findJob(trx, jobId) : undefined;
      if (!job) throw new PrismError("JOB_NOT_FOUND", "No such job");
      await change(trx, job);
      const { queue, kind, state } = job;
      const metadata = { queue, kind, from: state };
      await this.#parts.audit.record({ action, resourceType: "job", resourceId: jobId, metadata }, { trx });
    });
  }
}

function requireState({ state }: StoredJob, states: readonly JobState[], verb: string): void {
  if (!states.includes(state))
    throw new PrismError("INVALID_STATE", `The job is ${state}; only ${states.join(", ")} jobs can be ${verb}`);
}

/** Another job may have taken the key since this one ended. @throws INVALID_STATE */
async function requireFreeKey(trx: Trx, queue: QueueName, dedupeKey: string): Promise<void> {
  const [holder] = await holdersOf(trx, queue, [dedupeKey]);
  if (!holder) return;
  throw new PrismError("INVALID_STATE", `Job ${holder.id} has the same dedupe key and has not ended; it does the work`);
}
