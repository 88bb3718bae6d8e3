import type { Selectable, Updateable } from "kysely";
import * as v from "valibot";
import type { QueueName } from "../../core/limits/queues.ts";
import { type Metrics, SECONDS_BUCKETS } from "../../core/metrics.ts";
import { DAY_MS, type EpochMs, offsetChange, zoneOffsetMs } from "../../core/time/clock.ts";
import { doc, example, integer, named, object, pattern } from "../../http/api/shapes.ts";
import type { Context, Uses } from "../../module/feature.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import type {
  DeliveriesTable,
  DeliveryState,
  NotificationKind,
  NotificationRecipientsTable,
  OutsideChannel,
  UsersTable,
} from "../../store/schema.ts";
import type { NewJob } from "../time/jobs/index.ts";
import { type NotificationFacts, PROJECT_RECIPIENT } from "./channel.ts";
import { type Circuits, type DeliveryLimits, MAX_WAIT_MS } from "./circuits.ts";
import type { PageSender } from "./pages/sender.ts";
import type { TargetQueues } from "./target-queues.ts";

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
  /** Skipped: nothing leaves a mirror project. */
  | "mirror"
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

/** A notification may wait for hours, for quiet hours to end or a provider to recover. */
const LATENCY_BUCKETS = [...SECONDS_BUCKETS, 30, 60, 300, 1800, 3600, 21_600, 86_400];

type DeliveryResult = Extract<DeliveryState, "delivered" | "failed" | "dead" | "skipped">;

export class DeliveryMetrics {
  readonly #total;
  readonly #latency;

  constructor(metrics: Metrics) {
    this.#total = metrics.counter("prism_delivery_total", "Attempts to deliver by channel and result");
    this.#latency = metrics.histogram(
      "prism_delivery_latency_seconds",
      "From a notification to its delivery by a channel that leads out",
      LATENCY_BUCKETS,
    );
  }

  count(channel: OutsideChannel, result: DeliveryResult, times = 1): void {
    this.#total({ channel, result }).add(times);
  }

  delivered(channel: OutsideChannel, latencyMs: number): void {
    this.count(channel, "delivered");
    this.#latency({ channel }).observe(Math.max(0, latencyMs) / 1000);
  }
}

/** How incidents handle the alerts of an event. */
export interface EventAlerts {
  /** The alerts fire, and silences match all of them. */
  readonly areSilenced: boolean;
  /** Users whom their incidents have notified, or notify next. */
  readonly people: ReadonlySet<string>;
}

/** Reads {@link EventAlerts}; opened later, because alerts use delivery. */
export type ReadEventAlerts = (event: {
  readonly projectId: string;
  /** The id of the alert that the event was stored with, else another id. */
  readonly correlationId: string;
  /** Rules with a key for the event: they may have opened alerts. */
  readonly rules: readonly { readonly ruleId: string; readonly key: string }[];
}) => Promise<EventAlerts | null>;

/** Dependencies of the steps of a delivery. */
export interface DeliveryContext
  extends Uses<
    "db" | "jobs" | "audit" | "box" | "clock" | "log" | "presence" | "settings" | "notify" | "channels" | "projects"
  > {
  readonly circuits: Circuits;
  readonly limits: DeliveryLimits;
  readonly metrics: DeliveryMetrics;
  /** This process's attempts, ordered by target. */
  readonly queues: TargetQueues;
  readonly pages: PageSender;
  /** Whom incidents notify of the alerts of an event. */
  readonly eventAlerts: ReadEventAlerts;
}

/** Dependencies for opening the feature. */
export type DeliveryParts = Context<
  | "jobs"
  | "runner"
  | "jobControl"
  | "workerLeases"
  | "notify"
  | "channels"
  | "sounds"
  | "pusher"
  | "webPush"
  | "projects"
>;

const clockTime = doc(
  pattern(/^([01]\d|2[0-3]):[0-5]\d$/, "must be a time of day such as 22:30"),
  "Local time such as 22:30",
);
const CHANNELS = ["in_app", "push", "email", "webhook", "service"] as const;
const channels = v.optional(doc(v.pipe(v.array(v.picklist(CHANNELS)), v.maxLength(5)), "Channels for this kind"));
const channelsByKind = {
  rule: channels,
  direct: channels,
  timer: channels,
  digest: channels,
  alert: channels,
  aggregate: channels,
  incident: channels,
  oncall: channels,
} satisfies Record<NotificationKind, typeof channels>;

export const NOTIFICATION_KINDS = Object.keys(channelsByKind) as NotificationKind[];

/** How and when a user wants notifications. Stored as sent; absent members mean the default. */
export const Preferences = example(
  named(
    "Preferences",
    "The notification preferences of a user",
    object({
      channels: v.optional(doc(object(channelsByKind), "Channels by kind of notification; default: all")),
      quietHours: v.optional(
        doc(
          v.nullable(object({ from: clockTime, to: clockTime })),
          "Local times between which push, email and services wait; priority 500 and above is sent",
        ),
      ),
      minPriority: v.optional(doc(integer(0, 1000), "Lower priorities are only listed, not sent")),
      emailAlerts: v.optional(doc(v.boolean(), "Whether alerts are also sent by email; default true")),
      digest: v.optional(doc(v.boolean(), "Whether the daily digest is sent; default true")),
    }),
  ),
  { quietHours: { from: "22:00", to: "07:00" }, minPriority: 10, channels: { digest: ["email"] } },
);
export type Preferences = v.InferOutput<typeof Preferences>;

