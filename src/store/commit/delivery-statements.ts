import type { Database as Sqlite } from "better-sqlite3";
import { uuidOf } from "../../core/ids.ts";
import type { AuditRow, DeliveredMark } from "./write-set.ts";

/** Limit of notifications whose position is kept; others are read from their first recipient. */
const MAX_REMEMBERED = 1000;

/** Writes a set's delivered flags: recipients, and the notification with the last of them. */
export class DeliveryStatements {
  readonly #sql;
  /** The first recipient without a flag at the last check of a notification. */
  readonly #firstOpen = new Map<string, string>();

  constructor(connection: Sqlite) {
    this.#sql = prepareAll(connection);
  }

  /** @returns an audit row for each notification that has now reached all its recipients. */
  apply(marks: readonly DeliveredMark[]): AuditRow[] {
    // Checks each notification once, as a check reads all its recipients.
    const touched = new Map<string, number>();
    for (const { userId, seq, at, byPusher } of marks) {
      if (byPusher) this.#sql.sentByPusher.run(userId, seq);
      const changed = this.#sql.recipient.get(at, userId, seq);
      if (changed) touched.set(changed.notificationId, at);
    }
    const reached: AuditRow[] = [];
    for (const [id, at] of touched) {
      if (this.#hasOpen(id)) continue;
      if (this.#sql.notification.run({ id, at }).changes > 0) reached.push(this.#auditRow(id, at));
    }
    return reached;
  }

  /**
   * Whether a recipient is missing the flag or is not yet written. It resumes at the last known
   * position, so that recipients are not read again with each set of marks. The final update checks
   * again, because a set may have been rolled back.
   */
  #hasOpen(notificationId: string): boolean {
    if (this.#sql.beingWritten.get(notificationId)) return true;
    const open = this.#sql.open.get(notificationId, this.#firstOpen.get(notificationId) ?? "");
    this.#firstOpen.delete(notificationId);
    if (!open) return false;
    this.#firstOpen.set(notificationId, open.userId);
    const [oldest] = this.#firstOpen.keys();
    if (this.#firstOpen.size > MAX_REMEMBERED && oldest !== undefined) this.#firstOpen.delete(oldest);
    return true;
  }

  #auditRow(notificationId: string, at: number): AuditRow {
    const recipients = this.#sql.count.get(notificationId)?.n ?? 0;
    return {
      id: uuidOf(at, `delivered ${notificationId}`),
      action: "notification.delivered",
      userId: null,
      actor: '{"type":"system"}',
      resourceType: "notification",
      resourceId: notificationId,
      metadata: JSON.stringify({ channel: "in_app", recipients }),
      ip: null,
      requestId: null,
      timestamp: at,
    };
  }
}

/** A recipient also counts as reached through an external channel. */
const REACHED_OUTSIDE = `exists (
  select 1 from deliveries d where d.notificationId = r.notificationId and d.userId = r.userId
    and d.state = 'delivered')`;

interface DeliveredNotification {
  readonly id: string;
  readonly at: number;
}

/** A notification is delivered when each recipient has it, live or through an external channel. */
export const MARK_NOTIFICATION = `update notifications set delivered = 1, deliveredAt = @at where id = @id
  and delivered = 0 and not exists
  (select 1 from notification_recipients r where r.notificationId = notifications.id and r.delivered = 0
    and not ${REACHED_OUTSIDE})`;

function prepareAll(connection: Sqlite) {
  return {
    recipient: connection.prepare<[number, string, number], { notificationId: string }>(
      `update notification_recipients set delivered = 1, deliveredAt = ? where userId = ? and seq = ? and delivered = 0
       returning notificationId`,
    ),
    sentByPusher: connection.prepare<[string, number]>(
      `update notifications set pusherEventSent = 1 where pusherEventSent = 0 and id =
       (select notificationId from notification_recipients where userId = ? and seq = ?)`,
    ),
    // For rules with many recipients a job writes the recipients.
    beingWritten: connection.prepare<[string], { yes: 1 }>(
      `select 1 as yes from jobs where queue = 'notification-delivery' and dedupeKey = 'recipients:' || ?
        and finishedAt is null`,
    ),
    open: connection.prepare<[string, string], { userId: string }>(
      `select userId from notification_recipients r where notificationId = ? and userId >= ?
        and delivered = 0 and not ${REACHED_OUTSIDE}
       order by userId limit 1`,
    ),
    notification: connection.prepare<[DeliveredNotification]>(MARK_NOTIFICATION),
    count: connection.prepare<[string], { n: number }>(
      "select count(*) as n from notification_recipients where notificationId = ?",
    ),
  };
}
