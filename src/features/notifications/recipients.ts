import { CompiledQuery } from "kysely";
import type { Uses } from "../../module/feature.ts";
import { MARK_NOTIFICATION } from "../../store/commit/delivery-statements.ts";
import type { Trx } from "../../store/database.ts";
import { deliverJob } from "../rules/index.ts";
import { COMPLETED, type RunningJob } from "../time/jobs/index.ts";

const RECIPIENTS_PER_TRANSACTION = 500;

interface RecipientsPayload {
  readonly notificationId: string;
  readonly targetUsers: string;
  readonly targetRoles: string;
  readonly projectId: string | null;
  readonly isForMembers?: boolean;
}

export type RecipientsContext = Uses<"db" | "clock" | "audit" | "jobs" | "rules" | "channels" | "notify">;

/** Registers the handler of the job that writes the recipients of a rule with many of them. */
export function handleRecipients(context: RecipientsContext & Uses<"runner">): void {
  context.runner.handle("notification.recipients", (job, signal) => writeRecipients(context, job, signal));
}

/**
 * Writes a rule's recipients in slices of one transaction each, after the existing ones: a second
 * run continues an interrupted one.
 */
async function writeRecipients(
  context: RecipientsContext,
  job: RunningJob,
  signal: AbortSignal,
): Promise<typeof COMPLETED> {
  const { db, notify, jobs, rules, channels } = context;
  const { notificationId, ...targets } = job.payload as RecipientsPayload;
  const notification = await db.read
    .selectFrom("notifications")
    .selectAll()
    .where("id", "=", notificationId)
    .executeTakeFirstOrThrow();
  const last = await db.read
    .selectFrom("notification_recipients")
    .select((e) => e.fn.max("userId").as("userId"))
    .where("notificationId", "=", notificationId)
    .executeTakeFirst();
  let after = last?.userId ?? "";
  let recipients = 0;
  for (;;) {
    signal.throwIfAborted();
    const userIds = rules.recipientPage(targets, after, RECIPIENTS_PER_TRANSACTION);
    if (userIds.length === 0) {
      await db.write(async (trx) => {
        await jobs.complete(job, trx, { recipients });
        await recordDelivered(context, notificationId, trx);
        if (channels.hasExternalChannel(notification.channels)) await jobs.enqueue(deliverJob(notification), { trx });
      });
      return COMPLETED;
    }
    await db.write((trx) => notify.addRecipients(notification, userIds, trx));
    recipients += userIds.length;
    after = userIds.at(-1) ?? after;
  }
}

/**
 * While recipients were being written, no mark could complete the notification. If all have it by
 * now, no later mark would.
 */
async function recordDelivered({ audit, clock }: RecipientsContext, notificationId: string, trx: Trx): Promise<void> {
  const { recipients, deliveredAt } = await trx
    .selectFrom("notification_recipients")
    .select((e) => [e.fn.countAll<number>().as("recipients"), e.fn.max("deliveredAt").as("deliveredAt")])
    .where("notificationId", "=", notificationId)
    .executeTakeFirstOrThrow();
  if (recipients === 0) return;
  if (!(await markNotificationDelivered(trx, notificationId, deliveredAt ?? clock.now()))) return;
  const metadata = { channel: "in_app", recipients };
  await audit.record(
    { action: "notification.delivered", resourceType: "notification", resourceId: notificationId, metadata },
    { trx },
  );
}

/**
 * Marks a notification as delivered if all its recipients have it, live or through an external
 * channel.
 * @returns whether it was marked now.
 */
export async function markNotificationDelivered(trx: Trx, id: string, at: number): Promise<boolean> {
  const { numAffectedRows } = await trx.executeQuery(CompiledQuery.raw(MARK_NOTIFICATION, [{ id, at }]));
  return Number(numAffectedRows ?? 0) > 0;
}
