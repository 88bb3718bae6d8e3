import type { Selectable, Updateable } from "kysely";
import type { QueueName } from "../../core/limits/queues.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { DeliveriesTable, NotificationRecipientsTable, UsersTable } from "../../store/schema.ts";
import type { NewJob } from "../time/jobs/index.ts";
import { type NotificationFacts, PROJECT_RECIPIENT } from "./channel.ts";
import { MAX_WAIT_MS } from "./limits.ts";

/** Why a delivery waits or was skipped: `deliveries.reason`, shown by explain. */
export type DeliveryReason =
  /** Waits for the end of the user's quiet hours. */
  | "quiet hours"
  /** Waits because the user is connected and may see it live. */
  | "connected"
  /** Waits because it exceeds the limit; merged with others, unless it is alone. */
  | "rate limited"
  /** Waits for a paused provider. */
  | "provider paused"
  /** Waits for the time that the service named, or for the channel's rate. */
  | "asked to wait"
  /** Waits for earlier calls of the same target, or for a worker that its host or owner may use. */
  | "behind earlier ones"
  /** Waits for a remote worker to claim it. */
  | "for a worker"
  /** Skipped: a later notice of the incident replaces it, or a person has taken care of it. */
  | "overtaken"
  /** Skipped: one message represents it and others that exceeded the limit. */
  | "merged"
  /** Skipped: the user has seen it live. */
  | "delivered live"
  /** Skipped: another rule or an incident notifies the user of the same event. */
  | "same alarm"
  /** Skipped: a silence matches the alert of the event. */
  | "silenced"
  /** Skipped: the user has switched off this kind on this channel. */
  | "channel off"
  | "below minimum priority"
  | "expired"
  | "deleted by recipient"
  | "recipient not active"
  | "channel not configured"
  /** Skipped by an operator. */
  | "cancelled";

/** A delivery and everything its attempt depends on. */
export interface DeliveryFacts {
  readonly delivery: Selectable<DeliveriesTable>;
  readonly notification: NotificationFacts;
  readonly recipient: Pick<Selectable<NotificationRecipientsTable>, "delivered" | "deletedAt">;
  readonly user: Pick<Selectable<UsersTable>, "status" | "deletedAt" | "timezone" | "prefs">;
  /** Of the recipient's own entry. */
  readonly offset: number;
}

/** A delivery to a project: nothing a recipient does ends it. */
const OF_PROJECT = {
  recipient: { delivered: 0, deletedAt: null },
  user: { status: "active", deletedAt: null, timezone: "UTC", prefs: "{}" },
  offset: 0,
} as const;

/** Whether the delivery needs no further work. */
export function isOver({ delivery }: DeliveryFacts): boolean {
  return delivery.state === "delivered" || delivery.state === "skipped";
}

/** Whether it is a page. Its job is for a remote worker: the server itself sends pages without jobs. */
export function isPage({ notification }: Pick<DeliveryFacts, "notification">): boolean {
  return notification.kind === "incident";
}

/** @returns undefined when its notification or recipient is gone. */
export async function findDelivery(id: string, db: ReadDb): Promise<DeliveryFacts | undefined> {
  const delivery = await db.selectFrom("deliveries").selectAll().where("id", "=", id).executeTakeFirst();
  if (!delivery) return undefined;
  const { notificationId, userId } = delivery;
  const notification = await db
    .selectFrom("notifications")
    .selectAll()
    .where("id", "=", notificationId)
    .executeTakeFirst();
  if (notification && userId === PROJECT_RECIPIENT) return { delivery, notification, ...OF_PROJECT };
  const recipient = await db
    .selectFrom("notification_recipients")
    .select(["delivered", "deletedAt", "seq"])
    .where("notificationId", "=", notificationId)
    .where("userId", "=", userId)
    .executeTakeFirst();
  const user = await db
    .selectFrom("users")
    .select(["status", "deletedAt", "timezone", "prefs"])
    .where("id", "=", userId)
    .executeTakeFirst();
  return notification && recipient && user
    ? { delivery, notification, recipient, user, offset: recipient.seq }
    : undefined;
}

export async function updateDelivery(
  trx: Trx,
  id: string,
  changes: Updateable<DeliveriesTable> & { readonly reason?: DeliveryReason | null; readonly updatedAt: EpochMs },
): Promise<void> {
  await trx.updateTable("deliveries").set(changes).where("id", "=", id).execute();
}

export const ATTEMPT_JOB = "delivery.attempt";
export const MERGE_JOB = "delivery.merge";

type Job = Omit<NewJob, "maxAttempts">;

export interface AttemptPayload {
  readonly deliveryId: string;
}

export interface MergePayload {
  readonly userId: string;
}

/** The job of one delivery, in the queue of its channel. Both have the same id. */
export function attemptJob(
  { id }: { readonly id: string },
  { priority, correlationId }: { readonly priority: number; readonly correlationId: string },
  runAt: EpochMs,
  queue: QueueName,
): Job {
  return {
    id,
    queue,
    kind: ATTEMPT_JOB,
    payload: { deliveryId: id } satisfies AttemptPayload,
    runAt,
    priority,
    dedupeKey: `delivery:${id}`,
    correlationId,
  };
}

/** Merges a user's rate-limited notifications into one message, after the longest wait. */
export function mergeJob(userId: string, now: EpochMs): Job {
  return {
    queue: "notification-delivery",
    kind: MERGE_JOB,
    payload: { userId } satisfies MergePayload,
    runAt: now + MAX_WAIT_MS,
    dedupeKey: `merge:${userId}`,
  };
}
