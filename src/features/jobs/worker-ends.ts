import { runAs } from "../../core/caller.ts";
import type { Clock } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import type { ClaimedJob } from "../../store/commit/write-set.ts";
import type { Database } from "../../store/database.ts";
import { type JobService, LostLease } from "./job-service.ts";
import type { RemoteHandler } from "./remote-handlers.ts";
import type { AttemptFacts } from "./runner/job.ts";
import { PermanentError, type QueueName, RetryLater } from "./runner/job.ts";
import { type FailedAttempt, type HeldAttempt, type HeldJob, requireHeld } from "./worker-claim.ts";

type Handlers = ReadonlyMap<string, RemoteHandler>;
type Outcome = AttemptFacts["outcome"];

export interface WorkerEndsParts {
  readonly database: Database;
  readonly jobs: JobService;
  readonly clock: Clock;
  readonly log: Logger;
  onAttempt(attempt: AttemptFacts): void;
}

/** What could not be begun is tried again after so long. */
const TRY_AGAIN_MS = 1000;

/** Has the server do its part of claimed jobs. @returns those that are to be handed out, with what the worker needs of them as their payload */
export async function beginAll<J extends ClaimedJob>(
  workerId: string,
  claimed: readonly J[],
  handlers: Handlers,
  { database, jobs, clock, log }: Omit<WorkerEndsParts, "onAttempt">,
): Promise<J[]> {
  const begun = await Promise.all(
    claimed.map(async (job): Promise<J[]> => {
      const handler = handlers.get(job.queue);
      if (!handler) return [job];
      try {
        const handed = await asJob(job, () => handler.begin({ ...job, workerId }));
        return handed === undefined ? [] : [{ ...job, payload: JSON.stringify(handed) }];
      } catch (error) {
        log.warn({ jobId: job.id, kind: job.kind, err: error }, "a job could not be handed out; trying again");
        const runAt = clock.now() + TRY_AGAIN_MS;
        await database.write((trx) => jobs.postpone({ id: job.id, claimed: job }, trx, runAt)).catch(() => undefined);
        return [];
      }
    }),
  );
  return begun.flat();
}

/** How attempts of workers elsewhere end, once it is known that they are theirs. */
export class WorkerEnds {
  readonly #handlers: Handlers;
  readonly #parts: WorkerEndsParts;

  constructor(handlers: Handlers, parts: WorkerEndsParts) {
    this.#handlers = handlers;
    this.#parts = parts;
  }

  /** @returns the job's queue. @throws JOB_NOT_FOUND, INVALID_STATE when the attempt is over, FORBIDDEN when it is another token's */
  complete(attempt: HeldAttempt, result: unknown): Promise<string> {
    return this.#end(
      attempt,
      (handler, job) => handler.complete(job, result),
      async (job) => {
        const { database, jobs } = this.#parts;
        await database.write((trx) => jobs.complete({ id: job.id, claimed: job }, trx, result));
        return "succeeded";
      },
    );
  }

  /** @returns the job's queue. @throws as {@link complete} */
  fail(attempt: FailedAttempt): Promise<string> {
    return this.#end(
      attempt,
      (handler, job) => handler.fail(job, attempt),
      async (job) => {
        const { database, jobs } = this.#parts;
        const failed = { ...job, claimed: job };
        const { outcome } = await database.write((trx) => jobs.fail(failed, trx, errorOf(attempt), job.workerId));
        return outcome;
      },
    );
  }

  /** The end's own transaction asks for the fence again. */
  async #end(
    attempt: HeldAttempt,
    handled: (handler: RemoteHandler, job: HeldJob) => Promise<Outcome>,
    plain: (job: HeldJob) => Promise<Outcome>,
  ): Promise<string> {
    const job = await this.#parts.database.write((trx) => requireHeld(trx, attempt));
    const handler = this.#handlers.get(job.queue);
    try {
      const outcome = handler ? await asJob(job, () => handled(handler, job)) : await plain(job);
      this.#note(job, outcome);
    } catch (error) {
      if (!(error instanceof LostLease)) throw error;
      throw new PrismError("INVALID_STATE", "The job is not this worker's any more; leave it", { cause: error });
    }
    return job.queue;
  }

  #note(job: HeldJob, outcome: Outcome): void {
    const { clock, onAttempt } = this.#parts;
    const durationMs = Math.max(0, clock.now() - job.startedAt);
    const latenessMs = Math.max(0, job.startedAt - job.runAt);
    onAttempt({ queue: job.queue as QueueName, outcome, durationMs, latenessMs });
  }
}

/** What the server does for a job is nobody's request: so the audit trail has it. */
function asJob<T>({ id, correlationId }: ClaimedJob, work: () => Promise<T>): Promise<T> {
  const caller = { principal: null, ip: null, requestId: null, correlationId: correlationId ?? id };
  return runAs({ ...caller, process: "job" }, work);
}

function errorOf({ error, isPermanent, retryAfterMs, fault }: FailedAttempt): Error {
  if (isPermanent || fault === "target") return new PermanentError(error);
  return retryAfterMs > 0 ? new RetryLater(error, retryAfterMs) : new Error(error);
}
