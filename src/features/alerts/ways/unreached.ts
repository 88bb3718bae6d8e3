import { sql } from "kysely";
import type { EpochMs } from "../../../core/clock.ts";
import type { ReadDb } from "../../../store/database.ts";
import type { IncidentRow } from "../incidents/incident.ts";
import { isUnresolved } from "../incidents/view.ts";

/* Incidents that have reached no one. `isUnresolved` finds them by the index of the unresolved ones. */

const ROWS_AT_ONCE = 1000;

/**
 * Open incidents of high urgency whose steps started before this instant and reached no one; not
 * those held before the first.
 */
export function unreachedSince(db: ReadDb, before: EpochMs): Promise<IncidentRow[]> {
  return db
    .selectFrom("incidents")
    .selectAll()
    .where(isUnresolved)
    .where("state", "=", sql.lit("open"))
    .where("snoozedUntil", "is", null)
    .where("reachedAt", "is", null)
    .where("urgency", "=", "high")
    .where("notifiedAt", "<=", before)
    .where("steppedAt", "is not", null)
    .orderBy("openedAt")
    .limit(ROWS_AT_ONCE)
    .execute();
}

export type UnreachedRow = Pick<IncidentRow, "id" | "projectId" | "policyId" | "policyVersion">;

/** Open incidents whose steps have reached no one. @param userId only those that have notified this user */
export function unreachedNow(db: ReadDb, userId?: string): Promise<UnreachedRow[]> {
  const query = db
    .selectFrom("incidents")
    .select(["id", "projectId", "policyId", "policyVersion"])
    .where(isUnresolved)
    .where("state", "=", sql.lit("open"))
    .where("snoozedUntil", "is", null)
    .where("reachedAt", "is", null)
    .where("steppedAt", "is not", null)
    .orderBy("openedAt")
    .limit(ROWS_AT_ONCE);
  if (userId === undefined) return query.execute();
  const isNotified = sql<boolean>`exists (select 1 from notifications n
    join notification_recipients r on r.notificationId = n.id where n.incidentId = incidents.id and r.userId = ${userId})`;
  return query.where(isNotified).execute();
}
