import type { Selectable } from "kysely";
import type { ReadDb } from "../../store/database.ts";
import type { DeliveriesTable, NotificationRecipientsTable, UsersTable } from "../../store/schema.ts";
import { NOBODY, type NotificationFacts } from "./sender.ts";

/** A delivery, and all that its attempt depends on. */
export interface DeliveryFacts {
  readonly delivery: Selectable<DeliveriesTable>;
  readonly notification: NotificationFacts;
  readonly recipient: Pick<Selectable<NotificationRecipientsTable>, "delivered" | "deletedAt">;
  readonly user: Pick<Selectable<UsersTable>, "status" | "deletedAt" | "timezone" | "prefs">;
  /** Of the recipient's own entry. */
  readonly offset: number;
}

/** Of a delivery to a project: nothing that a recipient does ends it. */
const NOBODYS = {
  recipient: { delivered: 0, deletedAt: null },
  user: { status: "active", deletedAt: null, timezone: "UTC", prefs: "{}" },
  offset: 0,
} as const;

/** Whether nothing more is to be done for it. */
export function isOver({ delivery }: DeliveryFacts): boolean {
  return delivery.state === "delivered" || delivery.state === "skipped";
}

/** @returns undefined where one of them is gone: there is nothing to send, or nobody to send it to. */
export async function findDelivery(id: string, db: ReadDb): Promise<DeliveryFacts | undefined> {
  const delivery = await db.selectFrom("deliveries").selectAll().where("id", "=", id).executeTakeFirst();
  if (!delivery) return undefined;
  const { notificationId, userId } = delivery;
  const notification = await db
    .selectFrom("notifications")
    .selectAll()
    .where("id", "=", notificationId)
    .executeTakeFirst();
  if (notification && userId === NOBODY) return { delivery, notification, ...NOBODYS };
  const recipient = await db
    .selectFrom("notification_recipients")
    .select(["delivered", "deletedAt", "seq"])
    .where("notificationId", "=", notificationId)
    .where("userId", "=", userId)
    .executeTakeFirst();
  const user = await db
    .selectFrom("users")
    .select(["status", "deletedAt", "timezone", "prefs"])
    .where("id", "=", userId)
    .executeTakeFirst();
  return notification && recipient && user
    ? { delivery, notification, recipient, user, offset: recipient.seq }
    : undefined;
}
