import type { Notification } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { invalidate } from "../../app/query.ts";
import { ask, confirm, plural, toast } from "../../ui/index.ts";
import { countSoon } from "../incidents/open-incidents.ts";
import { changeUnread } from "./unread.ts";

/** A notification after an acknowledge, before the server has answered. */
export function acknowledged<T extends Notification>(notification: T, note: string | null): T {
  const at = new Date().toISOString();
  const { me } = notification;
  const now = { ...me, readAt: me.readAt ?? at, acknowledgedAt: me.acknowledgedAt ?? at };
  return { ...notification, read: true, me: { ...now, acknowledgeNote: note ?? me.acknowledgeNote } };
}

/**
 * Acknowledges at once; the list shows it before the server answers.
 * @param change replaces the shown notification
 */
export async function acknowledge(
  notification: Notification,
  change: (next: Notification) => void,
  note: string | null = null,
): Promise<void> {
  change(acknowledged(notification, note));
  try {
    const body = note === null ? {} : { note };
    change(await api.put<Notification>(`/notifications/${notification.id}/acknowledge`, body));
    toast.ok(note === null ? "Acknowledged." : "Acknowledged with your note.");
    invalidate("/attention", "/explain/");
    if (notification.kind === "incident") {
      invalidate("/incidents");
      countSoon();
    }
  } catch (error) {
    change(notification);
    // The server may have done it, or have a newer state.
    invalidate("/notifications");
    throw error;
  }
}

/** @returns undefined if the user cancels */
export async function askNote(notification: Notification): Promise<string | undefined> {
  const note = await ask({
    title: `Acknowledge “${notification.title}”`,
    text: "The others see that you take care of it, and your note.",
    label: "Note",
    placeholder: "On it, looking at the disk",
    action: "Acknowledge",
    value: notification.me.acknowledgeNote ?? "",
    multiline: true,
  });
  return note?.slice(0, 500);
}

export async function readAll(): Promise<void> {
  const { updated } = await api.post<{ updated: number }>("/notifications/read-all");
  changeUnread(0);
  invalidate("/notifications");
  toast.ok(`${plural(updated, "notification")} marked as read.`);
}

/** Marks the chosen ones as read. */
export async function readSome(ids: readonly string[]): Promise<void> {
  const { updated } = await api.post<{ updated: number }>("/notifications/read-all", { ids });
  invalidate("/notifications");
  toast.ok(updated === 0 ? "They were read already." : `${plural(updated, "notification")} marked as read.`);
}

/** @returns whether it was removed */
export async function remove({ id, title }: Notification): Promise<boolean> {
  const isSure = await confirm({
    title: "Delete this notification?",
    text: `“${title}” is removed from your inbox on all your devices. Others keep theirs.`,
    action: "Delete",
    danger: true,
  });
  if (!isSure) return false;
  await api.del(`/notifications/${id}`);
  toast.ok("Deleted from your inbox.");
  invalidate("/notifications", "/attention");
  return true;
}
