import type { Generated } from "kysely";
import type { Level } from "../base/levels.ts";

/**
 * The tables as Kysely sees them (contract section 3). JSON columns are text, booleans 0 or 1, instants integer epoch ms.
 * The DDL is in migrations/; a test compares the two column by column.
 */
export interface Schema {
  settings: SettingsTable;
  roles: RolesTable;
  users: UsersTable;
  user_roles: UserRolesTable;
  service_tokens: ServiceTokensTable;
  sessions: SessionsTable;
  refresh_tokens: RefreshTokensTable;
  one_time_tokens: OneTimeTokensTable;
  push_devices: PushDevicesTable;
  projects: ProjectsTable;
  project_members: ProjectMembersTable;
  api_keys: ApiKeysTable;
  events: EventsTable;
  event_failures: EventFailuresTable;
  rules: RulesTable;
  rule_versions: RuleVersionsTable;
  rule_stats: RuleStatsTable;
  decisions: DecisionsTable;
  notifications: NotificationsTable;
  notification_recipients: NotificationRecipientsTable;
  stream_log: StreamLogTable;
  stream_gaps: StreamGapsTable;
  jobs: JobsTable;
  job_attempts: JobAttemptsTable;
  workers: WorkersTable;
  schedules: SchedulesTable;
  messages: MessagesTable;
  tasks: TasksTable;
  modules: ModulesTable;
  module_kv: ModuleKvTable;
  event_consumers: EventConsumersTable;
  idempotency_keys: IdempotencyKeysTable;
  audit_log: AuditLogTable;
  migrations: MigrationsTable;
  /** SQLite's own: the last number each AUTOINCREMENT table has given. */
  sqlite_sequence: { name: string; seq: number };
}

export type Flag = 0 | 1;
export type UserStatus = "pending" | "active" | "disabled" | "unverified";
export type ProjectRole = "owner" | "editor" | "viewer";
export type DecisionOutcome = "fired" | "no recipients";
export type NotificationKind = "rule" | "direct" | "timer" | "digest" | "alert" | "aggregate";
export type MessageStatus =
  | "scheduled"
  | "queued"
  | "delivering"
  | "retrying"
  | "delivered"
  | "read"
  | "dead"
  | "cancelled";
export type TaskStatus = "TODO" | "IN_PROGRESS" | "DONE" | "CANCELLED";
export const JOB_STATES = ["scheduled", "ready", "running", "retrying", "succeeded", "dead", "cancelled"] as const;
export type JobState = (typeof JOB_STATES)[number];

interface SettingsTable {
  key: string;
  value: string | number | Uint8Array | null;
  updatedBy: string | null;
  updatedAt: number;
}

interface RolesTable {
  id: string;
  name: string;
  permissions: string;
  description: Generated<string>;
  builtin: Generated<Flag>;
  version: Generated<number>;
  createdAt: number;
  updatedAt: number;
}

interface UsersTable {
  id: string;
  email: string | null;
  username: string | null;
  phone: string | null;
  externalId: string | null;
  name: Generated<string>;
  passwordHash: string | null;
  status: UserStatus;
  timezone: Generated<string>;
  locale: Generated<string>;
  prefs: Generated<string>;
  passwordChangedAt: number | null;
  lastLoginAt: number | null;
  deletedAt: number | null;
  createdAt: number;
  updatedAt: number;
}

interface UserRolesTable {
  userId: string;
  roleId: string;
  grantedBy: string | null;
  createdAt: number;
}

interface ServiceTokensTable {
  id: string;
  userId: string;
  name: string;
  hash: string;
  prefix: string;
  scopes: string;
  expiresAt: number | null;
  lastUsedAt: number | null;
  revokedAt: number | null;
  createdAt: number;
}

interface SessionsTable {
  id: string;
  userId: string;
  family: string;
  userAgent: string;
  ip: string;
  createdAt: number;
  lastUsedAt: number;
  expiresAt: number;
  revokedAt: number | null;
  revokeReason: string | null;
}

interface RefreshTokensTable {
  hash: string;
  sessionId: string;
  issuedAt: number;
  expiresAt: number;
  usedAt: number | null;
  replacedBy: string | null;
}

interface OneTimeTokensTable {
  hash: string;
  userId: string;
  kind: "verify_email" | "reset_password" | "invite";
  expiresAt: number;
  usedAt: number | null;
}

interface PushDevicesTable {
  id: string;
  userId: string;
  kind: "fcm" | "apns";
  device: string;
  token: Uint8Array;
  tokenHash: string;
  disabledAt: number | null;
  lastUsedAt: number | null;
  createdAt: number;
  updatedAt: number;
}

interface ProjectsTable {
  id: string;
  slug: string;
  name: string;
  ownerId: string | null;
  settings: Generated<string>;
  version: Generated<number>;
  deletedAt: number | null;
  createdAt: number;
  updatedAt: number;
}

