/**
 * The event log, rules and their decisions, and the consequences: notifications, streams, messages,
 * tasks, deliveries.
 */
import type { Generated } from "kysely";
import type { Level } from "../../core/text/vocabulary.ts";
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

export interface DecisionsTable {
  eventSeq: number;
  ruleId: string;
  ruleVersion: number;
  outcome: DecisionOutcome;
  notificationId: string | null;
  at: number;
  /** Counting key of a threshold or absence rule; otherwise null. */
  key: string | null;
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

export interface StreamGapsTable {
  stream: string;
  fromSeq: number;
  toSeq: number;
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

export interface EventTables {
  events: EventsTable;
  event_failures: EventFailuresTable;
  event_slices: EventSlicesTable;
  /** The senders of events whose ids they chose. */
  event_senders: {
    eventSeq: number;
    sender: string;
  };
  event_consumers: {
    name: string;
    cursor: number;
    updatedAt: number;
  };
  rule_stats: {
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
  };
  decisions: DecisionsTable;
  /** The last match of each key that a rule awaits. */
  rule_absences: {
    ruleId: string;
    projectId: string;
    key: string;
    lastAt: number;
    /** 0: none since the rule took effect. */
    lastSeq: number;
    /** When the rule fired for its absence; null since the last match. */
    firedAt: number | null;
  };
  suppression_windows: {
    ruleId: string;
    key: string;
    bucketStart: number;
    count: number;
  };
  suppressed_keys: {
    batchId: string;
    key: string;
  };
  suppressed_batches: SuppressedBatchesTable;
  notifications: NotificationsTable;
  notification_recipients: NotificationRecipientsTable;
  stream_log: {
    seq: number;
    stream: string;
    type: string;
    data: string;
    correlationId: string;
    createdAt: number;
  };
  stream_gaps: StreamGapsTable;
  deliveries: DeliveriesTable;
  /** Mails that wait for the job with their id. */
  sealed_mails: {
    id: string;
    /** Sealed JSON. */
    content: Uint8Array;
    expiresAt: number;
  };
  channel_messages: ChannelMessagesTable;
}
