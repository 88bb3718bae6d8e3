import { toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import type { ReadDb } from "../../store/database.ts";
import * as queries from "./queries.ts";
import { stormView } from "./rule-outcomes.ts";
import type { DeliveryView, ExplainedNotification, RecipientView } from "./schema.ts";
import { nameOf, unreachableOf } from "./user-reasons.ts";

const LISTED_RECIPIENTS = 50;

/** Selects the recipients of a notification that are shown. */
export interface ShownRecipients {
  /** Only this user; null: all. */
  readonly only: string | null;
  /** Shown even if only the first ones are. */
  readonly also: string | null;
}

/** The timeline of a notification: recipients, channels, attempts, read and acknowledged. */
export async function notificationTimeline(
  db: ReadDb,
  notification: queries.Notification,
  { only, also }: ShownRecipients,
): Promise<ExplainedNotification> {
  const { id } = notification;
  // One after the other: only a few reads of one caller may wait at once.
  const counts = await queries.recipientCounts(db, id);
  const channels = await queries.channelCounts(db, id, only);
  const first = await queries.recipientsOf(db, id, only, LISTED_RECIPIENTS);
  const asked = also === null || only !== null ? [] : await queries.recipientsOf(db, id, also, 1);
  const storm = only === null ? await stormOf(db, notification) : undefined;
  const rows = [...first, ...asked.filter(({ userId }) => !first.some((row) => row.userId === userId))];
  const recipients = await withDeliveries(db, id, rows);
  return {
    id,
    ruleId: notification.ruleId,
    kind: notification.kind,
    title: notification.title,
    createdAt: toRfc3339(notification.createdAt),
    aggregateCount: notification.aggregateCount,
    counts: only === null ? counts : ownCounts(recipients),
    channels,
    storm: storm ? stormView(storm) : null,
    recipients,
    recipientsLeftOut: only === null ? counts.recipients - recipients.length : 0,
  };
}

/** The storm of a notice by id; a summary lists its events. */
function stormOf(db: ReadDb, { id, kind, ruleId, data }: queries.Notification) {
  if (kind !== "aggregate" || ruleId === null) return undefined;
  const firstSeq = data === null ? undefined : (JSON.parse(data) as Record<string, unknown>)["firstSeq"];
  return typeof firstSeq === "number" ? queries.stormFrom(db, ruleId, firstSeq) : queries.stormOfNotice(db, id);
}

/** Hides the number of other recipients. */
function ownCounts(recipients: readonly RecipientView[]): ExplainedNotification["counts"] {
  const count = (is: (recipient: RecipientView) => boolean) => recipients.filter(is).length;
  return {
    recipients: recipients.length,
    delivered: count(({ delivered }) => delivered),
    read: count(({ readAt }) => readAt !== null),
    acknowledged: count(({ acknowledgedAt }) => acknowledgedAt !== null),
  };
}

async function withDeliveries(
  db: ReadDb,
  notificationId: string,
  rows: readonly queries.Recipient[],
): Promise<RecipientView[]> {
  const userIds = rows.map(({ userId }) => userId);
  const deliveries = userIds.length === 0 ? [] : await queries.deliveriesTo(db, notificationId, userIds);
  const jobIds = deliveries.flatMap(({ jobId }) => (jobId === null ? [] : [jobId]));
  const unreachable = await unreachableOf(db, userIds);
  const isReached = (row: queries.Recipient): boolean =>
    row.delivered === 1 ||
    row.readAt !== null ||
    deliveries.some(({ userId, state }) => userId === row.userId && state === "delivered");
  const attempts = jobIds.length === 0 ? [] : await queries.attemptsOfJobs(db, [...new Set(jobIds)]);
  return rows.map((row) => ({
    userId: row.userId,
    name: nameOf(row),
    offset: row.seq,
    delivered: row.delivered === 1,
    deliveredAt: toRfc3339OrNull(row.deliveredAt),
    readAt: toRfc3339OrNull(row.readAt),
    acknowledgedAt: toRfc3339OrNull(row.acknowledgedAt),
    acknowledgeNote: row.acknowledgeNote,
    openedAt: toRfc3339OrNull(row.openedAt),
    deletedAt: toRfc3339OrNull(row.deletedAt),
    deliveries: deliveries.filter(({ userId }) => userId === row.userId).map((each) => deliveryView(each, attempts)),
    unreachable: isReached(row) ? null : (unreachable.get(row.userId) ?? null),
  }));
}

function deliveryView(delivery: queries.Delivery, attempts: readonly queries.LoggedAttempt[]): DeliveryView {
  return {
    id: delivery.id,
    channel: delivery.channel,
    state: delivery.state,
    reason: delivery.reason,
    attempts: delivery.attempts,
    lastError: delivery.lastError,
    providerId: delivery.providerId,
    createdAt: toRfc3339(delivery.createdAt),
    updatedAt: toRfc3339(delivery.updatedAt),
    deliveredAt: toRfc3339OrNull(delivery.deliveredAt),
    history: attempts
      .filter(({ jobId }) => jobId === delivery.jobId)
      .map(({ attempt, startedAt, endedAt, outcome, error }) => ({
        attempt,
        startedAt: toRfc3339(startedAt),
        endedAt: toRfc3339OrNull(endedAt),
        outcome,
        error,
      })),
  };
}
