import { uuidv7 } from "../../core/ids.ts";
import { pageWarning } from "../../core/runtime.ts";
import type { NotificationRow } from "./write-set.ts";

type Required = "kind" | "title" | "message" | "channels" | "createdAt";

/** The members of a new notification that are set. */
export type NewNotification = Pick<NotificationRow, Required> & Partial<Omit<NotificationRow, Required | "id">>;

/**
 * The row of a new notification. Its correlation id defaults to its own id. Member by member: it runs
 * once per match, and to copy an object over the defaults takes several times as long.
 */
export function notificationRow(given: NewNotification): NotificationRow {
  const id = uuidv7();
  return {
    id,
    ruleId: given.ruleId ?? null,
    eventId: given.eventId ?? null,
    projectId: given.projectId ?? null,
    kind: given.kind,
    title: given.title,
    message: marked(given.message),
    sound: given.sound ?? null,
    action: given.action ?? null,
    data: given.data ?? null,
    priority: given.priority ?? 0,
    dedupeKey: given.dedupeKey ?? null,
    correlationId: given.correlationId ?? id,
    createdAt: given.createdAt,
    channels: given.channels,
  };
}

/** Without a leader of the cluster every notification says so; that of an incident does already. */
function marked(message: string): string {
  const warning = pageWarning();
  return message.startsWith(warning) ? message : `${warning}\n\n${message}`.trimEnd();
}
