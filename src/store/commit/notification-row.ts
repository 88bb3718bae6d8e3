import { uuidv7 } from "../../core/ids.ts";
import type { NotificationRow } from "./write-set.ts";

type Required = "kind" | "title" | "message" | "channels" | "createdAt";

/** The members of a new notification that are set. */
export type NewNotification = Pick<NotificationRow, Required> & Partial<Omit<NotificationRow, Required | "id">>;

/** The row of a new notification. Its correlation id defaults to its own id. */
export function notificationRow(given: NewNotification): NotificationRow {
  const id = uuidv7();
  return {
    id,
    ruleId: null,
    eventId: null,
    projectId: null,
    sound: null,
    action: null,
    data: null,
    priority: 0,
    dedupeKey: null,
    correlationId: id,
    ...given,
  };
}
