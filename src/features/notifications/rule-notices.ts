import type { Selectable } from "kysely";
import type { Clock } from "../../core/clock.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { NotificationRow } from "../../store/commit/write-set.ts";
import type { Trx } from "../../store/database.ts";
import type { NotificationKind, RulesTable } from "../../store/schema.ts";
import type { AuditService } from "../audit/index.ts";
import type { JobService } from "../jobs/index.ts";
import { MAX_DIRECT_RECIPIENTS, recipientsJob } from "../rules/index.ts";
import type { RealtimeService } from "../streams/index.ts";
import type { Notifier } from "./notifier.ts";

/** What of a rule names its recipients and channels. */
export type RuleTargets = Pick<
  Selectable<RulesTable>,
  "id" | "projectId" | "priority" | "action" | "channels" | "targetUsers" | "targetRoles"
>;

export interface RuleNotice {
  readonly kind: NotificationKind;
  readonly title: string;
  readonly message: string;
  readonly sound: string | null;
  readonly data: unknown;
}

export interface RuleNoticeContext {
  readonly notifier: Notifier;
  readonly jobs: JobService;
  readonly audit: AuditService;
  readonly realtime: RealtimeService;
  readonly clock: Clock;
}

/**
 * Sends the recipients of a rule a notification that no single event made, such as that it holds matches back.
 * @param userIds the rule's recipients; of more than a rule notifies at once, a job writes them. @returns the notification's id
 */
export async function sendRuleNotice(
  { notifier, jobs, audit, clock }: RuleNoticeContext,
  rule: RuleTargets,
  notice: RuleNotice,
  userIds: readonly string[],
  trx: Trx,
): Promise<string> {
  const id = uuidv7();
  const row: NotificationRow = {
    ...notice,
    id,
    ruleId: rule.id,
    eventId: null,
    projectId: rule.projectId,
    action: rule.action,
    data: notice.data === null ? null : JSON.stringify(notice.data),
    priority: rule.priority,
    dedupeKey: null,
    correlationId: id,
    createdAt: clock.now(),
    channels: rule.channels,
  };
  await trx.insertInto("notifications").values(row).execute();
  if (userIds.length > MAX_DIRECT_RECIPIENTS) await jobs.enqueue(recipientsJob(row, rule), { trx });
  else await notifier.tell(row, userIds, trx);
  await audit.record(
    {
      action: "notification.sent",
      resourceType: "notification",
      resourceId: id,
      metadata: { kind: row.kind, channel: "in_app", recipients: userIds.length },
    },
    { trx },
  );
  return id;
}

/**
 * Changes the text of a notification, for all its recipients. Live streams carry it to no more of them than a rule notifies at once; the others see it
 * in their list.
 */
export async function updateRuleNotice(
  { realtime }: Pick<RuleNoticeContext, "realtime">,
  id: string,
  changes: { readonly title: string; readonly message: string; readonly aggregateCount: number },
  trx: Trx,
): Promise<void> {
  await trx.updateTable("notifications").set(changes).where("id", "=", id).execute();
  const recipients = await trx
    .selectFrom("notification_recipients")
    .select("userId")
    .where("notificationId", "=", id)
    .where("deletedAt", "is", null)
    .limit(MAX_DIRECT_RECIPIENTS)
    .execute();
  for (const { userId } of recipients)
    await realtime.publish({ kind: "user", userId }, "notification.updated", { id, ...changes }, { trx });
}
