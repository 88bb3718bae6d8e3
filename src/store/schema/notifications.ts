/** What people are told: notifications, live streams, messages, tasks. */
import type { Generated } from "kysely";
import type { Flag } from "./flag.ts";

export type NotificationKind = "rule" | "direct" | "timer" | "digest" | "alert" | "aggregate";

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
  /** JSON text: the last one, with its time. */
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
