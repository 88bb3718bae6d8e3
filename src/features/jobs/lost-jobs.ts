import { endAttempt, endLost, requeueLost, type StoredJob } from "../../store/commit/job-table.ts";
import type { Trx } from "../../store/database.ts";
import type { DeadJob, EnqueuedRow } from "../../store/effect.ts";
import type { JobHooks } from "./job-hooks.ts";
import { endOfFailure, finishOf, type JobEnd } from "./runner/attempt-end.ts";
import type { QueueName, QueueSettings } from "./runner/job.ts";

export interface LostParts {
  readonly hooks: JobHooks;
  /** Whether the handler of a lost attempt had begun; absent: each had. */
  hadBegun?(job: StoredJob): boolean;
  settingsOf(queue: QueueName): QueueSettings;
}

/** What became of jobs whose worker is gone. */
export interface TakenBack {
  /** Ready again, or in a next queue for another attempt. */
  readonly waiting: readonly EnqueuedRow[];
  readonly dead: readonly DeadJob[];
}

const LOST_LAST_ATTEMPT = new Error("the process ended during the last attempt");

/**
 * Takes running jobs from workers that are gone (contract 8.2): they are ready at once. An attempt that had begun counts, and with none left it is
 * one that failed. The caller tells the runner when it is on disk.
 */
export async function takeBack(
  trx: Trx,
  lost: readonly StoredJob[],
  now: number,
  { hooks, settingsOf, hadBegun = () => true }: LostParts,
): Promise<TakenBack> {
  const waiting: EnqueuedRow[] = [];
  const dead: DeadJob[] = [];
  for (const job of lost) {
    const { id, queue, kind, label } = job;
    const claim = { ...job, startedAt: job.startedAt ?? now };
    const finish = <E extends JobEnd>(end: E) => finishOf(claim, job.workerId ?? "", now, end);
    if (!hadBegun(job)) {
      await endAttempt(trx, finish({ outcome: "returned" }));
      waiting.push({ queue, state: "ready", runAt: job.runAt });
      continue;
    }
    if (job.attempts < job.maxAttempts) {
      await requeueLost(trx, job, now);
      waiting.push({ queue, state: "ready", runAt: job.runAt });
      continue;
    }
    const end = endOfFailure(job, LOST_LAST_ATTEMPT, settingsOf, now);
    await endLost(trx, job, finish(end));
    const { outcome: state, error } = end;
    await hooks.tell(trx, kind, { jobId: id, state, error });
    if (end.outcome === "dead") dead.push({ id, queue: end.queue, kind, label, error });
    else waiting.push({ queue: end.queue, state: "retrying", runAt: end.runAt });
  }
  return { waiting, dead };
}
