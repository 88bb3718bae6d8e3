import type { Notification } from "../../../src/client/api-types.gen.ts";
import type { AllRead, ChangedNotification, DeletedNotification, Entry } from "../../../src/client/views.ts";
import { useReconnected, useStream } from "../../app/live.ts";
import { type ListResult, useList } from "../../app/query.ts";

export type Filter = "unread" | "all" | "acknowledged";

/** Rows in the page; older ones are loaded by "load more". */
const MAX_ROWS = 500;

/** Search of the inbox; empty members do not matter. */
export interface Search {
  readonly q: string;
  readonly kind: string;
  readonly projectId: string;
  readonly ruleId: string;
  readonly minPriority: string;
}

const ANY: Search = { q: "", kind: "", projectId: "", ruleId: "", minPriority: "" };

/** The user's notifications, newest first, changed by every device of the user. */
export function useInbox(filter: Filter, search: Search = ANY): ListResult<Notification> {
  const list = useList<Notification>("/notifications", { status: filter, ...search, limit: 50 });
  const take = ({ type, data }: Entry) => {
    if (type === "notification" && matches(data as Notification, search)) add(list, filter, data as Notification);
    else if (type === "notification.deleted") drop(list, (data as DeletedNotification).id);
    else if (type === "notification.read" && "all" in (data as object)) readUpTo(list, data as AllRead);
    else if (type.startsWith("notification.")) replace(list, data as ChangedNotification);
  };
  useStream("user:me", take, list.reload);
  useReconnected(list.reload);
  return list;
}

function matches(notification: Notification, { q, kind, projectId, ruleId, minPriority }: Search): boolean {
  const { title, message, priority } = notification;
  return (
    `${title}\n${message}`.toLowerCase().includes(q.toLowerCase()) &&
    (kind === "" || notification.kind === kind) &&
    (projectId === "" || notification.projectId === projectId) &&
    (ruleId === "" || notification.ruleId === ruleId) &&
    priority >= Number(minPriority)
  );
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
