import type { ReadDb } from "../../store/database.ts";
import type { IncidentRow } from "../alerts/index.ts";
import { lastPages, withOutcomes } from "../alerts/index.ts";
import type { LogData, LogRow } from "./alert-sentences.ts";

const MAX_ROWS = 500;

export function findIncident(db: ReadDb, id: string): Promise<IncidentRow | undefined> {
  return db.selectFrom("incidents").selectAll().where("id", "=", id).executeTakeFirst();
}

export async function incidentsOfAlert(db: ReadDb, alertId: string, limit: number): Promise<IncidentRow[]> {
  return db
    .selectFrom("incident_alerts as m")
    .innerJoin("incidents as i", "i.id", "m.incidentId")
    .selectAll("i")
    .where("m.alertId", "=", alertId)
    .orderBy("i.id", "desc")
    .limit(limit)
    .execute();
}

/** The alerts of an incident, firing ones first, and when they were notified. */
export function membersOf(db: ReadDb, incidentId: string, limit: number) {
  return db
    .selectFrom("incident_alerts as m")
    .innerJoin("alerts as a", "a.id", "m.alertId")
    .select(["m.alertId", "m.addedAt", "m.firingNotifiedAt", "m.resolvedNotifiedAt"])
    .where("m.incidentId", "=", incidentId)
    .orderBy("a.state")
    .orderBy("m.alertId", "desc")
    .limit(limit)
    .execute();
}

export async function countMembers(db: ReadDb, incidentId: string): Promise<number> {
  const { n } = await db
    .selectFrom("incident_alerts")
    .select((e) => e.fn.countAll<number>().as("n"))
    .where("incidentId", "=", incidentId)
    .executeTakeFirstOrThrow();
  return n;
}

/** When an incident counts an alert as notified. */
export function membershipOf(db: ReadDb, incidentId: string, alertId: string) {
  return db
    .selectFrom("incident_alerts")
    .select(["addedAt", "firingNotifiedAt", "resolvedNotifiedAt"])
    .where("incidentId", "=", incidentId)
    .where("alertId", "=", alertId)
    .executeTakeFirst();
}

/** The last rows of a timeline, oldest first. */
export async function timelineOf(db: ReadDb, incidentId: string): Promise<LogRow[]> {
  const rows = await db
    .selectFrom("incident_log")
    .select(["at", "kind", "actor", "data"])
    .where("incidentId", "=", incidentId)
    .orderBy("seq", "desc")
    .limit(MAX_ROWS)
    .execute();
  const pages = await lastPages(db, incidentId);
  return rows.reverse().map((row) => ({ ...row, data: withOutcomes(JSON.parse(row.data) as LogData, pages) }));
}

/** The silences that withheld an alert of an incident. */
export function silenceHits(db: ReadDb, incidentId: string, alertId: string) {
  return db
    .selectFrom("silence_hits")
    .select(["silenceId", "at"])
    .where("alertId", "=", alertId)
    .where("incidentId", "=", incidentId)
    .limit(MAX_ROWS)
    .execute();
}

export function deliveriesOf(db: ReadDb, incidentId: string, userIds: readonly string[]) {
  return db
    .selectFrom("notifications as n")
    .innerJoin("deliveries as d", "d.notificationId", "n.id")
    .select(["d.userId", "d.channel", "d.state", "d.reason", "d.lastError", "d.createdAt"])
    .where("n.incidentId", "=", incidentId)
    .where("d.userId", "in", userIds)
    .orderBy("d.createdAt")
    .limit(MAX_ROWS)
    .execute();
}

/** Each notification of a user about an incident, by its channels. */
export function noticesTo(db: ReadDb, incidentId: string, userIds: readonly string[]) {
  return db
    .selectFrom("notifications as n")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .select(["r.userId", "n.channels", "r.readAt", "r.acknowledgedAt", "r.delivered"])
    .where("n.incidentId", "=", incidentId)
    .where("r.userId", "in", userIds)
    .limit(MAX_ROWS)
    .execute();
}

/** The match that opened an alert of a rule. */
export async function openingMatch(db: ReadDb, ruleId: string, key: string) {
  return db
    .selectFrom("decisions as d")
    .innerJoin("events as e", "e.seq", "d.eventSeq")
    .select(["e.id", "e.type", "d.at", "d.ruleVersion"])
    .where("d.ruleId", "=", ruleId)
    .where("d.key", "=", key)
    .where("d.outcome", "=", "alert-opened")
    .orderBy("d.eventSeq", "desc")
    .limit(1)
    .executeTakeFirst();
}

const SOURCES = {
  rule: "rules",
  heartbeat: "heartbeats",
  pagerduty: "integrations",
  opsgenie: "integrations",
} as const;

/** The name of the rule, heartbeat or integration of an alert. */
export async function sourceName(db: ReadDb, source: string, id: string | null): Promise<string | undefined> {
  const table = SOURCES[source as keyof typeof SOURCES] as (typeof SOURCES)[keyof typeof SOURCES] | undefined;
  if (table === undefined || id === null) return undefined;
  const row =
    table === "rules"
      ? await db.selectFrom("rules").select("name").where("id", "=", id).executeTakeFirst()
      : table === "heartbeats"
        ? await db.selectFrom("heartbeats").select("name").where("id", "=", id).executeTakeFirst()
        : await db.selectFrom("integrations").select("name").where("id", "=", id).executeTakeFirst();
  return row?.name;
}

type Named = ReadonlyMap<string, string>;

export async function roleNames(db: ReadDb): Promise<Named> {
  const rows = await db.selectFrom("roles").select(["id", "name"]).execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}

export async function scheduleNames(db: ReadDb, ids: readonly string[]): Promise<Named> {
  const rows = await db.selectFrom("oncall_schedules").select(["id", "name"]).where("id", "in", ids).execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}

export async function shiftNames(db: ReadDb, ids: readonly string[]): Promise<Named> {
  const rows = await db.selectFrom("oncall_shifts").select(["id", "name", "kind"]).where("id", "in", ids).execute();
  return new Map(rows.map(({ id, name, kind }) => [id, name === "" ? kind : `${name} (${kind})`]));
}

export async function silenceComments(db: ReadDb, ids: readonly string[]): Promise<Named> {
  const rows = await db.selectFrom("silences").select(["id", "comment"]).where("id", "in", ids).execute();
  return new Map(rows.map(({ id, comment }) => [id, comment]));
}
