import type { Selectable } from "kysely";
import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import { pageEntries } from "../../http/pagination.ts";
import {
  Action,
  ChannelList,
  instant,
  integer,
  jsonObject,
  named,
  object,
  queryBoolean,
  queryInteger,
  text,
} from "../../http/shapes.ts";
import type { EventsTable, NotificationRecipientsTable, NotificationsTable } from "../../store/schema.ts";
import type { SoundUrlOf } from "../sounds/index.ts";

export const MAX_DELAY_MS = 31_536_000_000;

const STATUSES = ["unread", "read", "acknowledged", "undelivered", "all"] as const;

const filters = {
  status: v.optional(v.picklist(STATUSES)),
  ruleId: v.optional(v.pipe(v.string(), v.maxLength(64))),
  from: v.optional(instant),
  to: v.optional(instant),
  after: v.optional(v.pipe(queryInteger(0, Number.MAX_SAFE_INTEGER), v.description("Only those behind this offset"))),
};

export const ListQuery = object({
  ...filters,
  userId: v.optional(
    v.pipe(v.string(), v.maxLength(128), v.description("Somebody else's; needs notifications:read_all")),
  ),
  ...pageEntries(),
});
export type ListQuery = v.InferOutput<typeof ListQuery>;
export type Filters = Omit<ListQuery, "userId" | "limit" | "page" | "offset" | "cursor">;

export const HistoryQuery = object({ status: filters.status, ...pageEntries() });

export const MissedQuery = object({
  since: v.optional(
    v.pipe(v.string(), v.maxLength(40), v.description("An offset, or a time; default: everything undelivered")),
  ),
  limit: pageEntries().limit,
  cursor: pageEntries().cursor,
  ack: v.optional(v.pipe(queryBoolean, v.description("What is shown is marked delivered before the answer"))),
});
export type MissedQuery = v.InferOutput<typeof MissedQuery>;

export const UserParams = object({ userId: v.string() });
export const Params = object({ id: v.string() });

export const SendBody = v.pipe(
  object({
    recipients: v.optional(v.pipe(v.array(text(128, 1)), v.minLength(1), v.maxLength(1000))),
    userId: v.optional(text(128, 1)),
    title: text(255, 1),
    message: v.optional(text(4000, 1)),
    body: v.optional(v.pipe(text(4000, 1), v.description("Another name of message"))),
    sound: v.optional(v.nullable(text(255, 1))),
    action: v.optional(v.nullable(Action)),
    data: v.optional(v.nullable(jsonObject(16_384))),
    priority: v.optional(integer(0, 1000)),
    channels: v.optional(ChannelList),
    dedupeKey: v.optional(
      v.pipe(
        text(256, 1),
        v.description("The sender's own: the notification that holds it is answered in place of a new one"),
      ),
    ),
    sendAt: v.optional(
      v.pipe(instant, v.description("Later: at this instant, within a year; one that is past is now")),
    ),
    delayMs: v.optional(v.pipe(integer(0, MAX_DELAY_MS), v.description("Later: milliseconds from now, up to a year"))),
  }),
  v.check((value) => (value.recipients === undefined) !== (value.userId === undefined), "give recipients or userId"),
  v.check((value) => (value.message === undefined) !== (value.body === undefined), "give message or body"),
  v.check((value) => value.sendAt === undefined || value.delayMs === undefined, "give sendAt or delayMs"),
);
export type SendBody = v.InferOutput<typeof SendBody>;

/** The answer to a notification that is sent later. */
export const ScheduledReply = v.object({ jobId: v.string(), runAt: v.string() });

export const DeliveryView = named(
  "Delivery",
  v.object({
    id: v.string(),
    channel: v.picklist(["pusher", "fcm", "apns", "email", "webhook"]),
    target: v.pipe(v.string(), v.description("Id of the device or webhook; empty where there is one place only")),
    state: v.picklist(["queued", "sending", "delivered", "failed", "dead", "skipped"]),
    reason: v.pipe(v.nullable(v.string()), v.description("Why it waits or was skipped")),
    attempts: v.number(),
    lastError: v.nullable(v.string()),
    createdAt: v.string(),
    updatedAt: v.string(),
    deliveredAt: v.nullable(v.string()),
  }),
);

export const ReadAllBody = object({ before: v.optional(instant) });

export const AcknowledgeBody = object({
  note: v.optional(v.pipe(text(500), v.description("Stored with your acknowledgement; a later one replaces it"))),
});

export const WebviewBody = object({
  action: v.optional(text(100, 1)),
  url: v.optional(text(2048, 1)),
  metadata: v.optional(jsonObject(4096)),
});
export type WebviewBody = v.InferOutput<typeof WebviewBody>;

const WebviewAction = v.object({
  action: v.string(),
  url: v.nullable(v.string()),
  metadata: v.nullable(v.record(v.string(), v.unknown())),
  at: v.string(),
});

