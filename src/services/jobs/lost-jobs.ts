import type { Selectable } from "kysely";
import { endOfFailure, type FailedEnd } from "../../jobs/attempt-end.ts";
import type { QueueName, QueueSettings } from "../../jobs/job.ts";
import type { DeadJob, EnqueuedRow } from "../../jobs/runner-parts.ts";
import type { Trx } from "../../store/database.ts";
import type { JobsTable } from "../../store/schema.ts";
import { noteAttempt } from "./job-attempts.ts";
import type { JobHooks } from "./job-hooks.ts";

export interface LostParts {
  readonly hooks: JobHooks;
  /** Whether the handler of a lost attempt had begun; absent: each had. */
  hadBegun?(job: Selectable<JobsTable>): boolean;
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
  lost: readonly Selectable<JobsTable>[],
  now: number,
  { hooks, settingsOf, hadBegun = () => true }: LostParts,
): Promise<TakenBack> {
  const waiting: EnqueuedRow[] = [];
  const dead: DeadJob[] = [];
  for (const job of lost) {
    if (!hadBegun(job)) {
      const uncounted = { state: "ready", workerId: null, attempts: job.attempts - 1 } as const;
      await trx.updateTable("jobs").set(uncounted).where("seq", "=", job.seq).execute();
      waiting.push({ queue: job.queue, state: "ready", runAt: job.runAt });
      continue;
    }
    const ended =
      job.attempts < job.maxAttempts
        ? ({ state: "ready", workerId: null } as const)
        : lostEnd(job, endOfFailure(job, LOST_LAST_ATTEMPT, settingsOf, now), now);
    await trx.updateTable("jobs").set(ended).where("seq", "=", job.seq).execute();
    await noteAttempt(trx, {
      jobId: job.id,
      attempt: job.attempts,
      startedAt: job.startedAt ?? now,
      endedAt: now,
      outcome: "lost",
      error: null,
      worker: job.workerId ?? "",
    });
    if (ended.state !== "ready")
      await hooks.tell(trx, job.kind, { jobId: job.id, state: ended.state, error: ended.lastError });
    if (ended.state === "dead") {
      const { id, queue, kind, label } = { ...job, ...ended };
      dead.push({ id, queue, kind, label, error: ended.lastError });
    } else {
      const { queue, state, runAt } = { ...job, ...ended };
      waiting.push({ queue, state, runAt });
    }
  }
  return { waiting, dead };
}

/** A job whose last attempt was lost is one that failed. */
function lostEnd(job: { readonly queue: string }, end: FailedEnd, now: number) {
  const moved = { ...movedTo(end.queue, job), lastError: end.error };
  if (end.outcome === "dead") return { ...moved, state: "dead", finishedAt: now } as const;
  return { ...moved, state: "retrying", runAt: end.runAt, maxAttempts: end.maxAttempts } as const;
}

/** A dedupe key holds in its queue: what moves on leaves it behind. */
export function movedTo(queue: string, from: { readonly queue: string }) {
  return queue === from.queue ? {} : { queue, dedupeKey: null };
}
