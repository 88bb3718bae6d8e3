import type { Principal } from "../../../core/principal.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { Projects } from "../../access/index.ts";
import type { IncidentRow } from "./incident.ts";

/*
 * The right of a paged person: a user who received a notification of an incident may read it, and act on
 * it until it is resolved, with any role, as long as the project's rules reach the user.
 */

type Incident = Pick<IncidentRow, "id" | "projectId" | "state">;

/** The incidents on which the caller may act: by a right in the project, or because of a page. */
export async function actingOn(
  projects: Projects,
  db: ReadDb | Trx,
  principal: Principal,
  incidents: readonly Incident[],
): Promise<ReadonlySet<string>> {
  const may = new Set<string>();
  const asked: string[] = [];
  for (const { id, projectId, state } of incidents) {
    if (projects.has(principal, projectId, "incidents:act")) may.add(id);
    else if (state !== "resolved" && projects.mayBeGiven(principal, projectId, "incidents:act")) asked.push(id);
  }
  if (asked.length === 0 || principal.kind === "apiKey") return may;
  for (const id of await pagedOf(db, principal.userId ?? "", asked)) may.add(id);
  return may;
}

/** Whether the caller could act on the incident until it was resolved, because of a page. */
export async function couldAct(
  projects: Projects,
  db: ReadDb | Trx,
  principal: Principal,
  incident: Incident,
): Promise<boolean> {
  if (incident.state !== "resolved") return false;
  return (await actingOn(projects, db, principal, [{ ...incident, state: "open" }])).has(incident.id);
}

/** Whether the caller may read the incident: by a right in the project, or because of a page. */
export async function mayRead(
  projects: Projects,
  db: ReadDb | Trx,
  principal: Principal,
  { id, projectId }: Pick<IncidentRow, "id" | "projectId">,
): Promise<boolean> {
  if (projects.has(principal, projectId, "events:read")) return true;
  if (principal.kind === "apiKey" || !projects.mayBeGiven(principal, projectId, "events:read")) return false;
  return (await pagedOf(db, principal.userId ?? "", [id])).length > 0;
}

/** {@link mayRead} for an alert: by an incident that it is in. */
export async function mayReadAlert(
  projects: Projects,
  db: ReadDb | Trx,
  principal: Principal,
  { id, projectId }: { readonly id: string; readonly projectId: string },
): Promise<boolean> {
  if (projects.has(principal, projectId, "events:read")) return true;
  if (principal.kind === "apiKey" || !projects.mayBeGiven(principal, projectId, "events:read")) return false;
  const row = await db
    .selectFrom("incident_alerts as m")
    .innerJoin("notifications as n", "n.incidentId", "m.incidentId")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .select("m.alertId")
    .where("m.alertId", "=", id)
    .where("r.userId", "=", principal.userId ?? "")
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** The incidents that the user was notified of. */
async function pagedOf(db: ReadDb | Trx, userId: string, ids: readonly string[]): Promise<string[]> {
  const rows = await db
    .selectFrom("notifications as n")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .select("n.incidentId")
    .distinct()
    .where("n.incidentId", "in", ids)
    .where("r.userId", "=", userId)
    .execute();
  return rows.flatMap(({ incidentId }) => incidentId ?? []);
}
