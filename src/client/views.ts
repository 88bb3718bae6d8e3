/** What the server sends, with fixed shapes (docs/realtime.md). Instants are RFC 3339 texts. */

/** An action that an app offers with a notification; other members are kept. */
export interface NotificationAction {
  readonly type: string;
  readonly url?: string | undefined;
  readonly label?: string | undefined;
  readonly [other: string]: unknown;
}

/** A notification as its recipient sees it. */
export interface Notification {
  readonly id: string;
  readonly ruleId: string | null;
  readonly eventId: string | null;
  readonly projectId: string | null;
  readonly kind: "rule" | "direct" | "timer" | "digest" | "alert" | "aggregate" | "incident" | "oncall";
  readonly title: string;
  readonly message: string;
  /** Equal to `message`. */
  readonly body: string;
  readonly sound: string | null;
  readonly soundUrl: string | null;
  readonly action: NotificationAction | null;
  readonly data: Readonly<Record<string, unknown>> | null;
  readonly priority: number;
  readonly recipients: readonly string[];
  readonly acknowledgedBy: readonly string[];
  readonly delivered: boolean;
  readonly pusherEventSent: boolean;
  readonly correlationId: string;
  readonly createdAt: string;
  readonly deliveredAt: string | null;
  readonly aggregateCount: number;
  readonly offset: number;
  readonly userId: string;
  readonly read: boolean;
  readonly me: {
    readonly delivered: boolean;
    readonly readAt: string | null;
    readonly acknowledgedAt: string | null;
    readonly acknowledgeNote: string | null;
    readonly openedAt: string | null;
    readonly webviewAction: WebviewAction | null;
  };
}

/** The last thing an app opened from a notification. */
export interface WebviewAction {
  readonly action: string;
  readonly url: string | null;
  readonly metadata: Readonly<Record<string, unknown>> | null;
  readonly at: string;
}

/** A notification after a change, with its time. */
export interface ChangedNotification extends Notification {
  readonly at: string;
}

/** All unread notifications up to an offset were marked read. */
export interface AllRead {
  readonly all: true;
  readonly upTo: number;
  readonly before: string | null;
  readonly updated: number;
}

export interface DeletedNotification {
  readonly id: string;
  readonly offset: number;
}

export interface UnreadCount {
  readonly count: number;
  readonly unreadCount: number;
}

/** An event of a project. */
export interface PrismEvent {
  readonly id: string;
  readonly seq: number;
  readonly projectId: string;
  readonly type: string;
  readonly level: Level;
  readonly source: string | null;
  readonly dedupeKey: string | null;
  readonly occurredAt: string;
  readonly receivedAt: string;
  readonly processedAt: string | null;
  readonly correlationId: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

export type Level = "debug" | "info" | "warn" | "error" | "fatal";

/** The entries of a user's stream by type. */
export interface UserEntries {
  readonly notification: Notification;
  readonly "notification.read": ChangedNotification | AllRead;
  readonly "notification.acknowledged": ChangedNotification;
  readonly "notification.updated": ChangedNotification;
  readonly "notification.deleted": DeletedNotification;
  readonly "unread-count": UnreadCount;
}

/** The types of a stream's entries, with their `data`. */
export type EntriesOf<Stream extends string> = Stream extends `user:${string}`
  ? UserEntries
  : Stream extends `project:${string}`
    ? Readonly<Record<string, PrismEvent>>
    : Readonly<Record<string, unknown>>;

/** One entry of a stream. */
export interface Entry<Type extends string = string, Data = unknown> {
  /** The stream's resolved name, never `user:me`. */
  readonly stream: string;
  readonly offset: number;
  readonly type: Type;
  readonly data: Data;
  readonly ts: string;
  readonly correlationId: string;
}

/**
 * Entries of the stream in (from, to] were removed. The stream continues after `to`. A `to` below
 * `from` means that the server's data was replaced and does not match the offset: all stored
 * entries follow.
 */
export interface Gap {
  readonly stream: string;
  readonly from: number;
  readonly to: number;
}
