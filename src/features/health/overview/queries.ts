import { type RawBuilder, sql } from "kysely";
import { firstIdAt } from "../../../core/ids.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { URGENT_PRIORITY } from "../../../http/api/shapes.ts";
import type { ReadDb } from "../../../store/database.ts";
import type { IncidentSeverity } from "../../../store/schema/alerts.ts";
import { valuesOf } from "../../../store/sqlite/list-queries.ts";
import { ACKNOWLEDGED_RANK, attentionRank, isUnresolved } from "../../alerts/index.ts";
import type { Period, Sample, Source } from "./series.ts";

/** Rows of a group in a bucket of the period. */
interface Row {
  readonly bucket: number;
  readonly name: string;
  readonly state: string;
  readonly n: number;
}

/**
 * Numbers of the first events at or after each instant, by binary search: no index has the time.
 */
export async function seqsAt(db: ReadDb, times: readonly number[]): Promise<number[]> {
  const { rows } = await sql<{ at: number; seq: number }>`
    with recursive search (at, low, high) as (
      select t.value, coalesce((select min(seq) from events), 1), coalesce((select max(seq) from events), 0) + 1
      from json_each(${JSON.stringify(times)}) t
      union all
      select at,
        iif(coalesce((select receivedAt from events where seq >= (low + high) / 2 order by seq limit 1), at) >= at,
          low, (low + high) / 2 + 1),
        iif(coalesce((select receivedAt from events where seq >= (low + high) / 2 order by seq limit 1), at) >= at,
          (low + high) / 2, high)
      from search where low < high
    )
    select at, low as seq from search where low >= high`.execute(db);
  const found = new Map(rows.map(({ at, seq }) => [at, seq]));
  return times.map((at) => found.get(at) ?? 0);
}

/** Projects with events to count; null: all. */
type ProjectScope = readonly string[] | null;

/** Number of events from `first` up to `end`; of all projects it is the difference. */
export async function countEvents(db: ReadDb, projects: ProjectScope, first: number, end: number): Promise<number> {
  if (projects === null) return Math.max(0, end - first);
  const { rows } = await sql<{ n: number }>`
    select count(*) as n from json_each(${JSON.stringify(projects)}) p
    cross join events e on e.projectId = p.value where e.seq >= ${first} and e.seq < ${end}`.execute(db);
  return rows[0]?.n ?? 0;
}

