import type { AllRead, ChangedNotification, DeletedNotification, Notification } from "../../../src/client/views.ts";
import { useReconnected, useStream } from "../../app/live.ts";
import { type ListResult, useList } from "../../app/query.ts";

export type Filter = "unread" | "all" | "acknowledged";

/** Rows in the page; older ones are loaded by "load more". */
const MAX_ROWS = 500;

/** The user's notifications, newest first, changed by every device of the user. */
export function useInbox(filter: Filter, isShown: boolean): ListResult<Notification> {
  const list = useList<Notification>(isShown ? "/notifications" : null, { status: filter, limit: 50 });
  useStream("user:me", ({ type, data }) => {
    if (type === "notification") add(list, filter, data as Notification);
    else if (type === "notification.deleted") drop(list, (data as DeletedNotification).id);
    else if (type === "notification.read" && "all" in (data as object)) readUpTo(list, data as AllRead);
    else if (type.startsWith("notification.")) replace(list, data as ChangedNotification);
  });
  useReconnected(list.reload);
  return list;
}

function add(list: ListResult<Notification>, filter: Filter, notification: Notification): void {
  if (filter === "acknowledged") return;
  list.change((items) => [notification, ...items.filter(({ id }) => id !== notification.id)].slice(0, MAX_ROWS));
}

/** A row keeps its position until the list is loaded again: nothing moves under the pointer. */
export function replace(list: Pick<ListResult<Notification>, "change">, next: Notification): void {
  list.change((items) => items.map((each) => (each.id === next.id ? { ...each, ...next } : each)));
}

function drop(list: ListResult<Notification>, id: string): void {
  list.change((items) => items.filter((each) => each.id !== id));
}

function readUpTo(list: ListResult<Notification>, { upTo, before }: AllRead): void {
  const isCovered = ({ offset, createdAt }: Notification) =>
    offset <= upTo && (before === null || Date.parse(createdAt) < Date.parse(before));
  list.change((items) => items.map((each) => (isCovered(each) ? { ...each, read: true } : each)));
}
