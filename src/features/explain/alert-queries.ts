import { sql } from "kysely";
import { isUuid } from "../../core/ids.ts";
import type { ReadDb } from "../../store/database.ts";
import { type IncidentRow, lastPages, withOutcomes } from "../alerts/index.ts";
import type { LogData, LogRow } from "./alert-sentences.ts";

const MAX_ROWS = 500;

export function findIncident(db: ReadDb, id: string): Promise<IncidentRow | undefined> {
  return db.selectFrom("incidents").selectAll().where("id", "=", id).executeTakeFirst();
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

/** When incidents count alerts as notified. */
export function membershipsOf(db: ReadDb, incidentIds: readonly string[], alertIds: readonly string[]) {
  return db
    .selectFrom("incident_alerts")
    .select(["incidentId", "alertId", "addedAt", "firingNotifiedAt"])
    .where("incidentId", "in", incidentIds)
    .where("alertId", "in", alertIds)
    .execute();
}

/** The last notices, those to a service with its preset, such as `ntfy`: names of channels are their owners'. */
async function namedPages(db: ReadDb, incidentId: string): ReturnType<typeof lastPages> {
  const pages = await lastPages(db, incidentId);
  if (!pages.some(({ channel }) => channel === "service")) return pages;
  const rows = await db
    .selectFrom("pages as p")
    .innerJoin("deliveries as d", "d.id", "p.id")
    .innerJoin("channels as c", "c.id", "d.target")
    .select(["p.id", "c.preset"])
    .where("p.incidentId", "=", incidentId)
    .where("p.channel", "=", "service")
    .execute();
  const names = new Map(rows.map(({ id, preset }) => [id, preset]));
  return pages.map((page) => ({ ...page, channel: names.get(page.id) ?? page.channel }));
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
  const pages = await namedPages(db, incidentId);
  return rows.reverse().map((row) => ({ ...row, data: withOutcomes(JSON.parse(row.data) as LogData, pages) }));
}

/** The row of a timeline that names a notification; undefined if retention has removed it. */
export async function entryOf(db: ReadDb, incidentId: string, notificationId: string): Promise<LogRow | undefined> {
  const row = await db
    .selectFrom("incident_log")
    .select(["at", "kind", "actor", "data"])
    .where("incidentId", "=", incidentId)
    .where(sql<boolean>`instr(data, ${notificationId}) > 0`)
    .orderBy("seq")
    .limit(1)
    .executeTakeFirst();
  if (!row) return undefined;
  const pages = await namedPages(db, incidentId);
  return { ...row, data: withOutcomes(JSON.parse(row.data) as LogData, pages) };
}

/** The silences that held alerts of incidents, each with its first time. */
export function silenceHits(db: ReadDb, incidentIds: readonly string[], alertIds: readonly string[]) {
  return db
    .selectFrom("silence_hits")
    .select(["incidentId", "alertId", "silenceId", ({ fn }) => fn.min("at").as("at")])
    .where("incidentId", "in", incidentIds)
    .where("alertId", "in", alertIds)
    .groupBy(["incidentId", "alertId", "silenceId"])
    .limit(MAX_ROWS)
    .execute();
}

/** Who has acknowledged an incident, the first one first. */
export function acksOf(db: ReadDb, incidentId: string) {
  return db
    .selectFrom("incident_acks")
    .select(["userId", "at"])
    .where("incidentId", "=", incidentId)
    .orderBy("at")
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

/** The last matches that opened alerts of rules, by rule and key. */
export async function openingMatches(db: ReadDb, alerts: readonly { readonly ruleId: string; readonly key: string }[]) {
  if (alerts.length === 0) return [];
  const rows = await sql<OpeningMatch>`
    select e.id, e.type, d.ruleId, d.key, d.ruleVersion from json_each(${JSON.stringify(alerts)}) a
    join decisions d on d.ruleId = a.value ->> 'ruleId' and d.key = a.value ->> 'key' and d.eventSeq = (
      select max(o.eventSeq) from decisions o
      where o.ruleId = a.value ->> 'ruleId' and o.key = a.value ->> 'key' and o.outcome = 'alert-opened'
    )
    join events e on e.seq = d.eventSeq`.execute(db);
  return rows.rows;
}

interface OpeningMatch {
  readonly id: string;
  readonly type: string;
  readonly ruleId: string;
  readonly key: string;
  readonly ruleVersion: number;
}

const SOURCES = {
  rule: "rules",
  heartbeat: "heartbeats",
  pagerduty: "integrations",
  opsgenie: "integrations",
  receiver: "receivers",
} as const;

/** The names of the rules, heartbeats, integrations and receivers of alerts, by id: one read for each kind. */
export async function sourceNames(
  db: ReadDb,
  alerts: readonly { readonly source: string; readonly sourceId: string | null }[],
): Promise<Named> {
  const names = new Map<string, string>();
  for (const table of new Set(Object.values(SOURCES))) {
    const ids = alerts.flatMap(({ source, sourceId }) =>
      sourceId !== null && SOURCES[source as keyof typeof SOURCES] === table ? [sourceId] : [],
    );
    if (ids.length === 0) continue;
    const rows = await db
      .selectFrom(table)
      .select(["id", "name"])
      .where("id", "in", [...new Set(ids)])
      .execute();
    for (const { id, name } of rows) names.set(id, name);
  }
  return names;
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

/** Comment and author of silences, such as `"Disks are exchanged" of anna`. */
export async function silenceTexts(db: ReadDb, ids: readonly string[]): Promise<Named> {
  const rows = await db
    .selectFrom("silences as s")
    .leftJoin("users as u", "u.id", "s.createdBy")
    .select(["s.id", "s.comment", "s.createdBy", "u.name", "u.username"])
    .where("s.id", "in", ids)
    .execute();
  return new Map(
    rows.map((row) => [row.id, `"${row.comment}" of ${row.name || row.username || authorText(row.createdBy)}`]),
  );
}

function authorText(id: string): string {
  if (id.startsWith("key:")) return "an API key";
  return id === "operator" || isUuid(id) ? "the operator" : id;
}
