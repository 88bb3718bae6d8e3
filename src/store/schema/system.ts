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
  /** The fence of the claim whose handler has begun; kept in a cluster only. */
  begunFence: number | null;
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

/** What configuration files own. */
export interface ManagedObjectsTable {
  kind: string;
  objectId: string;
  projectId: string | null;
  name: string;
  /** The owner that the files name. */
  source: string;
  /** Where it stands in the files. */
  place: string | null;
  /** JSON of its members as they were applied, with references in place of secrets. */
  spec: string;
  /** The version that was stored by it. */
  version: string;
  isLocked: number;
  unlockedUntil: number | null;
  appliedAt: number;
}

/** What the system beside a mirror project was seen to do. */
export interface MirrorObservedTable {
  projectId: string;
  /** The observation's own name in that system. */
  ref: string;
  system: string;
  kind: "notified" | "acknowledged" | "resolved";
  at: number;
  /** The alarm's name there, such as `fp:<fingerprint>`. */
  key: string | null;
  title: string | null;
  /** JSON text. */
  labels: string | null;
  startsAt: number | null;
  person: string | null;
  way: string | null;
}

/** A request of a mirror that waits to be passed on. */
export interface ForwardsTable {
  id: string;
  projectId: string;
  kind: "receivers" | "integrations";
  sourceId: string;
  at: number;
  /** In the log of a receiver. */
  requestId: string | null;
  /** Of the row. */
  bytes: number;
  /** Sealed: its head as JSON in a line, then its body. */
  request: Uint8Array;
}

/** A request with an unknown key of Opsgenie's. */
export interface IntegrationClaimsTable {
  id: string;
  /** The same for all requests of a key that waits. */
  claimId: string;
  hash: string;
  prefix: string;
  at: number;
  /** The group of the sender's address. */
  address: string;
  /** `create`, `close`, `acknowledge`, … */
  action: string;
  /** Null: the request names its alert otherwise. */
  alias: string | null;
  message: string | null;
  /** JSON; empty once the key is assigned. */
  body: string;
  bytes: number;
  keptUntil: number;
  /** Null: the key is not assigned. */
  outcome: "replayed" | "listed" | "closed" | null;
  assignedAt: number | null;
  integrationId: string | null;
}

export interface SystemTables {
  managed_objects: ManagedObjectsTable;
  /** Runtime entries of configuration files that were made once. */
  runtime_entries: {
    key: string;
    /** When it is over by itself; null: never. */
    endsAt: number | null;
  };
  forwards: ForwardsTable;
  integration_claims: IntegrationClaimsTable;
  mirror_observed: MirrorObservedTable;
  jobs: JobsTable;
  job_attempts: JobAttemptsTable;
  workers: {
    id: string;
    pid: number;
    host: string;
    startedAt: number;
    leaseUntil: number;
    /** The service token that registered it; no other may renew it. */
    tokenId: string | null;
  };
  settings: {
    key: string;
    value: string | number | Uint8Array | null;
    updatedBy: string | null;
    updatedAt: number;
  };
  /** What describes this file and not the data, such as beats of its disk. */
  local_state: {
    key: string;
    value: string | number | Uint8Array | null;
    updatedAt: number;
  };
  modules: {
    name: string;
    version: string;
    path: string;
    state: "loading" | "active" | "failed" | "disabled";
    error: string | null;
    enabled: Generated<Flag>;
    /** Its routes when it was last active; they answer 503 while it is not. */
    routes: Generated<string>;
    updatedAt: number;
  };
  module_kv: {
    module: string;
    key: string;
    value: string;
    updatedAt: number;
  };
  idempotency_keys: {
    scope: string;
    key: string;
    fingerprint: string;
    status: number | null;
    response: string | null;
    createdAt: number;
    expiresAt: number;
  };
  audit_log: AuditLogTable;
  migrations: {
    name: string;
    checksum: string;
    appliedAt: number;
  };
}
