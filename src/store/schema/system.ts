/** The job table and its schedules, and Prism's own data: settings, audit trail, modules. */
import type { Generated } from "kysely";

/** A boolean: SQLite has none. */
export type Flag = 0 | 1;

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
  /** The service token that registered it; no other may renew it. */
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

export interface SettingsTable {
  key: string;
  value: string | number | Uint8Array | null;
  updatedBy: string | null;
  updatedAt: number;
}

export interface ModulesTable {
  name: string;
  version: string;
  path: string;
  state: "loading" | "active" | "failed" | "disabled";
  error: string | null;
  enabled: Generated<Flag>;
  /** Its routes when it was last active; they answer 503 while it is not. */
  routes: Generated<string>;
  updatedAt: number;
}

export interface ModuleKvTable {
  module: string;
  key: string;
  value: string;
  updatedAt: number;
}

export interface IdempotencyKeysTable {
  scope: string;
  key: string;
  fingerprint: string;
  status: number | null;
  response: string | null;
  createdAt: number;
  expiresAt: number;
}

export interface AuditLogTable {
  seq: Generated<number>;
  id: string;
  action: string;
  userId: string | null;
  actor: string;
  resourceType: string | null;
  resourceId: string | null;
  metadata: string;
  ip: string | null;
  requestId: string | null;
  timestamp: number;
  prevHash: string;
  hash: string;
}

export interface MigrationsTable {
  name: string;
  checksum: string;
  appliedAt: number;
}
