import { sql } from "kysely";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { IncidentRow } from "../incidents/incident.ts";
import { repeatMsOf } from "../incidents/machine.ts";
import { saveIncident } from "../incidents/store.ts";
import { isUnresolved } from "../incidents/view.ts";
import type { StepSettings } from "../policies/policy.ts";

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

/** So long after its last look an incident that reaches no one may ask its targets again. */
const SHORTEST_LOOK_MS = 30_000;

/** Its next repetition is due now, or soon after the last one. */
export function triedAgain(trx: Trx, row: IncidentRow, settings: StepSettings, now: EpochMs): IncidentRow {
  const isUnreached = row.state === "open" && row.snoozedUntil === null && row.reachedAt === null;
  if (!isUnreached || row.repeatAt === null || row.steppedAt === null) return row;
  // Moved by an earlier change, or due soon: the time of the last look does not follow from it.
  if (row.repeatAt <= now + SHORTEST_LOOK_MS) return row;
  const repeatAt = Math.max(now, row.repeatAt - repeatMsOf(row, settings) + SHORTEST_LOOK_MS);
  return repeatAt < row.repeatAt ? saveIncident(trx, row, { ...row, repeatAt }, now) : row;
}

/** The server has started and its waiting pages leave: the incident asks again only if these reach no one. */
export function lookedLater(trx: Trx, row: IncidentRow, now: EpochMs): IncidentRow {
  if (row.reachedAt !== null || row.repeatAt === null) return row;
  return saveIncident(trx, row, { ...row, repeatAt: now + SHORTEST_LOOK_MS }, now);
}
