import { sql } from "kysely";
import { firstIdAt } from "../../core/ids.ts";
import { URGENT_PRIORITY } from "../../http/shapes.ts";
import type { ReadDb } from "../../store/database.ts";

/** Notifications that are looked through, newest first. */
const WINDOW = 20_000;
/** Urgent ones of these that are checked. */
const CHECKED = 100;
/** Limit of listed notifications. */
export const LISTED = 20;
/** Limit of a user's own that are looked through. */
const OWN_WINDOW = 1000;
const MAX_COUNTED = 1000;

export interface UrgentRow {
  readonly id: string;
  readonly title: string;
  readonly createdAt: number;
  readonly rule: string | null;
  readonly aggregateCount: number;
  readonly recipients: number;
  readonly seen: number;
  readonly suppressed: number;
}

/** Urgent notifications since a time that no recipient has acknowledged. */
export async function unacknowledged(db: ReadDb, since: number): Promise<UrgentRow[]> {
  const { rows } = await sql<UrgentRow>`
    select recent.id, recent.title, recent.createdAt, recent.aggregateCount, count(*) as recipients, count(r.readAt) as seen,
      (select name from rules where id = recent.ruleId) as rule,
      coalesce((select sum(count) from suppressed_batches where ruleId = recent.ruleId and closedAt is null), 0) as suppressed
    from (
      select * from (
        select id, ruleId, title, createdAt, aggregateCount, priority from notifications
        where id >= ${firstIdAt(since)} order by id desc limit ${WINDOW}
      ) where priority >= ${URGENT_PRIORITY} order by id desc limit ${CHECKED}
    ) recent
    cross join notification_recipients r on r.notificationId = recent.id and r.deletedAt is null
    group by recent.id having count(r.acknowledgedAt) = 0 order by recent.id desc limit ${LISTED}`.execute(db);
  return rows;
}

/** {@link unacknowledged} by the user; of the other recipients nothing is read. */
export async function ownUnacknowledged(db: ReadDb, userId: string, since: number): Promise<UrgentRow[]> {
  const { rows } = await sql<UrgentRow>`
    select n.id, n.title, n.createdAt, n.aggregateCount, 1 as recipients, readAt is not null as seen,
      null as rule, 0 as suppressed
    from (
      select notificationId, readAt, seq from notification_recipients
      where userId = ${userId} and acknowledgedAt is null and deletedAt is null order by seq desc limit ${OWN_WINDOW}
    ) recent
    cross join notifications n on n.id = recent.notificationId
    where n.priority >= ${URGENT_PRIORITY} and n.createdAt >= ${since}
    order by recent.seq desc limit ${LISTED}`.execute(db);
  return rows;
}

/** Accounts that wait for approval, up to a limit. */
export async function pendingUsers(db: ReadDb): Promise<{ readonly count: number; readonly since: number | null }> {
  const { rows } = await sql<{ count: number; since: number | null }>`
    select count(*) as count, min(createdAt) as since from (
      select createdAt from users where status = 'pending' and deletedAt is null limit ${MAX_COUNTED}
    )`.execute(db);
  return rows[0] ?? { count: 0, since: null };
}

/** Events that could not be decided, up to a limit. */
export async function failedEvents(db: ReadDb): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*) as n from (
      select eventSeq from event_failures where resolvedAt is null limit ${MAX_COUNTED}
    )`.execute(db);
  return rows[0]?.n ?? 0;
}
