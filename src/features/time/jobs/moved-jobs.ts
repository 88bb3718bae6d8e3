import type { QueueName, QueueSettings } from "../../../core/limits/queues.ts";
import type { Uses } from "../../../module/feature.ts";
import { endAttempt, endLost, requeueLost, type StoredJob } from "../../../store/commit/job-table.ts";
import type { Trx } from "../../../store/database.ts";
import type { DeadJob, EnqueuedRow } from "../../../store/effect.ts";
import type { JobState } from "../../../store/schema.ts";
import { endOfFailure, finishOf, type JobEnd } from "./runner/job-execution.ts";

/** A job that was changed by an operator or by the loss of its worker, not by its handler. */
export interface MovedJob {
  readonly jobId: string;
  /** Its new state: `cancelled`, `ready`, or after a lost last attempt `retrying` or `dead`. */
  readonly state: JobState;
  /** The reason of a failure. */
  readonly error: string | null;
}

/** Runs inside the transaction that changes the job; an error rolls it back. */
export type MovedHook = (trx: Trx, job: MovedJob) => Promise<void>;

/** Notifies features that keep their own state per job of changes made outside its handler. */
export class JobHooks {
  readonly #hooks = new Map<string, MovedHook>();

  /** @returns a function that removes the hook. @throws TypeError when the kind already has one. */
  add(kind: string, hook: MovedHook): () => void {
    if (this.#hooks.has(kind)) throw new TypeError(`jobs of kind ${kind} have a hook already`);
    this.#hooks.set(kind, hook);
    return () => {
      if (this.#hooks.get(kind) === hook) this.#hooks.delete(kind);
    };
  }

  async notify(trx: Trx, kind: string, job: MovedJob): Promise<void> {
    await this.#hooks.get(kind)?.(trx, job);
  }
}

/** Dependencies of inserting, finishing and moving jobs. */
export interface MovedJobsContext extends Omit<LostContext, "hadBegun">, Uses<"db" | "runner" | "clock"> {}

export interface LostContext {
  readonly hooks: JobHooks;
  /** Whether the handler of a lost attempt had started; undefined: always. */
  hadBegun?(job: StoredJob): boolean;
  settingsOf(queue: QueueName): QueueSettings;
}

/** A function: an error made with the module would keep the code of its script in memory. */
const lostLastAttempt = (): Error => new Error("the process ended during the last attempt");

/**
 * Requeues running jobs of lost workers (docs/jobs.md): they are ready at once. An attempt that had
 * started counts; without attempts left the job has failed. The caller notifies the runner after
 * the commit.
 * @returns `waiting`: ready again, or in a next queue for another attempt
 */
export async function requeueLostJobs(
  trx: Trx,
  lost: readonly StoredJob[],
  now: number,
  { hooks, settingsOf, hadBegun = () => true }: LostContext,
): Promise<{ readonly waiting: readonly EnqueuedRow[]; readonly dead: readonly DeadJob[] }> {
  const waiting: EnqueuedRow[] = [];
  const dead: DeadJob[] = [];
  for (const job of lost) {
    const { id, queue, kind, label } = job;
    const claim = { ...job, startedAt: job.startedAt ?? now };
    const finish = <E extends JobEnd>(end: E) => finishOf(claim, job.workerId ?? "", now, end);
    const isBegun = hadBegun(job);
    if (!isBegun || job.attempts < job.maxAttempts) {
      await (isBegun ? requeueLost(trx, job, now) : endAttempt(trx, finish({ outcome: "returned" })));
      waiting.push({ queue, state: "ready", runAt: job.runAt });
      continue;
    }
    const end = endOfFailure(job, lostLastAttempt(), settingsOf, now);
    await endLost(trx, job, finish(end));
    const { outcome: state, error } = end;
    await hooks.notify(trx, kind, { jobId: id, state, error });
    if (end.outcome === "dead") dead.push({ id, queue: end.queue, kind, label, error });
    else waiting.push({ queue: end.queue, state: "retrying", runAt: end.runAt });
  }
  return { waiting, dead };
}
