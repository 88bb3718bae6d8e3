import { type RawBuilder, sql } from "kysely";
import type { EpochMs } from "../../core/clock.ts";
import { firstIdAt } from "../../core/ids.ts";
import { URGENT_PRIORITY } from "../../http/shapes.ts";
import type { ReadDb } from "../../store/database.ts";
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
    async count(period, limit) {
      return counted(
        await sql<{ n: number }>`select count(*) as n from (
          select 1 from notifications where ${within(period)} limit ${limit}
        )`.execute(db),
      );
    },
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
  readonly incidentId: string | null;
}

export interface OpenIncidentRow {
  readonly id: string;
  readonly number: number;
  readonly title: string;
  readonly urgency: "high" | "low";
  readonly alerts: number;
  readonly firing: number;
  readonly openedAt: number;
  readonly steppedAt: number | null;
  readonly reachedAt: number | null;
}

/** Incidents that wait for an acknowledgement, the latest first; not those whose policy only calls webhooks. */
export async function openIncidents(db: ReadDb, projects: readonly string[]): Promise<OpenIncidentRow[]> {
  const { rows } = await sql<OpenIncidentRow>`
    select id, number, title, urgency, alerts, firing, openedAt, steppedAt, reachedAt
    from incidents indexed by incidents_waiting
    where state = 'open' and snoozedUntil is null and projectId in (select value from json_each(${JSON.stringify(projects)}))
      and not exists (
        select 1 from policy_versions p where p.policyId = incidents.policyId and p.version = incidents.policyVersion
          and exists (select 1 from json_each(p.definition, '$.steps') s where s.value ->> 'type' = 'webhook')
          and not exists (select 1 from json_each(p.definition, '$.steps') s where s.value ->> 'type' in ('notify', 'channel')))
    order by openedAt desc limit ${LISTED}`.execute(db);
  return rows;
}

/** Urgent notifications since a time that no recipient has acknowledged, without those of incidents. */
export async function unacknowledged(db: ReadDb, since: number): Promise<UrgentRow[]> {
  const { rows } = await sql<UrgentRow>`
    select recent.id, recent.title, recent.createdAt, recent.aggregateCount, null as incidentId, count(*) as recipients, count(r.readAt) as seen,
      (select name from rules where id = recent.ruleId) as rule,
      coalesce((select sum(count) from suppressed_batches where ruleId = recent.ruleId and closedAt is null), 0) as suppressed
    from (
      select * from (
        select id, ruleId, title, createdAt, aggregateCount, priority, incidentId from notifications
        where id >= ${firstIdAt(since)} order by id desc limit ${WINDOW}
      ) where priority >= ${URGENT_PRIORITY} and incidentId is null order by id desc limit ${CHECKED}
    ) recent
    cross join notification_recipients r on r.notificationId = recent.id and r.deletedAt is null
    group by recent.id having count(r.acknowledgedAt) = 0 order by recent.id desc limit ${LISTED}`.execute(db);
  return rows;
}

/** {@link unacknowledged} by the user; of the other recipients nothing is read. */
export async function ownUnacknowledged(db: ReadDb, userId: string, since: number): Promise<UrgentRow[]> {
  const { rows } = await sql<UrgentRow>`
    select n.id, n.title, n.createdAt, n.aggregateCount, n.incidentId, 1 as recipients, readAt is not null as seen,
      null as rule, 0 as suppressed
    from (
      select notificationId, readAt, seq from notification_recipients
      where userId = ${userId} and acknowledgedAt is null and deletedAt is null order by seq desc limit ${OWN_WINDOW}
    ) recent
    cross join notifications n on n.id = recent.notificationId
    where n.priority >= ${URGENT_PRIORITY} and n.createdAt >= ${since} and (n.incidentId is null
      or exists (select 1 from incidents i where i.id = n.incidentId and i.state = 'open' and i.snoozedUntil is null))
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