export const NotificationView = named(
  "Notification",
  v.object({
    id: v.string(),
    ruleId: v.nullable(v.string()),
    eventId: v.nullable(v.string()),
    projectId: v.nullable(v.string()),
    kind: v.picklist(["rule", "direct", "timer", "digest", "alert", "aggregate"]),
    title: v.string(),
    message: v.string(),
    body: v.string(),
    sound: v.nullable(v.string()),
    soundUrl: v.nullable(v.string()),
    action: v.nullable(v.record(v.string(), v.unknown())),
    data: v.nullable(v.record(v.string(), v.unknown())),
    priority: v.number(),
    recipients: v.array(v.string()),
    acknowledgedBy: v.array(v.string()),
    delivered: v.boolean(),
    pusherEventSent: v.boolean(),
    correlationId: v.string(),
    createdAt: v.string(),
    deliveredAt: v.nullable(v.string()),
    aggregateCount: v.number(),
    offset: v.number(),
    userId: v.string(),
    read: v.boolean(),
    me: v.object({
      delivered: v.boolean(),
      readAt: v.nullable(v.string()),
      acknowledgedAt: v.nullable(v.string()),
      acknowledgeNote: v.nullable(v.string()),
      openedAt: v.nullable(v.string()),
      webviewAction: v.nullable(WebviewAction),
    }),
  }),
);

/** Answers of recipients that one notification shows. */
export const MAX_RESPONSES = 500;

const ResponseView = v.object({
  userId: v.string(),
  acknowledgedAt: v.nullable(v.string()),
  note: v.nullable(v.string()),
  openedAt: v.nullable(v.string()),
  webviewAction: v.nullable(WebviewAction),
});

/** One notification, with what of it went to the caller outside of the list. */
export const NotificationDetail = named(
  "NotificationDetail",
  v.object({
    ...NotificationView.entries,
    deliveries: v.array(DeliveryView),
    responses: v.pipe(
      v.array(ResponseView),
      v.description(
        `Who acknowledged it or opened something from it, at most ${MAX_RESPONSES}: your own, with notifications:read_all everyone's`,
      ),
    ),
  }),
);

/** What {@link eventJson} needs of an event, stored or about to be. */
export interface EventFacts extends Omit<EventsTable, "payload"> {
  readonly payload: string;
}

/**
 * An event as every client sees it, as JSON text: the payload's own text is put in as it is stored.
 */
export function eventJson(event: EventFacts): string {
  const head = JSON.stringify({
    id: event.id,
    seq: event.seq,
    projectId: event.projectId,
    type: event.type,
    level: event.level,
    source: event.source,
    dedupeKey: event.dedupeKey,
    occurredAt: toRfc3339(event.occurredAt),
    receivedAt: toRfc3339(event.receivedAt),
    processedAt: toRfc3339OrNull(event.processedAt),
    correlationId: event.correlationId ?? event.id,
  });
  return `${head.slice(0, -1)},"payload":${event.payload}}`;
}

type NotificationFacts = Omit<
  Selectable<NotificationsTable>,
  "dedupeKey" | "scheduledJobId" | "expiresAt" | "channels"
>;

type RecipientRow = Selectable<NotificationRecipientsTable>;
type RecipientFacts = Pick<RecipientRow, "userId" | "seq" | "delivered" | "readAt" | "acknowledgedAt" | "openedAt"> &
  Partial<Pick<RecipientRow, "acknowledgeNote" | "webviewAction">>;

/** A recipient's part in a notification before any delivery or action. */
export const UNTOUCHED = { delivered: 0, readAt: null, acknowledgedAt: null, openedAt: null } as const;

/** What an app opened from a notification. */
export type WebviewActionView = v.InferOutput<typeof WebviewAction>;

/**
 * A notification as one recipient sees it, with the members that older clients read
 * (docs/coming-from.md): `body`, `userId`, `read`.
 */
export function notificationView(
  notification: NotificationFacts,
  recipient: RecipientFacts,
  /** All recipients, for users who may see them; else only the one. */
  all: { readonly recipients: readonly string[]; readonly acknowledgedBy: readonly string[] } | null,
  soundUrlOf: SoundUrlOf,
) {
  return {
    id: notification.id,
    ruleId: notification.ruleId,
    eventId: notification.eventId,
    projectId: notification.projectId,
    kind: notification.kind,
    title: notification.title,
    message: notification.message,
    body: notification.message,
    sound: notification.sound,
    soundUrl: soundUrlOf(notification.sound),
    action: parseOrNull(notification.action),
    data: parseOrNull(notification.data),
    priority: notification.priority,
    recipients: all?.recipients ?? [recipient.userId],
    acknowledgedBy: all?.acknowledgedBy ?? (recipient.acknowledgedAt === null ? [] : [recipient.userId]),
    delivered: notification.delivered === 1,
    pusherEventSent: notification.pusherEventSent === 1,
    correlationId: notification.correlationId,
    createdAt: toRfc3339(notification.createdAt),
    deliveredAt: toRfc3339OrNull(notification.deliveredAt),
    aggregateCount: notification.aggregateCount,
    offset: recipient.seq,
    userId: recipient.userId,
    read: recipient.readAt !== null,
    me: {
      delivered: recipient.delivered === 1,
      readAt: toRfc3339OrNull(recipient.readAt),
      acknowledgedAt: toRfc3339OrNull(recipient.acknowledgedAt),
      acknowledgeNote: recipient.acknowledgeNote ?? null,
      openedAt: toRfc3339OrNull(recipient.openedAt),
      webviewAction: parseOrNull(recipient.webviewAction ?? null),
    },
  };
}

function parseOrNull(json: string | null): unknown {
  return json === null ? null : JSON.parse(json);
}
