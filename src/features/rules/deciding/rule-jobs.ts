import type { NotificationRow } from "../../../store/commit/write-set.ts";
import type { NewJob } from "../../time/jobs/index.ts";
import type { RuleRow } from "../rule.ts";
import type { RuleTargets } from "./rule-book.ts";

/** The job that writes the recipients of a rule with many of them. */
export function recipientsJob(
  { id, correlationId, createdAt }: NotificationRow,
  { targetUsers, targetRoles, projectId, priority, isForMembers = false }: RuleTargets & Pick<RuleRow, "priority">,
): Omit<NewJob, "maxAttempts"> {
  return {
    queue: "notification-delivery",
    kind: "notification.recipients",
    payload: { notificationId: id, targetUsers, targetRoles, projectId, ...(isForMembers && { isForMembers }) },
    runAt: createdAt,
    priority,
    dedupeKey: `recipients:${id}`,
    correlationId,
  };
}

export const DELIVER_JOB = "notification.deliver";

/** The job that plans external delivery of a notification, created after its recipients. */
export function deliverJob({ id, priority, correlationId, createdAt }: NotificationRow): Omit<NewJob, "maxAttempts"> {
  return {
    queue: "notification-delivery",
    kind: DELIVER_JOB,
    payload: { notificationId: id },
    runAt: createdAt,
    priority,
    dedupeKey: `deliver:${id}`,
    correlationId,
  };
}

export const STORM_JOB = "suppression.storm";

/** The job that sends the summary of a storm; one at a time. */
export function stormJob(batchId: string, priority: number, runAt: number): Omit<NewJob, "maxAttempts"> {
  return {
    queue: "alert-suppression",
    kind: STORM_JOB,
    payload: { batchId },
    runAt,
    priority,
    dedupeKey: `storm:${batchId}`,
  };
}
