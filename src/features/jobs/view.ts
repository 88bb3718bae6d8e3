import { redactFields, redactText } from "../../config/logger.ts";
import { toRfc3339 } from "../../core/clock.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import { mayReadWords, withoutWords } from "../timers/index.ts";
import type { AttemptLine, JobLine } from "./queries.ts";

/**
 * A job as the caller sees it. What is named or looks like a secret is masked, as in the log, and what other people's timers and scheduled
 * notifications say.
 */
export function jobView({ seq: _seq, workerId: _worker, ...job }: JobLine, caller: UserPrincipal) {
  const payload = masked(job.payload);
  return {
    ...job,
    payload: mayReadWords(caller, job.createdBy) ? payload : withoutWords(payload),
    progress: masked(job.progress),
    result: masked(job.result),
    lastError: job.lastError === null ? null : redactText(job.lastError),
    runAt: toRfc3339(job.runAt),
    startedAt: timeOf(job.startedAt),
    finishedAt: timeOf(job.finishedAt),
    createdAt: toRfc3339(job.createdAt),
  };
}

/** @param failed the attempts that did not succeed; the one that did, or that is under way, stands in the job itself. */
export function jobDetail(job: JobLine, failed: readonly AttemptLine[], caller: UserPrincipal) {
  const attempts = failed.map((attempt) => ({
    ...attempt,
    error: attempt.error === null ? null : redactText(attempt.error),
    startedAt: toRfc3339(attempt.startedAt),
    endedAt: timeOf(attempt.endedAt),
  }));
  return { ...jobView(job, caller), history: [...attempts, ...lastAttempt(job, failed.at(-1)?.attempt ?? 0)] };
}

function lastAttempt({ state, startedAt, finishedAt, workerId }: JobLine, before: number) {
  if ((state !== "running" && state !== "succeeded") || startedAt === null) return [];
  return [
    {
      attempt: before + 1,
      startedAt: toRfc3339(startedAt),
      endedAt: timeOf(finishedAt),
      outcome: state,
      error: null,
      worker: workerId ?? "",
    },
  ];
}

/** @param json as it is stored. */
function masked(json: string | null): unknown {
  if (json === null) return null;
  const { value } = redactFields({ value: JSON.parse(json) as unknown });
  return JSON.parse(redactText(JSON.stringify(value)));
}

function timeOf(at: number | null): string | null {
  return at === null ? null : toRfc3339(at);
}
