import type { Selectable } from "kysely";
import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import { columnJson, jsonOf, withMember } from "../../http/api/route.ts";
import {
  Action,
  ChannelList,
  doc,
  example,
  instant,
  integer,
  jsonObject,
  named,
  object,
  pageEntries,
  queryBoolean,
  queryInteger,
  text,
  uuid,
} from "../../http/api/shapes.ts";
import type { NotifiedRecipient } from "../../store/effect.ts";
import type { EventsTable, NotificationRecipientsTable, NotificationsTable } from "../../store/schema.ts";
import type { SoundUrlOf } from "./sounds/index.ts";

export const MAX_DELAY_MS = 31_536_000_000;

const STATUSES = ["unread", "read", "acknowledged", "undelivered", "all"] as const;

const KINDS = ["rule", "direct", "timer", "digest", "alert", "aggregate", "incident", "oncall"] as const;

const filters = {
  status: v.optional(doc(v.picklist(STATUSES), "Only notifications in this state; default `all`")),
  ruleId: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Id of the rule that sent it")),
  from: v.optional(doc(instant, "Created at or after")),
  to: v.optional(doc(instant, "Created before")),
  after: v.optional(doc(queryInteger(0, Number.MAX_SAFE_INTEGER), "Only entries after this offset")),
};

export const ListNotifications = object({
  ...filters,
  q: v.optional(doc(text(100, 1), "Text in title or message")),
  projectId: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Id of the project")),
  kind: v.optional(doc(v.picklist(KINDS), "Kind of notification")),
  minPriority: v.optional(doc(queryInteger(0, 1000), "Lowest priority; 500 and above are urgent")),
  userId: v.optional(doc(v.pipe(v.string(), v.maxLength(128)), "Another user; needs `notifications:read_all`")),
  ...pageEntries(),
});
export type ListNotifications = v.InferOutput<typeof ListNotifications>;
export type Filters = Omit<ListNotifications, "userId" | "limit" | "page" | "offset" | "cursor">;

export const HistoryQuery = object({ status: filters.status, ...pageEntries() });

export const MissedQuery = object({
  since: v.optional(doc(v.pipe(v.string(), v.maxLength(40)), "An offset or a time; default: all that is undelivered")),
  limit: pageEntries().limit,
  cursor: pageEntries().cursor,
  ack: v.optional(doc(queryBoolean, "Marks the returned entries as delivered")),
});
export type MissedQuery = v.InferOutput<typeof MissedQuery>;

export const ExportNotifications = object({
  projectId: v.optional(doc(uuid, "Id of a project")),
  from: filters.from,
  to: filters.to,
});
export type ExportNotifications = v.InferOutput<typeof ExportNotifications>;

export const UserParams = object({ userId: doc(v.string(), "Id, external id, username or mail address, or `me`") });
export const Params = object({ id: doc(v.string(), "Id of the notification") });

export const SendNotification = example(
  v.pipe(
    object({
      recipients: v.optional(
        doc(
          v.pipe(v.array(text(128, 1)), v.minLength(1), v.maxLength(1000)),
          "Ids, external ids or usernames; this or `userId`",
        ),
      ),
      userId: v.optional(doc(text(128, 1), "Id, external id, username or mail address; `me` for the caller")),
      title: doc(text(255, 1), "Title"),
      message: v.optional(doc(text(4000, 1), "Text; this or `body`")),
      body: v.optional(doc(text(4000, 1), "Another name of `message`")),
      sound: v.optional(doc(v.nullable(text(255, 1)), "Id or file name of a sound")),
      action: v.optional(doc(v.nullable(Action), "Action that the app offers")),
      data: v.optional(doc(v.nullable(jsonObject(16_384)), "Data for the app")),
      priority: v.optional(doc(integer(0, 1000), "Higher is more urgent; default 0")),
      channels: v.optional(ChannelList),
      dedupeKey: v.optional(doc(text(256, 1), "Key of the sender; a repeated key returns the existing notification")),
      sendAt: v.optional(doc(instant, "Time to send it, within a year; a past time means now")),
      delayMs: v.optional(doc(integer(0, MAX_DELAY_MS), "Delay from now, up to a year")),
    }),
    v.check((value) => (value.recipients === undefined) !== (value.userId === undefined), "give recipients or userId"),
    v.check((value) => (value.message === undefined) !== (value.body === undefined), "give message or body"),
    v.check((value) => value.sendAt === undefined || value.delayMs === undefined, "give sendAt or delayMs"),
  ),
  { userId: "me", title: "Backup finished", message: "42 GB in 12 minutes", priority: 100 },
);
export type SendNotification = v.InferOutput<typeof SendNotification>;

const newRecipients = {
  newRecipients: v.optional(
    doc(
      v.array(v.string()),
      "Recipients without an account, for whom one without a password was created " +
        "(`notifications.unknownRecipient: provision`); absent without any",
    ),
  ),
};

/** The answer to a notification that is sent later. */
export const ScheduledReply = named(
  "ScheduledSend",
  "The job that will send the notification",
  v.object({ jobId: v.string(), runAt: v.string(), ...newRecipients }),
);

