import type { JobState } from "../../../store/schema.ts";
import { printable, table } from "../../output/output.ts";

/** A job as the server lists it. */
export interface JobLine {
  readonly id: string;
  readonly queue: string;
  readonly kind: string;
  readonly state: JobState;
  readonly label: string | null;
  readonly runAt: string;
  readonly attempts: number;
  readonly maxAttempts: number;
  readonly lastError: string | null;
  readonly finishedAt: string | null;
}

export interface JobDetail extends JobLine {
  readonly payload: unknown;
  readonly progress: unknown;
  readonly result: unknown;
  readonly history: readonly {
    readonly attempt: number;
    readonly startedAt: string;
    readonly endedAt: string | null;
    readonly outcome: string;
    readonly error: string | null;
  }[];
}

export function jobPath(id: string, action = ""): string {
  return `/api/v1/jobs/${encodeURIComponent(id)}${action}`;
}

/** What a change made of a job, in a line. */
export function jobLine({ id, queue, kind, state }: JobLine): string {
  return `${id}  ${queue}  ${printable(kind)}  ${state}`;
}

/** One job with its attempts, for people. */
export function jobLines(job: JobDetail): string[] {
  const { id, queue, kind, state, label, runAt, attempts, maxAttempts, lastError, payload, progress, result } = job;
  const members = table(
    ["JOB", id],
    [
      ["queue", queue],
      ["kind", kind],
      ["state", state],
      ["label", label],
      ["runs at", runAt],
      ["attempts", `${attempts} of ${maxAttempts}`],
      ["payload", jsonText(payload)],
      ["progress", jsonText(progress)],
      ["result", jsonText(result)],
      ["last error", lastError],
    ],
  );
  if (job.history.length === 0) return members;
  const history = table(
    ["ATTEMPT", "STARTED", "ENDED", "OUTCOME", "ERROR"],
    job.history.map(({ attempt, startedAt, endedAt, outcome, error }) => [attempt, startedAt, endedAt, outcome, error]),
  );
  return [...members, "", ...history];
}

function jsonText(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}
