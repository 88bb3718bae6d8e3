/**
 * The event log, rules and their decisions, and the consequences: notifications, streams, messages,
 * tasks, deliveries.
 */
import type { Generated } from "kysely";
import type { Level } from "../../core/vocabulary.ts";
import type { Flag } from "./system.ts";

export type DecisionOutcome =
  | "fired"
  | "suppressed"
  | "deduped"
  | "cooled"
  | "no recipients"
  /** Below the rule's threshold, of an absence, or a repetition of a live alert. */
  | "counted"
  | "alert-opened"
  | "alert-resolved";

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

/** Progress through the rules of an event that is decided in slices. */
export interface EventSlicesTable {
  eventSeq: Generated<number>;
  priority: number;
  createdAt: number;
  ruleId: string;
}

export interface EventConsumersTable {
  name: string;
  cursor: number;
  updatedAt: number;
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
  sound: string | null;
  action: string | null;
  priority: Generated<number>;
  active: Generated<Flag>;
  version: Generated<number>;
  createdBy: string | null;
  deletedAt: number | null;
  createdAt: number;
  updatedAt: number;
  suppression: string | null;
  dedupe: string | null;
  cooldownMs: Generated<number>;
  /** The version that was found too costly and is not evaluated. */
  tooCostlyVersion: number | null;
  threshold: string | null;
  absence: string | null;
  alert: string | null;
  /** Null: the description of the event. */
  titleTemplate: string | null;
  messageTemplate: string | null;
}

export interface RuleVersionsTable {
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
  suppressed: Generated<number>;
  deduped: Generated<number>;
  cooled: Generated<number>;
  counted: Generated<number>;
  alertsOpened: Generated<number>;
  alertsResolved: Generated<number>;
}

export interface DecisionsTable {
  eventSeq: number;
  ruleId: string;
  ruleVersion: number;
  outcome: DecisionOutcome;
  notificationId: string | null;
  at: number;
  /** What a rule over time counts under; null for other rules. */
  key: string | null;
}

/** The last match of each key that a rule awaits. */
export interface RuleAbsencesTable {
  ruleId: string;
  projectId: string;
  key: string;
  lastAt: number;
  /** 0: none since the rule took effect. */
  lastSeq: number;
  /** When the rule fired for its absence; null since the last match. */
  firedAt: number | null;
}

export interface SuppressionWindowsTable {
  ruleId: string;
  key: string;
  bucketStart: number;
  count: number;
}

export interface SuppressedKeysTable {
  batchId: string;
  key: string;
}

export interface SuppressedBatchesTable {
  id: string;
  ruleId: string;
  key: string;
  count: number;
  firstSeq: number;
  lastSeq: number;
  samples: string;
  startedAt: number;
  lastAt: number;
  jobId: string;
  noticeId: string | null;
  toldCount: Generated<number>;
  closedAt: number | null;
}

// Notifications, live streams, messages, tasks

export type NotificationKind = "rule" | "direct" | "timer" | "digest" | "alert" | "aggregate" | "incident" | "oncall";

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
  channels: string | null;
  incidentId: string | null;
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
  acknowledgeNote: string | null;
  /** JSON text: the last action, with its time. */
  webviewAction: string | null;
}

export interface StreamLogTable {
  seq: number;
  stream: string;
  type: string;
  data: string;
  correlationId: string;
  createdAt: number;
}

export interface StreamGapsTable {
  stream: string;
  fromSeq: number;
  toSeq: number;
}

export type MessageStatus =
  | "scheduled"
  | "queued"
  | "delivering"
  | "retrying"
  | "delivered"
  | "read"
  | "dead"
  | "cancelled";

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

export type TaskStatus = "TODO" | "IN_PROGRESS" | "DONE" | "CANCELLED";

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

// Deliveries, and what is watched besides events

/** External channels; `in_app` is the recipient's row itself. */
export type OutsideChannel = "pusher" | "fcm" | "apns" | "webpush" | "email" | "webhook" | "service";
export type DeliveryState = "queued" | "sending" | "delivered" | "failed" | "dead" | "skipped";

export interface DeliveriesTable {
  id: string;
  notificationId: string;
  userId: string;
  channel: OutsideChannel;
  target: Generated<string>;
  state: DeliveryState;
  attempts: Generated<number>;
  reason: string | null;
  providerId: string | null;
  lastError: string | null;
  jobId: string | null;
  deliveredAt: number | null;
  createdAt: number;
  updatedAt: number;
}

/** Mails that wait for the job with their id. */
export interface SealedMailsTable {
  id: string;
  /** Sealed JSON. */
  content: Uint8Array;
  expiresAt: number;
}

export interface WebhooksTable {
  id: string;
  projectId: string | null;
  userId: string | null;
  url: string;
  secret: Uint8Array;
  previousSecret: Uint8Array | null;
  previousSecretUntil: number | null;
  eventTypes: string;
  active: Generated<Flag>;
  failures: Generated<number>;
  disabledAt: number | null;
  createdBy: string | null;
  version: Generated<number>;
  createdAt: number;
  updatedAt: number;
}

/** A way to a chat, push or paging service, of a user or a project. */
export interface ChannelsTable {
  id: string;
  name: string;
  preset: string;
  projectId: string | null;
  userId: string | null;
  /** JSON of the fields that are not secret. */
  fields: Generated<string>;
  /** Sealed JSON of the secret ones. */
  secrets: Uint8Array;
  eventTypes: Generated<string>;
  minPriority: Generated<number>;
  sendResolved: Generated<Flag>;
  acknowledgeLink: Generated<Flag>;
  /** JSON of the channel's own templates. */
  template: string | null;
  active: Generated<Flag>;
  failures: Generated<number>;
  disabledAt: number | null;
  disabledReason: string | null;
  createdBy: string | null;
  version: Generated<number>;
  createdAt: number;
  updatedAt: number;
  /** When it last accepted a message since its fields were changed, about; null: never. */
  acceptedAt: number | null;
}

/** The last message about one alert in a channel. */
export interface ChannelMessagesTable {
  id: string;
  channelId: string;
  key: string;
  /** Sealed JSON: ids of the message at the service. */
  ref: Uint8Array | null;
  /** Status of the message as it was last sent. */
  state: string;
  /** JSON of the message to send, and its version. */
  wanted: string | null;
  wantedVersion: Generated<number>;
  sentVersion: Generated<number>;
  error: string | null;
  createdAt: number;
  updatedAt: number;
}

export interface TransferBucketsTable {
  id: string;
  name: string;
  currentBalance: string;
  threshold: string;
  currency: string;
  state: "ok" | "below";
  lastAlertAt: number | null;
  renotifyMs: number;
  version: Generated<number>;
  createdAt: number;
  updatedAt: number;
}

export interface SoundsTable {
  id: string;
  filename: string;
  mime: string;
  bytes: number;
  sha256: string;
  storage: "local" | "s3";
  storageKey: string;
  durationMs: number | null;
  createdBy: string | null;
  createdAt: number;
  deletedAt: number | null;
}
