/** Entries of the server, with fixed shapes (docs/realtime.md). Instants are RFC 3339 texts. */

import type { Action, Event, Notification } from "./api-types.gen.ts";

/** An action that an app offers with a notification; other members are kept. */
export type NotificationAction = Action;

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
export type PrismEvent = Omit<Event, "outcome">;

export type Level = PrismEvent["level"];

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