export const DeliveryView = named(
  "Delivery",
  "A delivery of a notification by one channel",
  v.object({
    id: v.string(),
    channel: v.picklist(["pusher", "fcm", "apns", "webpush", "email", "webhook", "service"]),
    target: doc(v.string(), "Id of the device, webhook or channel; empty for channels with a single target"),
    state: v.picklist(["queued", "sending", "delivered", "failed", "dead", "skipped"]),
    reason: doc(v.nullable(v.string()), "Reason why it is pending or skipped"),
    attempts: v.number(),
    lastError: v.nullable(v.string()),
    createdAt: v.string(),
    updatedAt: v.string(),
    deliveredAt: v.nullable(v.string()),
  }),
);

/** For administrators: notifications of another user. */
export const OnBehalfQuery = object({
  userId: v.optional(
    doc(text(128, 1), "Another user: needs users:manage and notifications:read_all; default: the caller"),
  ),
});

export const ReadAllBody = example(
  object({
    before: v.optional(doc(instant, "Only notifications created before; default: all")),
    ids: v.optional(doc(v.pipe(v.array(uuid), v.minLength(1), v.maxLength(200)), "Only these notifications")),
  }),
  {},
);

export type ReadAllBody = v.InferOutput<typeof ReadAllBody>;

export const AcknowledgeBody = example(
  object({ note: v.optional(doc(text(500), "Stored with the acknowledgement; a later note replaces it")) }),
  { note: "On it" },
);

export const WebviewBody = example(
  object({
    action: v.optional(doc(text(100, 1), "Kind of action; default `open`")),
    url: v.optional(doc(text(2048, 1), "Link that was opened")),
    metadata: v.optional(doc(jsonObject(4096), "Data of the app")),
  }),
  { action: "open", url: "https://example.com/orders/A-1001" },
);
export type WebviewBody = v.InferOutput<typeof WebviewBody>;

const WebviewAction = v.object({
  action: v.string(),
  url: v.nullable(v.string()),
  metadata: v.nullable(v.record(v.string(), v.unknown())),
  at: v.string(),
});

export const NotificationView = named(
  "Notification",
  "A notification as its recipient sees it",
  v.object({
    id: v.string(),
    ruleId: v.nullable(v.string()),
    eventId: v.nullable(v.string()),
    projectId: v.nullable(v.string()),
    kind: v.picklist(KINDS),
    title: v.string(),
    message: v.string(),
    body: v.string(),
    sound: v.nullable(v.string()),
    soundUrl: v.nullable(v.string()),
    action: v.nullable(Action),
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

/** The answer to sending. */
export const SentNotification = named(
  "SentNotification",
  "A notification that was sent",
  v.object({ ...NotificationView.entries, ...newRecipients }),
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

/** A notification with its delivery attempts to the caller. */
export const NotificationDetail = named(
  "NotificationDetail",
  "A notification with its deliveries and responses",
  v.object({
    ...NotificationView.entries,
    deliveries: v.array(DeliveryView),
    responses: doc(
      v.array(ResponseView),
      `Responses of recipients, at most ${MAX_RESPONSES}; those of others need notifications:read_all`,
    ),
  }),
);

/** The members of a stored or new event that {@link eventJson} needs. */
export interface EventFacts extends Omit<EventsTable, "payload"> {
  readonly payload: string;
}

/** An event as every client sees it, as JSON text, with the payload's text as it is stored. */
export function eventJson(event: EventFacts) {
  const head = jsonOf({
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
  return withMember(head, "payload", columnJson<Readonly<Record<string, unknown>>>(event.payload));
}

type NotificationFacts = Omit<
  Selectable<NotificationsTable>,
  "dedupeKey" | "scheduledJobId" | "expiresAt" | "channels" | "incidentId"
> & { readonly incidentId?: string | null };

type RecipientRow = Selectable<NotificationRecipientsTable>;
type RecipientFacts = Pick<RecipientRow, "userId" | "seq" | "delivered" | "readAt" | "acknowledgedAt" | "openedAt"> &
  Partial<Pick<RecipientRow, "acknowledgeNote" | "webviewAction">>;

/** A recipient's part in a notification before any delivery or action. */
export const UNTOUCHED = { delivered: 0, readAt: null, acknowledgedAt: null, openedAt: null } as const;

/** The part of a notification that an app opened. */
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
    action: parseOrNull<v.InferInput<typeof Action>>(notification.action),
    data: parseOrNull<Readonly<Record<string, unknown>>>(notification.data),
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
      webviewAction: parseOrNull<WebviewActionView>(recipient.webviewAction ?? null),
    },
  };
}

/** {@link notificationView} of one that has just been stored. @param recipients all, for those who may see them */
export function newNotificationView(
  { notification, recipient }: NotifiedRecipient,
  recipients: readonly string[] | null,
  soundUrlOf: SoundUrlOf,
) {
  return notificationView(
    { ...notification, aggregateCount: 1, delivered: 0, pusherEventSent: 0, deliveredAt: null },
    { ...recipient, ...UNTOUCHED },
    recipients && { recipients, acknowledgedBy: [] },
    soundUrlOf,
  );
}

function parseOrNull<T>(json: string | null): T | null {
  return json === null ? null : JSON.parse(json);
}
