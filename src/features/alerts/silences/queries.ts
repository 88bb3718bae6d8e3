import { sql } from "kysely";
import * as v from "valibot";
import type { EpochMs } from "../../../core/time/clock.ts";
import { by, equals, listing } from "../../../http/api/listing.ts";
import { queryList } from "../../../http/api/shapes.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { valuesOf } from "../../../store/sqlite/list-queries.ts";
import type { LabelRecord } from "../model/labels.ts";
import { KIND, KINDS, Silence, STATES } from "./silence.ts";
import type { SilenceState } from "./spans.ts";

/** Columns that decide the state of a silence. */
interface States {
  /** Ids of the active silences of the project. */
  readonly active: readonly string[];
  readonly now: EpochMs;
}

/** The last to end first. */
export const silenceList = listing(
  Silence,
  () => ({
    state: by(
      queryList(v.picklist(STATES, `must be among ${STATES.join(", ")}`)),
      "States, by comma",
      (states, { active, now }: States) => {
        const wants = (state: SilenceState) => sql`${states.includes(state) ? 1 : 0}`;
        return sql`case when id in ${valuesOf(active)} then ${wants("active")}
          when endsAt > ${now} then ${wants("pending")} else ${wants("expired")} end`;
      },
    ),
    kind: equals(v.picklist(KINDS, `must be one of ${KINDS.join(", ")}`), KIND),
  }),
  { order: { endsAt: "number", id: "string" }, sorts: { endsAt: "number" }, searches: true },
);

/** The last 20 alerts that a silence withheld. */
export function lastHits(db: ReadDb, silenceId: string) {
  return db
    .selectFrom("silence_hits as h")
    .leftJoin("alerts as a", "a.id", "h.alertId")
    .select(["h.alertId", "h.incidentId", "h.at", "a.labels"])
    .where("h.silenceId", "=", silenceId)
    .orderBy("h.at", "desc")
    .limit(20)
    .execute();
}

/** Unresolved incidents with any of these alerts, newest first. */
export function openIncidentsOf(db: ReadDb, projectId: string, alertIds: readonly string[]) {
  return db
    .selectFrom("incidents")
    .select(["id", "number", "title", "state"])
    .where("projectId", "=", projectId)
    .where("state", "in", ["open", "acknowledged"])
    .where(
      sql<boolean>`id in (select incidentId from incident_alerts
        where alertId in ${valuesOf(alertIds)})`,
    )
    .orderBy("number", "desc")
    .limit(51)
    .execute();
}

interface IncidentRef {
  readonly incidentId?: string | undefined;
  readonly notificationId?: string | undefined;
}

/** The incident, or the incident of the notification. */
export function incidentOf(db: ReadDb | Trx, { incidentId, notificationId }: IncidentRef) {
  const incidents = db.selectFrom("incidents").select(["id", "projectId"]);
  if (incidentId !== undefined) return incidents.where("id", "=", incidentId).executeTakeFirst();
  const ofNotification = db
    .selectFrom("notifications")
    .select("incidentId")
    .where("id", "=", notificationId ?? "");
  return incidents.where("id", "=", ofNotification).executeTakeFirst();
}

/** The labels of an incident's alerts: of those that fire, or of all if none does. */
export async function labelsOfIncident(db: ReadDb | Trx, incidentId: string): Promise<LabelRecord[]> {
  const rows = await db
    .selectFrom("incident_alerts")
    .innerJoin("alerts", "alerts.id", "incident_alerts.alertId")
    .select(["alerts.labels", "alerts.state", "incident_alerts.leftAt"])
    .where("incident_alerts.incidentId", "=", incidentId)
    .execute();
  const firing = rows.filter(({ state, leftAt }) => state === "firing" && leftAt === null);
  return (firing.length > 0 ? firing : rows).map(({ labels }) => JSON.parse(labels) as LabelRecord);
}
