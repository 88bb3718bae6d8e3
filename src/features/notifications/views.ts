import { toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import type { EventsTable, NotificationKind } from "../../store/schema.ts";
import type { SoundUrlOf } from "../sounds/index.ts";

/** What {@link eventJson} needs of an event, stored or about to be. */
export interface EventFacts extends Omit<EventsTable, "payload"> {
  readonly payload: string;
}

/** An event as every client sees it, as JSON text: the payload's own text is put in as it is stored. */
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

export interface NotificationFacts {
  readonly id: string;
  readonly ruleId: string | null;
  readonly eventId: string | null;
  readonly projectId: string | null;
  readonly kind: NotificationKind;
  readonly title: string;
  readonly message: string;
  readonly sound: string | null;
  /** JSON text. */
  readonly action: string | null;
  readonly data: string | null;
  readonly priority: number;
  readonly aggregateCount: number;
  readonly delivered: 0 | 1;
  readonly pusherEventSent: 0 | 1;
  readonly correlationId: string;
  readonly createdAt: number;
  readonly deliveredAt: number | null;
}

export interface RecipientFacts {
  readonly userId: string;
  readonly seq: number;
  readonly delivered: 0 | 1;
  readonly readAt: number | null;
  readonly acknowledgedAt: number | null;
  readonly openedAt: number | null;
  /** Absent: none, as in every notification that is new. */
  readonly acknowledgeNote?: string | null;
  /** JSON text, as {@link WebviewActionView}. */
  readonly webviewAction?: string | null;
}

/** What an app opened from a notification. */
export interface WebviewActionView {
  readonly action: string;
  readonly url: string | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly at: string;
}

/** A notification as one recipient sees it, with the members that clients of S0 read: `body`, `userId`, `read`. */
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
