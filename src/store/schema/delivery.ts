/** How notifications leave the house, and what is watched besides events. */
import type { Generated } from "kysely";
import type { Flag } from "./flag.ts";

/** Channels that lead out of the program; `in_app` is the recipient's row itself. */
export type OutsideChannel = "pusher" | "fcm" | "apns" | "email" | "webhook";
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
