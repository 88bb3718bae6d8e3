import type { Database as Sqlite } from "better-sqlite3";
import { type Selectable, sql } from "kysely";
import type { EpochMs } from "../../../core/clock.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { IncidentAcksTable, IncidentLogTable, IncidentsTable } from "../../../store/schema/alerts.ts";
import type { Policies } from "../policies/policies.ts";
import type { PolicyStep, StepSettings } from "../policies/policy.ts";
import type { RouteSettings } from "../policies/routing.ts";
import type { Ack, Incident, Member, Turn } from "./machine.ts";

/* Rows of incidents; the only writer of these tables besides retention. */

export type IncidentRow = Selectable<IncidentsTable>;
export type AckRow = Selectable<IncidentAcksTable>;

/** What a row of the timeline says; `data` depends on the kind (docs/alerts.md). */
export interface LogEntry {
  readonly kind: string;
  readonly actor?: string | null;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** SQLite binds up to 32 766 values per statement. */
const ROWS_AT_ONCE = 1000;

export function findIncident(db: ReadDb | Trx, id: string): Promise<IncidentRow | undefined> {
  return db.selectFrom("incidents").selectAll().where("id", "=", id).executeTakeFirst();
}

/** The incident that alerts of this group join. */
export function unresolvedOf(
  db: ReadDb | Trx,
  { projectId, policyId, groupKey }: Pick<IncidentRow, "projectId" | "policyId" | "groupKey">,
): Promise<IncidentRow | undefined> {
  return db
    .selectFrom("incidents")
    .selectAll()
    .where("projectId", "=", projectId)
    .where("policyId", "=", policyId)
    .where("groupKey", "=", groupKey)
    .where("state", "<>", "resolved")
    .executeTakeFirst();
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

/** A list of any length as one bound value. */
function valuesOf(ids: readonly string[]) {
  return sql<string>`(select value from json_each(${JSON.stringify(ids)}))`;
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
  const row = await trx
    .selectFrom("incidents")
    .select((e) => e.fn.max("number").as("last"))
    .where("projectId", "=", projectId)
    .executeTakeFirst();
  return (row?.last ?? 0) + 1;
}

export async function membersOf(db: ReadDb | Trx, incidentId: string): Promise<Member[]> {
  const rows = await db
    .selectFrom("incident_alerts as m")
    .innerJoin("alerts as a", "a.id", "m.alertId")
    .select(["m.alertId", "m.addedAt", "m.firingNotifiedAt", "m.resolvedNotifiedAt", "a.state", "a.key", "a.timedOut"])
    .where("m.incidentId", "=", incidentId)
    .orderBy("m.alertId")
    .execute();
  // Ids grow with time: the last of equal keys counts.
  const newest = new Map(rows.map(({ key, alertId }) => [key, alertId]));
  return rows.map(({ state, key, timedOut, ...row }) => ({
    ...row,
    isFiring: state === "firing",
    hasTimedOut: timedOut === 1 && newest.get(key) === row.alertId,
  }));
}

export async function acksOf(db: ReadDb | Trx, incidentId: string): Promise<AckRow[]> {
  return db.selectFrom("incident_acks").selectAll().where("incidentId", "=", incidentId).orderBy("at").execute();
}

/** An alert that was notified, and has ended without a notification of that. */
export interface EndedMember {
  readonly alertId: string;
  readonly firingNotifiedAt: EpochMs;
}

/** Alerts by key that were notified, and have ended since without a notification: those that fire again continue them. */
export async function endedMembers(trx: Trx, incidentId: string): Promise<Map<string, EndedMember>> {
  const rows = await trx
    .selectFrom("incident_alerts as m")
    .innerJoin("alerts as a", "a.id", "m.alertId")
    .select(["m.alertId", "m.firingNotifiedAt", "a.key"])
    .where("m.incidentId", "=", incidentId)
    .where("m.firingNotifiedAt", "is not", null)
    .where("m.resolvedNotifiedAt", "is", null)
    .where("a.state", "=", "resolved")
    .execute();
  return new Map(
    rows.map(({ key, alertId, firingNotifiedAt }) => [key, { alertId, firingNotifiedAt: firingNotifiedAt ?? 0 }]),
  );
}

/** The ids of alerts that webhooks may name: notified, and not ended with a notification before `since`. */
export async function reportedMembers(db: ReadDb, incidentId: string, since: EpochMs): Promise<string[]> {
  const rows = await db
    .selectFrom("incident_alerts")
    .select("alertId")
    .where("incidentId", "=", incidentId)
    .where("firingNotifiedAt", "is not", null)
    .where((e) => e.or([e("resolvedNotifiedAt", "is", null), e("resolvedNotifiedAt", ">=", since)]))
    .execute();
  return rows.map(({ alertId }) => alertId);
}

/** The fingerprints of alerts that fire in the incident. */
export async function firingIn(db: ReadDb, incidentId: string): Promise<Set<string>> {
  const rows = await db
    .selectFrom("incident_alerts as m")
    .innerJoin("alerts as a", "a.id", "m.alertId")
    .select("a.fingerprint")
    .where("m.incidentId", "=", incidentId)
    .where("a.state", "=", "firing")
    .execute();
  return new Set(rows.map(({ fingerprint }) => fingerprint));
}

/** Firing alerts that the last webhooks left out. */
export async function leftOutOf(db: ReadDb | Trx, incidentId: string): Promise<ReadonlySet<string>> {
  const row = await lastLog(db, incidentId, ["left-out"]);
  return new Set(row ? (JSON.parse(row.data) as { alertIds: string[] }).alertIds : []);
}

/** Stores what a change decided, without its notifications. @param via how acknowledgements came */
export async function saveTurn(
  trx: Trx,
  row: IncidentRow,
  { incident, acks, firingNotified, resolvedNotified }: Turn,
  { notices, via, now }: { readonly notices: number; readonly via: string; readonly now: EpochMs },
): Promise<IncidentRow> {
  const saved = await saveIncident(trx, { ...row, notices }, incident, now);
  await markNotified(trx, row.id, "firingNotifiedAt", firingNotified, now);
  await markNotified(trx, row.id, "resolvedNotifiedAt", resolvedNotified, now);
  await saveAcks(trx, row.id, acks, via);
  return saved;
}

/** Stores the columns that the machine decides about, and the number of notices of the row. */
export async function saveIncident(trx: Trx, row: IncidentRow, incident: Incident, now: EpochMs): Promise<IncidentRow> {
  const changes = { ...columnsOf(incident), notices: row.notices, version: row.version + 1, updatedAt: now };
  await trx.updateTable("incidents").set(changes).where("id", "=", row.id).execute();
  return { ...row, ...changes };
}

/** The columns that the machine decides about. */
export function columnsOf(incident: Incident): Incident {
  const { state, urgency, openedAt, acknowledgedAt, resolvedAt, resolvedBy, snoozedUntil, step, round } = incident;
  const { lastFlushAt, notifiedAt, reachedAt, steppedAt, flushAt, stepAt, repeatAt, ackExpiresAt, autoResolveAt } =
    incident;
  const { direct, assigned } = incident;
  const reached = { reachedAt, steppedAt, direct, assigned };
  const times = { ...reached, lastFlushAt, notifiedAt, flushAt, stepAt, repeatAt, ackExpiresAt, autoResolveAt };
  const ends = { acknowledgedAt, resolvedAt, resolvedBy, sourceIncidentId: incident.sourceIncidentId, snoozedUntil };
  return { state, urgency, openedAt, ...ends, step, round, ...times };
}

/** Sets when the firing or the end of these alerts was notified. */
export async function markNotified(
  trx: Trx,
  incidentId: string,
  column: "firingNotifiedAt" | "resolvedNotifiedAt",
  ids: readonly string[],
  now: EpochMs,
): Promise<void> {
  for (let at = 0; at < ids.length; at += ROWS_AT_ONCE)
    await trx
      .updateTable("incident_alerts")
      .set({ [column]: now })
      .where("incidentId", "=", incidentId)
      .where("alertId", "in", ids.slice(at, at + ROWS_AT_ONCE))
      .execute();
}

async function saveAcks(trx: Trx, incidentId: string, acks: readonly Ack[], via: string): Promise<void> {
  const held = await acksOf(trx, incidentId);
  const gone = held.filter(({ userId }) => !acks.some((each) => each.userId === userId));
  for (const { userId } of gone)
    await trx.deleteFrom("incident_acks").where("incidentId", "=", incidentId).where("userId", "=", userId).execute();
  for (const { userId, at, expiresAt } of acks) {
    const old = held.find((each) => each.userId === userId);
    if (old?.expiresAt === expiresAt && old.at === at) continue;
    await trx
      .insertInto("incident_acks")
      .values({ incidentId, userId, at, expiresAt, via })
      .onConflict((conflict) => conflict.columns(["incidentId", "userId"]).doUpdateSet({ at, expiresAt, via }))
      .execute();
  }
}

/** Adds to the timeline. @returns the number of the last row */
export async function addLog(
  trx: Trx,
  incidentId: string,
  entries: readonly LogEntry[],
  now: EpochMs,
): Promise<number> {
  const { last } = await trx
    .selectFrom("incident_log")
    .select((e) => e.fn.max("seq").as("last"))
    .where("incidentId", "=", incidentId)
    .executeTakeFirstOrThrow();
  let seq = last ?? 0;
  if (entries.length === 0) return seq;
  const rows = entries.map(({ kind, actor = null, data = {} }) => {
    seq += 1;
    return { incidentId, seq, at: now, kind, actor, data: JSON.stringify(data) };
  });
  await trx.insertInto("incident_log").values(rows).execute();
  return seq;
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
export function lastLog(
  db: ReadDb | Trx,
  incidentId: string,
  kinds: readonly string[],
): Promise<Selectable<IncidentLogTable> | undefined> {
  return db
    .selectFrom("incident_log")
    .selectAll()
    .where("incidentId", "=", incidentId)
    .where("kind", "in", kinds)
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
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

type Held = ReadonlySet<"flush" | "step" | "repeat">;

const UNNOTIFIED = `select 1 from incident_alerts m join alerts a on a.id = m.alertId where m.incidentId = @id
  and m.firingNotifiedAt is null and a.state = 'firing' and exists (
    select 1 from incident_log l where l.incidentId = @id and l.kind = 'withheld' and l.at >= m.addedAt) limit 1`;
const LAST = `select kind, data from incident_log where incidentId = @id
  and kind not in ('note', 'contact-notified', 'contact-dropped', 'left-out', 'webhook-shortened') order by seq desc limit 1`;

/** What waited for withheld alerts when the process stopped, as the members and the timeline show. */
export function heldReader(reader: Sqlite): (row: IncidentRow) => Held {
  const unnotified = reader.prepare(UNNOTIFIED);
  const last = reader.prepare<{ id: string }, { kind: string; data: string }>(LAST);
  return ({ id, lastFlushAt, flushAt }) => {
    if (lastFlushAt === null) return new Set();
    const entry = last.get({ id });
    const logged = entry?.kind === "withheld" ? [(JSON.parse(entry.data) as { holds: "step" }).holds] : [];
    const isFlushHeld = flushAt !== null && unnotified.get({ id }) !== undefined;
    return new Set([...(isFlushHeld ? (["flush"] as const) : []), ...logged]);
  };
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
  return trx.selectFrom("incidents").selectAll().where("id", "in", valuesOf(ids)).orderBy("number").execute();
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

/** The users who received a notification of one of these incidents. */
export async function notifiedUsers(trx: Trx, incidentIds: readonly string[]): Promise<string[]> {
  const rows = await trx
    .selectFrom("notifications as n")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .select("r.userId")
    .distinct()
    .where("n.incidentId", "in", valuesOf(incidentIds))
    .execute();
  return rows.map(({ userId }) => userId);
}
