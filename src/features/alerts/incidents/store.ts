import { type Selectable, sql } from "kysely";
import type { EpochMs } from "../../../core/time/clock.ts";
import { type BoundStatement, later, type ReadDb, rowsOf, type Trx, updateLater } from "../../../store/database.ts";
import type { IncidentLogTable } from "../../../store/schema/alerts.ts";
import { valuesOf } from "../../../store/sqlite/list-queries.ts";
import type { Policies } from "../policies/policies.ts";
import type { PolicyStep, StepSettings } from "../policies/policy.ts";
import type { RouteSettings } from "../policies/routing.ts";
import { type AlertSeverity, columnsToStore, type Incident, type IncidentRow, markFormer } from "./incident.ts";
import type { Ack, Turn } from "./machine.ts";

/* Rows of incidents; the only writer of these tables besides retention. */

/** A row of the timeline; `data` depends on the kind (docs/alerts.md). */
export interface LogEntry {
  readonly kind: string;
  readonly actor?: string | null;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** SQLite binds up to 32 766 values per statement. */
const ROWS_AT_ONCE = 1000;

export async function findIncident(db: ReadDb | Trx, id: string): Promise<IncidentRow | undefined> {
  const [row] = await rowsOf<IncidentRow>(db, "select * from incidents where id = ?", [id]);
  return row;
}

/** Alerts of a group share an incident until it is resolved. */
export type GroupOfIncident = Pick<IncidentRow, "projectId" | "policyId" | "groupKey">;

const UNRESOLVED = `select i.* from json_each(?) g cross join incidents i on i.projectId = g.value ->> 0
  and i.policyId = g.value ->> 1 and i.groupKey = g.value ->> 2 and i.state <> 'resolved'`;

/** The incidents that alerts of these groups join. */
export function unresolvedIn(db: ReadDb | Trx, groups: readonly GroupOfIncident[]): Promise<IncidentRow[]> {
  const values = groups.map(({ projectId, policyId, groupKey }) => [projectId, policyId, groupKey]);
  return rowsOf(db, UNRESOLVED, [JSON.stringify(values)]);
}

/** The incident that alerts of this group join. */
export async function unresolvedOf(db: ReadDb | Trx, group: GroupOfIncident): Promise<IncidentRow | undefined> {
  const [row] = await unresolvedIn(db, [group]);
  return row;
}

/** The unresolved incidents that each of the alerts is in. One search for all saves half the time. */
export async function unresolvedWith(
  trx: Trx,
  alertIds: readonly string[],
): Promise<ReadonlyMap<string, readonly IncidentRow[]>> {
  const members = await trx
    .selectFrom("incident_alerts")
    .select(["alertId", "incidentId"])
    .where("alertId", "in", valuesOf(alertIds))
    .where("leftAt", "is", null)
    .execute();
  const rows = await trx
    .selectFrom("incidents")
    .selectAll()
    .where("id", "in", valuesOf([...new Set(members.map(({ incidentId }) => incidentId))]))
    .where("state", "<>", "resolved")
    .execute();
  const byId = new Map(rows.map((row) => [row.id, row]));
  const found = new Map<string, IncidentRow[]>();
  for (const { alertId, incidentId } of members) {
    const row = byId.get(incidentId);
    if (row) found.set(alertId, [...(found.get(alertId) ?? []), row]);
  }
  return found;
}

/** The ids of incidents that one of these alerts is in. */
export async function incidentsWith(db: ReadDb, alertIds: readonly string[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (let at = 0; at < alertIds.length; at += ROWS_AT_ONCE) {
    const rows = await db
      .selectFrom("incident_alerts")
      .select("incidentId")
      .distinct()
      .where("alertId", "in", alertIds.slice(at, at + ROWS_AT_ONCE))
      .execute();
    for (const { incidentId } of rows) found.add(incidentId);
  }
  return found;
}

/** Alerts of a resolved incident have ended with it. */
export async function countEnded(trx: Trx, id: string, alerts: number): Promise<void> {
  await trx
    .updateTable("incidents")
    .set((e) => ({ firing: e("firing", "-", alerts) }))
    .where("id", "=", id)
    .execute();
}

export async function nextNumber(trx: Trx, projectId: string): Promise<number> {
  const text = "select max(number) as last from incidents where projectId = ?";
  const [row] = await rowsOf<{ last: number | null }>(trx, text, [projectId]);
  return (row?.last ?? 0) + 1;
}

/** Adds alerts to an incident. */
export function addMembers(trx: Trx, incidentId: string, members: readonly NewMember[], now: EpochMs): void {
  if (members.length === 0) return;
  const values = members.map(({ alertId, continues: told }) =>
    told === null ? [alertId] : [alertId, told.firingNotifiedAt, told.severity, told.severityAt],
  );
  later(
    trx,
    `insert into incident_alerts (incidentId, alertId, addedAt, firingNotifiedAt, resolvedNotifiedAt, severity, severityAt)
      select ?, value ->> 0, ?, value ->> 1, null, value ->> 2, value ->> 3 from json_each(?)`,
    [incidentId, now, JSON.stringify(values)],
  );
}

/** An alert that joins, with what was reported of the one that it continues. */
export interface NewMember {
  readonly alertId: string;
  readonly continues: EndedMember | null;
}

/** An alert that was notified, and has ended without a notification of that. */
export interface EndedMember {
  readonly alertId: string;
  readonly firingNotifiedAt: EpochMs;
  /** The highest reported severity. */
  readonly severity: AlertSeverity | null;
  readonly severityAt: EpochMs | null;
}

/**
 * Alerts by key that were notified, and have ended since without a notification: those that fire
 * again continue them.
 */
export async function endedMembers(trx: Trx, incidentId: string): Promise<Map<string, EndedMember>> {
  const rows = await trx
    .selectFrom("incident_alerts as m")
    .innerJoin("alerts as a", "a.id", "m.alertId")
    .select(["m.alertId", "m.firingNotifiedAt", "m.severity", "m.severityAt", "a.key"])
    .where("m.incidentId", "=", incidentId)
    .where("m.firingNotifiedAt", "is not", null)
    .where("m.resolvedNotifiedAt", "is", null)
    .where("a.state", "=", "resolved")
    .execute();
  return new Map(rows.map(({ key, ...row }) => [key, { ...row, firingNotifiedAt: row.firingNotifiedAt ?? 0 }]));
}

/** A membership that webhooks may name. */
export interface ReportedMember {
  readonly pageId: string;
  readonly alertId: string;
  /** Its route is another one since then. */
  readonly leftAt: EpochMs | null;
  /** Its former labels, see changes/former.ts. */
  readonly former: string | null;
}

const REPORTED = `select g.value ->> 0 as pageId, m.alertId, m.leftAt, m.former
  from json_each(?) g cross join incident_alerts m on m.incidentId = g.value ->> 1 and m.firingNotifiedAt is not null
  and (m.resolvedNotifiedAt is null or m.resolvedNotifiedAt >= g.value ->> 2)`;

/**
 * The alerts that pages of webhooks may name: notified, and not ended with a notification before `since`. The rows
 * are those of {@link ReportedMember}.
 */
export function reportedMembers(
  asked: readonly (readonly [pageId: string, incidentId: string, since: EpochMs])[],
): BoundStatement {
  return { sql: REPORTED, parameters: [JSON.stringify(asked)] };
}

/** The fingerprints of alerts that fire in the incident. */
export async function firingIn(db: ReadDb, incidentId: string): Promise<Set<string>> {
  const rows = await db
    .selectFrom("incident_alerts as m")
    .innerJoin("alerts as a", "a.id", "m.alertId")
    .select("a.fingerprint")
    .where("m.incidentId", "=", incidentId)
    .where("m.leftAt", "is", null)
    .where("a.state", "=", "firing")
    .execute();
  return new Set(rows.map(({ fingerprint }) => fingerprint));
}

/** Stores what a change decided, without its notifications. @param via how acknowledgements came */
export function saveTurn(
  trx: Trx,
  row: IncidentRow,
  { incident, acks, firingNotified, resolvedNotified, told, formerNotified }: Turn,
  how: { readonly notices: number; readonly via: string; readonly held: readonly Ack[]; readonly now: EpochMs },
): IncidentRow {
  const { notices, via, held, now } = how;
  const saved = saveIncident(trx, { ...row, notices }, incident, now);
  markNotified(trx, row.id, "firingNotifiedAt", firingNotified, now);
  markNotified(trx, row.id, "resolvedNotifiedAt", resolvedNotified, now);
  markTold(trx, row.id, told, now);
  markFormer(trx, row.id, formerNotified, now);
  saveAcks(trx, row.id, { held, acks, via });
  return saved;
}

/**
 * Stores the columns that the machine decides about, and the number of notices of the row. @param row
 * as it is stored; only its times and notices may be other ones
 */
export function saveIncident(trx: Trx, row: IncidentRow, incident: Incident, now: EpochMs): IncidentRow {
  const columns = columnsToStore(row, incident);
  const changes = { ...columns, notices: row.notices, version: row.version + 1, updatedAt: now };
  updateLater(trx, "incidents", row.id, changes);
  return { ...row, ...changes };
}

/** Sets when the firing or the end of these alerts was notified. */
export function markNotified(
  trx: Trx,
  incidentId: string,
  column: "firingNotifiedAt" | "resolvedNotifiedAt",
  ids: readonly string[],
  now: EpochMs,
): void {
  if (ids.length === 0) return;
  const all = "(select value from json_each(?))";
  const sql = `update incident_alerts set ${column} = ? where incidentId = ? and alertId in ${all}`;
  later(trx, sql, [now, incidentId, JSON.stringify(ids)]);
}

/** Sets the highest reported severities of these alerts. */
function markTold(trx: Trx, incidentId: string, told: Turn["told"], now: EpochMs): void {
  if (told.length === 0) return;
  later(
    trx,
    `update incident_alerts set severity = t.value ->> 1, severityAt = ? from json_each(?) t
      where incidentId = +? and alertId = t.value ->> 0`,
    [now, JSON.stringify(told.map(({ alertId, severity }) => [alertId, severity])), incidentId],
  );
}

function saveAcks(
  trx: Trx,
  incidentId: string,
  { held, acks, via }: { readonly held: readonly Ack[]; readonly acks: readonly Ack[]; readonly via: string },
): void {
  for (const { userId } of held)
    if (!acks.some((each) => each.userId === userId))
      later(trx, "delete from incident_acks where incidentId = ? and userId = ?", [incidentId, userId]);
  for (const { userId, at, expiresAt } of acks) {
    const old = held.find((each) => each.userId === userId);
    if (old?.expiresAt === expiresAt && old.at === at) continue;
    later(
      trx,
      `insert into incident_acks (incidentId, userId, at, expiresAt, via) values (?, ?, ?, ?, ?)
        on conflict (incidentId, userId) do update set at = excluded.at, expiresAt = excluded.expiresAt, via = excluded.via`,
      [incidentId, userId, at, expiresAt, via],
    );
  }
}

/** Adds to the timeline. */
export function addLog(trx: Trx, incidentId: string, entries: readonly LogEntry[], now: EpochMs): void {
  for (const { kind, actor = null, data = {} } of entries)
    later(
      trx,
      `insert into incident_log (incidentId, seq, at, kind, actor, data)
        values (?, (select coalesce(max(seq), 0) + 1 from incident_log where incidentId = +?), ?, ?, ?, ?)`,
      [incidentId, incidentId, now, kind, actor, JSON.stringify(data)],
    );
}

/** The number of the last row of the timeline. */
export async function lastLogSeq(trx: Trx, incidentId: string): Promise<number> {
  const text = "select max(seq) as last from incident_log where incidentId = +?";
  const [row] = await rowsOf<{ last: number | null }>(trx, text, [incidentId]);
  return row?.last ?? 0;
}

/** Adds one row to the timeline of each of these incidents. */
export async function addSameLog(
  trx: Trx,
  incidents: readonly Pick<IncidentRow, "id">[],
  { kind, data = {} }: LogEntry,
  now: EpochMs,
): Promise<void> {
  const ids = JSON.stringify(incidents.map(({ id }) => id));
  await sql`
    insert into incident_log (incidentId, seq, at, kind, actor, data)
    select value, (select coalesce(max(seq), 0) + 1 from incident_log where incidentId = value),
      ${now}, ${kind}, null, ${JSON.stringify(data)}
    from json_each(${ids})`.execute(trx);
}

/** The newest row of one of these kinds. */
export async function lastLog(
  db: ReadDb | Trx,
  incidentId: string,
  kinds: readonly string[],
): Promise<Pick<Selectable<IncidentLogTable>, "seq" | "kind" | "data"> | undefined> {
  const text = `select seq, kind, data from incident_log where incidentId = +?
    and kind in (select value from json_each(?)) order by seq desc limit 1`;
  const [row] = await rowsOf<Pick<Selectable<IncidentLogTable>, "seq" | "kind" | "data">>(db, text, [
    incidentId,
    JSON.stringify(kinds),
  ]);
  return row;
}

/** A user who received a notification of the incident, with the channels of all of them. */
export interface AudienceMember {
  readonly userId: string;
  readonly channels: readonly string[];
}

/** Every user who received a notification of the incident. */
export async function audienceOf(db: ReadDb | Trx, incidentId: string): Promise<AudienceMember[]> {
  const rows = await db
    .selectFrom("notifications as n")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .select(["r.userId", "n.channels"])
    .distinct()
    .where("n.incidentId", "=", incidentId)
    .orderBy("r.userId")
    .execute();
  const byUser = new Map<string, Set<string>>();
  for (const { userId, channels } of rows) {
    const all = byUser.get(userId) ?? new Set<string>();
    for (const each of JSON.parse(channels ?? "[]") as string[]) all.add(each);
    byUser.set(userId, all);
  }
  return [...byUser].map(([userId, channels]) => ({ userId, channels: [...channels].sort() }));
}

/** The steps that called a webhook, or sent to a channel. */
export async function calledSteps(
  db: ReadDb | Trx,
  incidentId: string,
  kind: "webhook" | "channel",
): Promise<number[]> {
  const rows = await db
    .selectFrom("incident_log")
    .select("data")
    .where("incidentId", "=", incidentId)
    .where("kind", "=", kind)
    .execute();
  const steps = rows.map(({ data }) => (JSON.parse(data) as { step: number }).step);
  return [...new Set(steps)].sort((a, b) => a - b);
}

/** Policy and route as the incident keeps them. */
export function settingsOf(policies: Policies, { policyId, policyVersion, route }: IncidentRow): StepSettings {
  const { groupWaitMs, groupIntervalMs, repeatMs, silentSource } = JSON.parse(route) as RouteSettings;
  const definition = policies.definitionOf({ id: policyId, version: policyVersion });
  const steps = silentSource?.urgency === "high" ? definition.steps.map(withHighUrgency) : definition.steps;
  return { ...definition, steps, groupWaitMs, groupIntervalMs, repeatMs };
}

function withHighUrgency(step: PolicyStep): PolicyStep {
  return step.type === "notify" ? { ...step, urgency: "high" } : step;
}

/** An alert that timed out, with an incident that it is in. */
export interface TimedOutAlert {
  readonly incidentId: string;
  readonly lastAt: EpochMs;
  readonly endsAt: EpochMs | null;
}

/** Alerts of a sender that timed out since then. */
export function timedOutSince(
  trx: Trx,
  projectId: string,
  sender: string,
  since: EpochMs,
): Promise<readonly TimedOutAlert[]> {
  return trx
    .selectFrom("alerts as a")
    .innerJoin("incident_alerts as m", "m.alertId", "a.id")
    .select(["m.incidentId", "a.lastAt", "a.endsAt"])
    .where("a.projectId", "=", projectId)
    .where("a.state", "=", sql.lit("resolved"))
    .where("a.resolvedAt", ">=", since)
    .where("a.timedOut", "=", 1)
    .where("a.sender", "=", sender)
    .where("m.leftAt", "is", null)
    .execute();
}

/** The id of the sender's last alert in an incident that timed out. */
export async function lastTimedOut(trx: Trx, incidentId: string, sender: string): Promise<string | undefined> {
  const row = await trx
    .selectFrom("incident_alerts as m")
    .innerJoin("alerts as a", "a.id", "m.alertId")
    .select("a.id")
    .where("m.incidentId", "=", incidentId)
    .where("a.timedOut", "=", 1)
    .where("a.sender", "=", sender)
    .orderBy("m.alertId", "desc")
    .limit(1)
    .executeTakeFirst();
  return row?.id;
}

export function incidentsById(trx: Trx, ids: readonly string[]): Promise<IncidentRow[]> {
  const { sql: text, parameters } = incidentsOf(ids);
  return rowsOf(trx, text, parameters);
}

/** Reads incidents by id. */
export function incidentsOf(ids: readonly string[]): BoundStatement {
  const text = "select * from incidents where id in (select value from json_each(?)) order by number";
  return { sql: text, parameters: [JSON.stringify(ids)] };
}

/** The live alert with this key, and its incident if that is not resolved. */
export async function reportOf(
  trx: Trx,
  projectId: string,
  key: string,
): Promise<{ readonly alertId: string; readonly row: IncidentRow } | undefined> {
  const found = await trx
    .selectFrom("alerts as a")
    .innerJoin("incident_alerts as m", "m.alertId", "a.id")
    .innerJoin("incidents as i", "i.id", "m.incidentId")
    .selectAll("i")
    .select("m.alertId")
    .where("a.projectId", "=", projectId)
    .where("a.key", "=", key)
    .where("a.state", "<>", sql.lit("resolved"))
    .where("i.state", "<>", "resolved")
    .executeTakeFirst();
  if (!found) return undefined;
  const { alertId, ...row } = found;
  return { alertId, row };
}

/** Changes columns of incidents that no turn decides about. @returns the changed rows */
export async function changeIncidents(
  trx: Trx,
  rows: readonly IncidentRow[],
  changes: Partial<Pick<IncidentRow, "flushAt" | "sourceIncidentId" | "route" | "notices">>,
  now: EpochMs,
): Promise<IncidentRow[]> {
  await trx
    .updateTable("incidents")
    .set((e) => ({ ...changes, version: e("version", "+", 1), updatedAt: now }))
    .where("id", "in", valuesOf(rows.map(({ id }) => id)))
    .execute();
  return rows.map((row) => ({ ...row, ...changes, version: row.version + 1, updatedAt: now }));
}

/** The incidents of an alert, the newest first. */
export function incidentsOfAlert(db: ReadDb, alertId: string, limit: number): Promise<IncidentRow[]> {
  return db
    .selectFrom("incident_alerts as m")
    .innerJoin("incidents as i", "i.id", "m.incidentId")
    .selectAll("i")
    .where("m.alertId", "=", alertId)
    .orderBy("i.id", "desc")
    .limit(limit)
    .execute();
}

/** Ids of the incidents of an alert that are not resolved. */
export async function unresolvedOfAlert(db: ReadDb | Trx, alertId: string): Promise<string[]> {
  const rows = await db
    .selectFrom("incident_alerts as m")
    .innerJoin("incidents as i", "i.id", "m.incidentId")
    .select("i.id")
    .where("m.alertId", "=", alertId)
    .where("m.leftAt", "is", null)
    .where("i.state", "<>", "resolved")
    .execute();
  return rows.map(({ id }) => id);
}

/** The users who received a notification of one of these incidents. */
export async function notifiedUsers(trx: ReadDb | Trx, incidentIds: readonly string[]): Promise<string[]> {
  const rows = await trx
    .selectFrom("notifications as n")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .select("r.userId")
    .distinct()
    .where("n.incidentId", "in", valuesOf(incidentIds))
    .execute();
  return rows.map(({ userId }) => userId);
}