/** Quiet hours do not hold notifications of this priority and above. */
export const URGENT = 500;

/** Names in preferences: the push service is the device's, and Pusher is a live connection. */
const NAMED = {
  pusher: "in_app",
  fcm: "push",
  apns: "push",
  webpush: "push",
  email: "email",
  webhook: "webhook",
  service: "service",
} as const satisfies Record<OutsideChannel, string>;

type Facts = Pick<NotificationFacts, "kind" | "priority">;

/** Pages of high urgency have this priority. */
const PAGE_PRIORITY = 800;
const OUTSIDE = ["push", "email", "webhook", "service"] as const;

/** Preferences that keep pages from the user; they are stored all the same. */
export function preferenceWarnings({ minPriority = 0, channels: byKind }: Preferences) {
  const found: { code: "below-minimum" | "no-outside-way"; message: string }[] = [];
  if (minPriority > PAGE_PRIORITY)
    found.push({
      code: "below-minimum",
      message: `minPriority is above ${PAGE_PRIORITY}: notices of incidents do not reach you outside of the app`,
    });
  const wanted = byKind?.incident;
  if (wanted && !OUTSIDE.some((each) => wanted.includes(each)))
    found.push({
      code: "no-outside-way",
      message: "No channel outside of the app is chosen for incidents: you are not paged, and others are instead",
    });
  return found;
}

const { channels: byKind, quietHours, minPriority, emailAlerts, digest } = Preferences.entries;

/** The preferences with the default of each member that is not stored. */
export const FullPreferences = named(
  "FullPreferences",
  "The notification preferences of a user, defaults included",
  v.object({
    channels: byKind.wrapped,
    quietHours: quietHours.wrapped,
    minPriority: minPriority.wrapped,
    emailAlerts: emailAlerts.wrapped,
    digest: digest.wrapped,
  }),
);

export type FullPreferences = v.InferOutput<typeof FullPreferences>;

/** The answer to a change. */
export const ChangedPreferences = named(
  "ChangedPreferences",
  "The notification preferences of a user, and which of them keep pages from the user",
  v.object({
    ...FullPreferences.entries,
    warnings: v.array(v.object({ code: v.picklist(["below-minimum", "no-outside-way"]), message: v.string() })),
  }),
);

/** Why a user does not want a notification by a channel; null when wanted. */
export function refusal(prefs: Preferences, channel: OutsideChannel, { kind, priority }: Facts): DeliveryReason | null {
  const wanted = prefs.channels?.[kind];
  if (wanted && !wanted.includes(NAMED[channel])) return "channel off";
  if (channel === "email" && !wantsMail(prefs, kind)) return "channel off";
  // Digests have their own setting.
  return kind !== "digest" && priority < (prefs.minPriority ?? 0) ? "below minimum priority" : null;
}

/** Whether a user accepts mails of a kind. */
export function wantsMail({ channels, emailAlerts, digest }: Preferences, kind: NotificationKind): boolean {
  if (kind === "alert" && emailAlerts === false) return false;
  if (kind === "digest" && digest === false) return false;
  return channels?.[kind]?.includes("email") ?? true;
}

/** The preferences without mails of a kind; its other channels stay. */
export function withoutMail(prefs: Preferences, kind: NotificationKind): Preferences {
  const others = (prefs.channels?.[kind] ?? CHANNELS).filter((channel) => channel !== "email");
  return { ...prefs, channels: { ...prefs.channels, [kind]: others } };
}

/** End of the quiet hours that hold a notification; null when none do. */
export function heldUntil(
  prefs: Preferences,
  timezone: string,
  channel: OutsideChannel,
  { priority }: Facts,
  at: EpochMs,
): EpochMs | null {
  const isHeld = (isPush(channel) || channel === "email" || channel === "service") && priority < URGENT;
  return isHeld && prefs.quietHours ? quietUntil(at, timezone, prefs.quietHours) : null;
}

export function isPush(channel: OutsideChannel): boolean {
  return NAMED[channel] === "push";
}

/** Times of day such as 22:00 in the user's time zone; `to` before `from` is on the next day. */
interface QuietHours {
  readonly from: string;
  readonly to: string;
}

/**
 * End of the quiet hours at an instant; null outside them. They follow the wall clock: when a
 * daylight-saving gap skips their end they end with the gap, and a repeated hour is quiet each time
 * it is within them.
 */
export function quietUntil(at: EpochMs, timezone: string, hours: QuietHours): EpochMs | null {
  const to = msOfDay(hours.to);
  let now = at;
  while (isQuiet(now, timezone, hours)) {
    const end = now + modulo(to - wallMs(now, timezone));
    const change = offsetChange(timezone, now, end);
    if (change === undefined) return end;
    // The offset changes before that: continue from the change.
    now = change;
  }
  return now === at ? null : now;
}

/** Equal times mean no quiet hours. */
function isQuiet(at: EpochMs, timezone: string, { from, to }: QuietHours): boolean {
  const start = msOfDay(from);
  return modulo(wallMs(at, timezone) - start) < modulo(msOfDay(to) - start);
}

/** Wall clock time since midnight. */
function wallMs(at: EpochMs, timezone: string): number {
  return modulo(at + zoneOffsetMs(timezone, at));
}

function modulo(ms: number): number {
  return ((ms % DAY_MS) + DAY_MS) % DAY_MS;
}

function msOfDay(time: string): number {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  return (hours * 60 + minutes) * 60_000;
}
