import type { Selectable } from "kysely";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import type { NotificationRecipientsTable } from "../../../store/schema.ts";
import type { DeliveryContext } from "../../delivery/deliveries.ts";
import type { WebhookRow } from "../../delivery/webhooks/webhook.ts";

export function findWebhook(db: ReadDb | Trx, id: string): Promise<WebhookRow | undefined> {
  return db.selectFrom("webhooks").selectAll().where("id", "=", id).executeTakeFirst();
}

/** A recipient's row of a notification. @param userId null: any recipient, always the same one */
export function findRecipient(
  db: ReadDb,
  notificationId: string,
  userId: string | null,
): Promise<Selectable<NotificationRecipientsTable> | undefined> {
  let query = db.selectFrom("notification_recipients").selectAll().where("notificationId", "=", notificationId);
  if (userId !== null) query = query.where("userId", "=", userId);
  return query.orderBy("userId").limit(1).executeTakeFirst();
}

export type WebhookHealthContext = Pick<DeliveryContext, "db" | "audit" | "clock" | "log">;

/** Counts consecutive failures, for show: none disables a webhook. */
export async function recordFailure(context: WebhookHealthContext, id: string): Promise<void> {
  await context.db
    .write((trx) =>
      trx
        .updateTable("webhooks")
        .set(({ eb }) => ({ failures: eb("failures", "+", 1) }))
        .where("id", "=", id)
        .execute(),
    )
    .catch(notCounted(context, id));
}

/** Writes only after a failure, which is rare. */
export async function recordSuccess(context: WebhookHealthContext, id: string): Promise<void> {
  const { db } = context;
  const row = await db.read.selectFrom("webhooks").select("failures").where("id", "=", id).executeTakeFirst();
  if (!row || row.failures === 0) return;
  await db
    .write((trx) => trx.updateTable("webhooks").set({ failures: 0 }).where("id", "=", id).execute())
    .catch(notCounted(context, id));
}

/** The receiver's answer counts even if it cannot be stored. */
function notCounted({ log }: WebhookHealthContext, webhookId: string): (error: unknown) => void {
  return (error) => log.warn({ webhookId, err: error }, "cannot store the failures of a webhook");
}

/** The receiver answered that it is gone: the webhook is disabled until a user enables it. */
export async function disableWebhook({ audit, clock, log }: WebhookHealthContext, id: string, trx: Trx): Promise<void> {
  const reason = "gone";
  const now = clock.now();
  const row = await trx
    .updateTable("webhooks")
    .set(({ eb }) => ({ active: 0, disabledAt: now, updatedAt: now, version: eb("version", "+", 1) }))
    .where("id", "=", id)
    .where("active", "=", 1)
    .returning(["projectId", "userId"])
    .executeTakeFirst();
  if (!row) return;
  await audit.record(
    { action: "webhook.disable", resourceType: "webhook", resourceId: id, metadata: { reason } },
    { trx },
  );
  log.warn({ webhookId: id, reason }, "disabling a webhook");
  addEffect(trx, { type: "announced", event: "webhook:disabled", data: { id, ...row, reason } });
}
