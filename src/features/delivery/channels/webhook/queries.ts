import type { Selectable } from "kysely";
import type { ReadDb, Trx } from "../../../../store/database.ts";
import type { NotificationRecipientsTable } from "../../../../store/schema.ts";
import type { WebhookRow } from "./message.ts";

/** What says whether a webhook is called. */
export interface Hook {
  readonly id: string;
  readonly userId: string | null;
  /** JSON list of patterns. */
  readonly eventTypes: string;
}

/** Values of one list in a statement. */
const SLICE = 500;

export function findWebhook(db: ReadDb | Trx, id: string): Promise<WebhookRow | undefined> {
  return db.selectFrom("webhooks").selectAll().where("id", "=", id).executeTakeFirst();
}

/** The active webhooks of these users' own. */
export async function hooksOfUsers(db: ReadDb | Trx, userIds: readonly string[]): Promise<Hook[]> {
  const hooks: Hook[] = [];
  for (let from = 0; from < userIds.length; from += SLICE) {
    const some = await activeHooks(db)
      .where("userId", "in", userIds.slice(from, from + SLICE))
      .execute();
    hooks.push(...some);
  }
  return hooks;
}

/** The active webhooks of a project. */
export function hooksOfProject(db: ReadDb | Trx, projectId: string): Promise<Hook[]> {
  return activeHooks(db).where("projectId", "=", projectId).execute();
}

export async function typeOfEvent(db: ReadDb | Trx, eventId: string): Promise<string | undefined> {
  const row = await db.selectFrom("events").select("type").where("id", "=", eventId).executeTakeFirst();
  return row?.type;
}

/** A recipient's part in a notification. @param userId null: of any recipient, the same one each time */
export function findRecipient(
  db: ReadDb,
  notificationId: string,
  userId: string | null,
): Promise<Selectable<NotificationRecipientsTable> | undefined> {
  let query = db.selectFrom("notification_recipients").selectAll().where("notificationId", "=", notificationId);
  if (userId !== null) query = query.where("userId", "=", userId);
  return query.orderBy("userId").limit(1).executeTakeFirst();
}

function activeHooks(db: ReadDb | Trx) {
  return db.selectFrom("webhooks").select(["id", "userId", "eventTypes"]).where("active", "=", 1);
}
