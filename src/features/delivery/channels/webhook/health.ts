import type { Clock } from "../../../../core/clock.ts";
import type { Logger } from "../../../../core/log.ts";
import { addEffect, type Database, type Trx } from "../../../../store/database.ts";
import type { AuditService } from "../../../audit/index.ts";

export interface WebhookHealthContext {
  readonly database: Database;
  readonly audit: AuditService;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Why a webhook is not called until a user switches it on again. */
export type DisabledReason = "gone" | "failures";

/** Failed attempts in a row after which a webhook is disabled. */
export const MAX_FAILURES = 50;

/** Counts what fails in a row, and disables a webhook that has failed too often. @returns whether it is disabled by that. */
export async function recordFailure(context: WebhookHealthContext, id: string): Promise<boolean> {
  return context.database.write(async (trx) => {
    const row = await trx
      .updateTable("webhooks")
      .set(({ eb }) => ({ failures: eb("failures", "+", 1) }))
      .where("id", "=", id)
      .returning("failures")
      .executeTakeFirst();
    return row !== undefined && row.failures >= MAX_FAILURES && (await disableWebhook(context, id, "failures", trx));
  });
}

/** Writes nothing while nothing has failed, which is nearly always. */
export async function recordSuccess({ database }: WebhookHealthContext, id: string): Promise<void> {
  const row = await database.read.selectFrom("webhooks").select("failures").where("id", "=", id).executeTakeFirst();
  if (!row || row.failures === 0) return;
  await database.write((trx) => trx.updateTable("webhooks").set({ failures: 0 }).where("id", "=", id).execute());
}

/** @returns whether it was in use until now. */
export async function disableWebhook(
  { audit, clock, log }: WebhookHealthContext,
  id: string,
  reason: DisabledReason,
  trx: Trx,
): Promise<boolean> {
  const now = clock.now();
  const row = await trx
    .updateTable("webhooks")
    .set(({ eb }) => ({ active: 0, disabledAt: now, updatedAt: now, version: eb("version", "+", 1) }))
    .where("id", "=", id)
    .where("active", "=", 1)
    .returning(["projectId", "userId"])
    .executeTakeFirst();
  if (!row) return false;
  await audit.record(
    { action: "webhook.disable", resourceType: "webhook", resourceId: id, metadata: { reason } },
    { trx },
  );
  log.warn({ webhookId: id, reason }, "a webhook is being disabled");
  addEffect(trx, { type: "announced", event: "webhook:disabled", data: { id, ...row, reason } });
  return true;
}