interface ProjectMembersTable {
  projectId: string;
  userId: string;
  role: ProjectRole;
  createdAt: number;
}

interface ApiKeysTable {
  id: string;
  projectId: string;
  name: string;
  prefix: string;
  hash: string;
  scopes: string;
  rateLimit: number | null;
  expiresAt: number | null;
  lastUsedAt: number | null;
  revokedAt: number | null;
  createdBy: string | null;
  createdAt: number;
}

export interface EventsTable {
  seq: number;
  id: string;
  projectId: string;
  type: string;
  level: Level;
  source: string | null;
  payload: string;
  dedupeKey: string | null;
  occurredAt: number;
  receivedAt: number;
  processedAt: number | null;
  correlationId: string | null;
}

export interface EventFailuresTable {
  consumer: string;
  eventSeq: number;
  attempts: number;
  lastError: string | null;
  jobId: string | null;
  createdAt: number;
  resolvedAt: number | null;
}

export interface RulesTable {
  id: string;
  projectId: string | null;
  name: string;
  description: Generated<string>;
  condition: string;
  targetRoles: string;
  targetUsers: string;
  channels: string;
  titleTemplate: string;
  messageTemplate: string;
  sound: string | null;
  action: string | null;
  priority: Generated<number>;
  active: Generated<Flag>;
  version: Generated<number>;
  createdBy: string | null;
  deletedAt: number | null;
  createdAt: number;
  updatedAt: number;
}

interface RuleVersionsTable {
  ruleId: string;
  version: number;
  definition: string;
  createdBy: string | null;
  createdAt: number;
}

export interface RuleStatsTable {
  ruleId: string;
  matched: Generated<number>;
  fired: Generated<number>;
  noRecipients: Generated<number>;
  errors: Generated<number>;
  lastMatchedAt: number | null;
  lastError: string | null;
}

export interface DecisionsTable {
  eventSeq: number;
  ruleId: string;
  ruleVersion: number;
  outcome: DecisionOutcome;
  notificationId: string | null;
  at: number;
}

export interface NotificationsTable {
  id: string;
  ruleId: string | null;
  eventId: string | null;
  projectId: string | null;
  kind: NotificationKind;
  title: string;
  message: string;
  sound: string | null;
  action: string | null;
  data: string | null;
  priority: Generated<number>;
  dedupeKey: string | null;
  aggregateCount: Generated<number>;
  scheduledJobId: string | null;
  delivered: Generated<Flag>;
  pusherEventSent: Generated<Flag>;
  correlationId: string;
  createdAt: number;
  deliveredAt: number | null;
  expiresAt: number | null;
}

export interface NotificationRecipientsTable {
  notificationId: string;
  userId: string;
  seq: number;
  delivered: Generated<Flag>;
  deliveredAt: number | null;
  readAt: number | null;
  acknowledgedAt: number | null;
  openedAt: number | null;
  deletedAt: number | null;
}

interface StreamLogTable {
  seq: number;
  stream: string;
  type: string;
  data: string;
  correlationId: string;
  createdAt: number;
}

interface StreamGapsTable {
  stream: string;
  fromSeq: number;
  toSeq: number;
}

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
  backoff: string | null;
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

export interface MessagesTable {
  id: string;
  senderId: string;
  recipientId: string;
  content: Uint8Array;
  status: MessageStatus;
  delayMs: number;
  deliverAt: number;
  jobId: string;
  attempts: Generated<number>;
  lastError: string | null;
  deliveredAt: number | null;
  readAt: number | null;
  cancelledAt: number | null;
  history: string;
  correlationId: string;
  createdAt: number;
  updatedAt: number;
}

export interface TasksTable {
  id: string;
  userId: string;
  title: string;
  description: Generated<string>;
  status: TaskStatus;
  priority: Generated<number>;
  dueAt: number | null;
  version: Generated<number>;
  deletedAt: number | null;
  createdAt: number;
  updatedAt: number;
}

interface ModulesTable {
  name: string;
  version: string;
  path: string;
  state: "loading" | "active" | "failed" | "disabled";
  error: string | null;
  enabled: Generated<Flag>;
  /** Where its routes were when it was last active: they answer 503 while it is not. */
  routes: Generated<string>;
  updatedAt: number;
}

interface ModuleKvTable {
  module: string;
  key: string;
  value: string;
  updatedAt: number;
}

interface EventConsumersTable {
  name: string;
  cursor: number;
  updatedAt: number;
}

interface WorkersTable {
  id: string;
  pid: number;
  host: string;
  startedAt: number;
  leaseUntil: number;
  /** The service token that registered it, and that alone may go on. */
  tokenId: string | null;
}

interface IdempotencyKeysTable {
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

interface MigrationsTable {
  name: string;
  checksum: string;
  appliedAt: number;
}