/** Number of errors, from their index. */
export async function countErrors(
  db: ReadDb,
  projects: readonly string[],
  first: number,
  end: number,
): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*) as n from json_each(${JSON.stringify(projects)}) p
    cross join events e on e.projectId = p.value
    where e.level in ('error', 'fatal') and e.seq >= ${first} and e.seq < ${end}`.execute(db);
  return rows[0]?.n ?? 0;
}

export async function projectIds(db: ReadDb): Promise<string[]> {
  const rows = await db.selectFrom("projects").select("id").where("deletedAt", "is", null).execute();
  return rows.map(({ id }) => id);
}

/** The first events of a range by bucket and level. */
export async function eventLevels(
  db: ReadDb,
  projects: ProjectScope,
  [first, end]: readonly [number, number],
  { from, stepMs }: Period,
  limit: number,
): Promise<Sample> {
  const rows =
    projects === null
      ? await sql<Row>`
        select cast((receivedAt - ${from}) / ${stepMs} as integer) as bucket, '' as name, level as state, count(*) as n
        from (select receivedAt, level from events where seq >= ${first} and seq < ${end} limit ${limit})
        group by 1, 3`.execute(db)
      : await sql<Row>`
        select cast((receivedAt - ${from}) / ${stepMs} as integer) as bucket, '' as name, level as state, count(*) as n
        from (
          select e.receivedAt, e.level from json_each(${JSON.stringify(projects)}) p
          cross join events e on e.projectId = p.value where e.seq >= ${first} and e.seq < ${end} limit ${limit}
        ) group by 1, 3`.execute(db);
  return sampleOf(rows.rows);
}

interface GroupRow {
  readonly name: string | null;
  readonly n: number;
}

/** The first events of a project in a range, by a member. */
export async function eventGroups(
  db: ReadDb,
  projectId: string,
  by: "type" | "level" | "source",
  [first, end]: readonly [number, number],
  limit: number,
): Promise<GroupRow[]> {
  const { rows } = await sql<GroupRow>`
    select name, count(*) as n from (
      select case ${by} when 'type' then type when 'level' then level else source end as name
      from events indexed by events_project where projectId = ${projectId} and seq >= ${first} and seq < ${end}
      limit ${limit}
    ) group by 1`.execute(db);
  return rows;
}

/** Deliveries by their last change. */
export function deliverySource(db: ReadDb): Source {
  return {
    async count({ from, to }, limit) {
      return counted(
        await sql<{ n: number }>`select count(*) as n from (
          select 1 from deliveries where updatedAt >= ${from} and updatedAt < ${to} limit ${limit}
        )`.execute(db),
      );
    },
    async sample({ from, to, stepMs }, limit) {
      const { rows } = await sql<Row>`
        select cast((updatedAt - ${from}) / ${stepMs} as integer) as bucket, channel as name, state, count(*) as n
        from (select updatedAt, channel, state from deliveries
          where updatedAt >= ${from} and updatedAt < ${to} limit ${limit})
        group by 1, 2, 3`.execute(db);
      return sampleOf(rows);
    },
  };
}

/** Finished jobs by their end. */
export function jobSource(db: ReadDb): Source {
  return {
    async count({ from, to }, limit) {
      return counted(
        await sql<{ n: number }>`select count(*) as n from (
          select 1 from jobs where finishedAt >= ${from} and finishedAt < ${to} limit ${limit}
        )`.execute(db),
      );
    },
    async sample({ from, to, stepMs }, limit) {
      const { rows } = await sql<Row>`
        select cast((finishedAt - ${from}) / ${stepMs} as integer) as bucket, queue as name, state, count(*) as n
        from (select finishedAt, queue, state from jobs
          where finishedAt >= ${from} and finishedAt < ${to} limit ${limit})
        group by 1, 2, 3`.execute(db);
      return sampleOf(rows);
    },
  };
}

/** By the indexes of time: that of each project, and of those without one. The rows themselves are wide. */
async function countNotifications(
  db: ReadDb,
  projectId: string | null,
  { from, to }: Period,
  limit: number,
): Promise<number> {
  const isWithin = sql<boolean>`createdAt >= ${from} and createdAt < ${to}`;
  if (projectId !== null)
    return counted(
      await sql<{ n: number }>`select count(*) as n from (
        select 1 from notifications where projectId = ${projectId} and ${isWithin} limit ${limit}
      )`.execute(db),
    );
  return counted(
    await sql<{ n: number }>`
      with recursive known (id) as (
        select min(projectId) from notifications where projectId is not null
        union all
        select (select min(projectId) from notifications where projectId > known.id) from known where known.id is not null
      )
      select count(*) as n from (
        select 1 from known cross join notifications indexed by notifications_project
          on projectId = known.id and ${isWithin}
        union all
        select 1 from notifications indexed by notifications_unowned where projectId is null and ${isWithin}
        limit ${limit}
      )`.execute(db),
  );
}

interface NotificationRow {
  readonly bucket: number;
  readonly sent: number;
  readonly seen: number;
  readonly acknowledged: number;
}

/** Notifications of all users, or those of a project. Ids are in the order of their creation. */
export function notificationSource(db: ReadDb, projectId: string | null, now: EpochMs): Source {
  const within = ({ from, to }: Period): RawBuilder<boolean> => {
    if (projectId !== null)
      return sql<boolean>`projectId = ${projectId} and createdAt >= ${from} and createdAt < ${to}`;
    const first = firstIdAt(from);
    // After the clock was set back, ids go on from the latest instant.
    if (to >= now) return sql<boolean>`id >= ${first} and createdAt >= ${from} and createdAt < ${to}`;
    return sql<boolean>`id >= ${first} and id < ${firstIdAt(to)}`;
  };
  return {
    count: (period, limit) => countNotifications(db, projectId, period, limit),
    async sample(period, limit) {
      const { rows } = await sql<NotificationRow>`
        select cast((createdAt - ${period.from}) / ${period.stepMs} as integer) as bucket, count(*) as sent,
          sum(exists (select 1 from notification_recipients r
            where r.notificationId = recent.id and r.readAt is not null)) as seen,
          sum(exists (select 1 from notification_recipients r
            where r.notificationId = recent.id and r.acknowledgedAt is not null)) as acknowledged
        from (select id, createdAt from notifications where ${within(period)} limit ${limit}) recent
        group by 1`.execute(db);
      return notificationSample(rows);
    },
  };
}

/** A user's last notifications; enough for a chart, and no index has the time. */
const OWN_LIMIT = 5000;

export async function ownNotifications(
  db: ReadDb,
  userId: string,
  projectId: string | null,
  { from, to, stepMs }: Period,
): Promise<Sample> {
  const { rows } = await sql<NotificationRow>`
    select cast((n.createdAt - ${from}) / ${stepMs} as integer) as bucket, count(*) as sent,
      count(readAt) as seen, count(acknowledgedAt) as acknowledged
    from (select notificationId, readAt, acknowledgedAt from notification_recipients
      where userId = ${userId} order by seq desc limit ${OWN_LIMIT}) recent
    cross join notifications n on n.id = recent.notificationId
    where n.createdAt >= ${from} and n.createdAt < ${to} and (${projectId} is null or n.projectId = ${projectId})
    group by 1`.execute(db);
  return notificationSample(rows);
}

function notificationSample(rows: readonly NotificationRow[]): Sample {
  const cells = rows.flatMap(({ bucket, sent, seen, acknowledged }) => [
    { bucket, name: "", state: "sent", n: sent },
    { bucket, name: "", state: "seen", n: seen },
    { bucket, name: "", state: "acknowledged", n: acknowledged },
  ]);
  return { cells, rows: rows.reduce((sum, { sent }) => sum + sent, 0) };
}

function sampleOf(cells: readonly Row[]): Sample {
  return { cells, rows: cells.reduce((sum, { n }) => sum + n, 0) };
}

function counted({ rows }: { readonly rows: readonly { readonly n: number }[] }): number {
  return rows[0]?.n ?? 0;
}

/** Notifications that are looked through, newest first. */
const WINDOW = 20_000;
/** Urgent ones of these that are checked. */
export const CHECKED = 100;
/** Limit of listed notifications. */
export const LISTED = 20;
/** Limit of a user's own that are looked through. */
const OWN_WINDOW = 1000;

/** Drills, and notices that targets accept messages again, ask for nothing. */
const isAsking = sql<boolean>`(kind <> 'incident' and (kind <> 'direct'
  or (data ->> '$.drillId' is null and coalesce(json_type(data, '$.mended'), '') <> 'array')))`;

export interface UrgentRow {
  readonly id: string;
  readonly title: string;
  readonly createdAt: number;
  readonly rule: string | null;
  readonly aggregateCount: number;
  readonly recipients: number;
  readonly seen: number;
  readonly suppressed: number;
  readonly incidentId: string | null;
}

export interface OpenIncidentRow {
  readonly id: string;
  readonly number: number;
  readonly title: string;
  readonly urgency: "high" | "low";
  readonly alerts: number;
  readonly firing: number;
  readonly state: "open";
  readonly severity: IncidentSeverity | null;
  readonly openedAt: number;
  readonly firingSince: number;
  readonly steppedAt: number | null;
  readonly reachedAt: number | null;
  /** Name of its project. */
  readonly project: string;
}

/** Incidents that wait for an acknowledgement of a person, the most severe first, then the earliest alert. */
export async function openIncidents(db: ReadDb, projects: readonly string[]): Promise<OpenIncidentRow[]> {
  const { rows } = await sql<OpenIncidentRow>`
    select id, number, title, urgency, state, severity, alerts, firing, openedAt, firingSince, steppedAt, reachedAt,
      (select p.name from projects p where p.id = projectId) as project
    from incidents indexed by incidents_attention
    where ${isUnresolved} and ${attentionRank} < ${ACKNOWLEDGED_RANK}
      and projectId in ${valuesOf(projects)}
    order by ${attentionRank}, firingSince, id limit ${LISTED}`.execute(db);
  return rows;
}

/** Names of the people who were notified of each incident, the first one first. */
export async function notifiedPeople(db: ReadDb, ids: readonly string[]): Promise<ReadonlyMap<string, string[]>> {
  const rows = await db
    .selectFrom("notifications as n")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .innerJoin("users as u", "u.id", "r.userId")
    .select((e) => ["n.incidentId", "u.name", e.fn.min("n.createdAt").as("at")])
    .where("n.incidentId", "in", ids)
    .groupBy(["n.incidentId", "r.userId", "u.name"])
    .orderBy("at")
    .orderBy("u.name")
    .execute();
  return namesBy(rows);
}

/** Names of the people who have acknowledged each incident. */
export async function acknowledgers(db: ReadDb, ids: readonly string[]): Promise<ReadonlyMap<string, string[]>> {
  const rows = await db
    .selectFrom("incident_acks as k")
    .innerJoin("users as u", "u.id", "k.userId")
    .select(["k.incidentId", "u.name"])
    .where("k.incidentId", "in", ids)
    .orderBy("k.at")
    .execute();
  return namesBy(rows);
}

function namesBy(rows: readonly { readonly incidentId: string | null; readonly name: string }[]) {
  const names = new Map<string, string[]>();
  for (const { incidentId, name } of rows)
    if (incidentId !== null) names.set(incidentId, [...(names.get(incidentId) ?? []), name]);
  return names;
}

/** Heartbeats that are down without an unresolved incident. */
export async function downHeartbeats(
  db: ReadDb,
  projects: readonly string[],
): Promise<{ readonly id: string; readonly name: string }[]> {
  const { rows } = await sql<{ id: string; name: string }>`
    select h.id, h.name from json_each(${JSON.stringify(projects)}) p
    cross join heartbeats h on h.projectId = p.value
    where h.status = 'down' and not exists (
      select 1 from alerts a join incident_alerts m on m.alertId = a.id join incidents i on i.id = m.incidentId
      where a.projectId = h.projectId and a.key = 'hb:' || h.id and a.state <> 'resolved' and i.state <> 'resolved')
    limit ${LISTED}`.execute(db);
  return rows;
}

/** Those of these on-call schedules that are in the projects and report gaps, by name. */
export function schedulesIn(db: ReadDb, projects: readonly string[], ids: readonly string[]) {
  const query = db.selectFrom("oncall_schedules").select(["id", "name"]).where("reportsGaps", "=", 1);
  const inProjects = query.where("id", "in", valuesOf(ids)).where("projectId", "in", valuesOf(projects));
  return inProjects.orderBy("name").execute();
}

/** Resources that report or decide in these projects. */
export async function countWatched(db: ReadDb, projects: readonly string[]) {
  const { rows } = await sql<{ rules: number; heartbeats: number; receivers: number }>`
    select
      (select count(*) from rules r where r.active = 1 and r.deletedAt is null and (r.projectId is null
        or r.projectId in ${valuesOf(projects)})) as rules,
      (select count(*) from json_each(${JSON.stringify(projects)}) p cross join heartbeats h on h.projectId = p.value
        where h.status <> 'paused') as heartbeats,
      (select count(*) from json_each(${JSON.stringify(projects)}) p cross join receivers r on r.projectId = p.value) as receivers`.execute(
    db,
  );
  return rows[0] ?? { rules: 0, heartbeats: 0, receivers: 0 };
}

/** Urgent notifications since a time that no recipient has acknowledged, without those of incidents. */
export async function unacknowledged(db: ReadDb, since: number, limit: number): Promise<UrgentRow[]> {
  const { rows } = await sql<UrgentRow>`
    select recent.id, recent.title, recent.createdAt, recent.aggregateCount, null as incidentId, count(*) as recipients, count(r.readAt) as seen,
      (select name from rules where id = recent.ruleId) as rule,
      coalesce((select sum(count) from suppressed_batches where ruleId = recent.ruleId and closedAt is null), 0) as suppressed
    from (
      select * from (
        select id, ruleId, title, createdAt, aggregateCount, priority, incidentId, kind, data from notifications
        where id >= ${firstIdAt(since)} order by id desc limit ${WINDOW}
      ) where priority >= ${URGENT_PRIORITY} and incidentId is null and ${isAsking} order by id desc limit ${CHECKED}
    ) recent
    cross join notification_recipients r on r.notificationId = recent.id and r.deletedAt is null
    group by recent.id having count(r.acknowledgedAt) = 0 order by recent.id desc limit ${limit}`.execute(db);
  return rows;
}

/** {@link unacknowledged} by the user; of the other recipients nothing is read. */
export async function ownUnacknowledged(
  db: ReadDb,
  userId: string,
  since: number,
  limit: number,
): Promise<UrgentRow[]> {
  const { rows } = await sql<UrgentRow>`
    select n.id, n.title, n.createdAt, n.aggregateCount, n.incidentId, 1 as recipients, readAt is not null as seen,
      null as rule, 0 as suppressed
    from (
      select notificationId, readAt, seq from notification_recipients
      where userId = ${userId} and acknowledgedAt is null and deletedAt is null order by seq desc limit ${OWN_WINDOW}
    ) recent
    cross join notifications n on n.id = recent.notificationId
    where n.priority >= ${URGENT_PRIORITY} and n.createdAt >= ${since} and (n.incidentId is null and ${isAsking}
      or exists (select 1 from incidents i where i.id = n.incidentId and i.state = 'open' and i.snoozedUntil is null))
    order by recent.seq desc limit ${limit}`.execute(db);
  return rows;
}
