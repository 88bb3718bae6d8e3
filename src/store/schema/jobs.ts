/** What happens later: the job table and its schedules. */
import type { Generated } from "kysely";
import type { Flag } from "./flag.ts";

export const JOB_STATES = ["scheduled", "ready", "running", "retrying", "succeeded", "dead", "cancelled"] as const;
export type JobState = (typeof JOB_STATES)[number];

export interface JobsTable {
  seq: Generated<number>;
  id: string;
  queue: string;
  kind: string;
  payload: string;
  state: JobState;
  priority: Generated<number>;
  runAt: number;
  attempts: Generated<number>;
  maxAttempts: number;
  dedupeKey: string | null;
  workerId: string | null;
  fence: Generated<number>;
  label: string | null;
  module: string | null;
  createdBy: string | null;
  scheduleId: string | null;
  lastError: string | null;
  progress: string | null;
  result: string | null;
  correlationId: string | null;
  startedAt: number | null;
  finishedAt: number | null;
  createdAt: number;
}

export interface JobAttemptsTable {
  jobId: string;
  attempt: number;
  startedAt: number;
  endedAt: number | null;
  outcome: string;
  error: string | null;
  worker: string;
}

export interface WorkersTable {
  id: string;
  pid: number;
  host: string;
  startedAt: number;
  leaseUntil: number;
  /** The service token that registered it, and that alone may go on. */
  tokenId: string | null;
}

export interface SchedulesTable {
  id: string;
  name: string;
  cron: string | null;
  everyMs: number | null;
  timezone: string;
  queue: string;
  kind: string;
  payload: string;
  label: string | null;
  missed: "skip" | "once" | "all";
  overlap: "skip" | "allow";
  active: Generated<Flag>;
  lastRunAt: number | null;
  nextRunAt: number | null;
  maxAttempts: number | null;
  module: string | null;
  createdBy: string | null;
  version: Generated<number>;
  createdAt: number;
  updatedAt: number;
}
