import { uuidv7 } from "../../core/ids.ts";
import type { Effects, FailureRow, JobRow } from "./write-set.ts";

/** The consumer of events that decides by rules, as `event_failures` has it. */
export const RULE_ENGINE = "rule-engine";

/** The key of the one unfinished job that decides an event. */
export function eventJobKey(eventSeq: number): string {
  return `event:${eventSeq}`;
}

/** What stands for an event that could not be decided: the failure, and the job that tries again. Made only when it comes to that. */
export function undecidedRows({ eventSeq, correlationId, retry }: Effects): {
  readonly failure: FailureRow;
  readonly job: JobRow;
} {
  const job: JobRow = {
    id: uuidv7(),
    queue: "event-processing",
    kind: "event.process",
    payload: JSON.stringify({ eventSeq }),
    state: "scheduled",
    priority: 0,
    runAt: retry.runAt,
    maxAttempts: retry.maxAttempts,
    dedupeKey: eventJobKey(eventSeq),
    label: null,
    module: null,
    createdBy: null,
    scheduleId: null,
    correlationId,
    createdAt: retry.at,
  };
  const failure = { consumer: RULE_ENGINE, eventSeq, attempts: 1, lastError: null, jobId: job.id };
  return { job, failure: { ...failure, createdAt: retry.at, resolvedAt: null } };
}
