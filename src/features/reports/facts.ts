import { isUuid } from "../../core/ids.ts";
import { type EpochMs, MINUTE_MS } from "../../core/time/clock.ts";
import { later, type ReadDb, rowsOf, type Trx } from "../../store/database.ts";
import type { IncidentEnd, IncidentFactsTable } from "../../store/schema.ts";
import { IS_BRIEF } from "../alerts/index.ts";

/* What reports keep of an ended incident. */

/** The same incident so soon after its end is the old one again. */
export const REOPENED_MS = 30 * MINUTE_MS;
/** SQL: the facts `f` of projects, as JSON, that were opened from one time and before another. */
export const IN_FACTS =
  "from json_each(?) p cross join incident_facts f on f.projectId = p.value and f.openedAt >= ? and f.openedAt < ?";
/** The key of incidents that people opened. */
export const DIRECT_KEY = "paged by a person";
const MAX_KEY = 300;
const MAX_LABELS = 2048;
/** Labels of a key, besides the name of the alert. */
const KEY_LABELS = 2;

export interface EndedIncident {
  readonly id: string;
  readonly projectId: string;
  readonly slug: string;
  readonly number: number;
  readonly groupLabels: string;
  readonly direct: string | null;
  readonly assigned: string | null;
  readonly urgency: "high" | "low";
  readonly severity: string | null;
  readonly openedAt: EpochMs;
  readonly notifiedAt: EpochMs | null;
  readonly reachedAt: EpochMs | null;
  readonly resolvedAt: EpochMs;
  readonly resolvedBy: string | null;
  readonly alerts: number;
  readonly forPeople: 0 | 1;
  readonly silentSource: string | null;
  readonly mirror: string | null;
  readonly policy: string | null;
  readonly alertname: string | null;
  readonly severities: string;
  /** The first response of its timeline, as JSON. */
  readonly response: string | null;
  readonly isReassigned: 0 | 1;
  /** Accepted pages, people, the last step and the time of the first page, as JSON. */
  readonly paged: string;
}

/** Rows of an acknowledgement end with it, its line of the timeline does not. */
const ENDED = `select i.id, i.projectId, j.slug, i.number, i.groupLabels, i.direct, i.assigned, i.urgency, i.severity, i.openedAt,
  i.notifiedAt, i.reachedAt, i.resolvedAt, i.resolvedBy, i.alerts, i.forPeople, i.route ->> '$.silentSource' silentSource,
  j.settings ->> '$.mirror' mirror, o.name policy,
  (select a.labels ->> '$.alertname' from alerts a
    where a.id = (select min(m.alertId) from incident_alerts m where m.incidentId = i.id)) alertname,
  (select json_group_array(m.severity) filter (where m.severity is not null)
    from incident_alerts m where m.incidentId = i.id) severities,
  (select json_array(l.at, case when u.deletedAt is null then u.id end)
    from incident_log l left join users u on u.id = l.actor
    where l.incidentId = i.id and (l.kind in ('acknowledged', 'snoozed', 'reassigned')
      or (l.kind = 'resolved' and l.actor is not null)) order by l.seq limit 1) response,
  exists (select 1 from incident_log l where l.incidentId = i.id and l.kind = 'reassigned') isReassigned,
  (select json_array(count(*) filter (where g.outcome = 'delivered'),
      count(distinct case when g.outcome = 'delivered' then g.userId end), max(g.step),
      min(g.createdAt) filter (where g.outcome <> 'skipped'))
    from pages g where g.incidentId = i.id and g.isEnd = 0 and g.kind <> 'webhook') paged
  from incidents i join projects j on j.id = i.projectId and j.deletedAt is null
  left join policies o on o.id = i.policyId
  where i.state = 'resolved' and (i.resolvedAt > ? or (i.resolvedAt = ? and i.id > ?)) and i.resolvedAt <= ?
  and not exists (select 1 from incident_facts f where f.incidentId = i.id)
  order by i.resolvedAt, i.id limit ?`;

/** A place in the order of ends. */
export interface EndMark {
  readonly at: EpochMs;
  readonly id: string;
}

/** Ended incidents without facts, the earliest end first. @param until ends after it are not read yet */
export function endedAfter(scan: ReadDb, after: EndMark, until: EpochMs, limit: number): Promise<EndedIncident[]> {
  return rowsOf<EndedIncident>(scan, ENDED, [after.at, after.at, after.id, until, limit]);
}

export type IncidentFact = Omit<IncidentFactsTable, "reopened">;

const ENDS: ReadonlySet<string> = new Set(["alerts", "timeout", "auto", "policy"]);
const SEVERITIES = ["critical", "error", "warning", "info"] as const;

/**
 * What reports keep of it; null: it is left out. So are mirrors, incidents that only called webhooks, those of
 * silent sources, and those that went on as another one.
 */
export function factOf(row: EndedIncident): IncidentFact | null {
  const { mirror, forPeople, assigned, silentSource, resolvedBy, direct, urgency } = row;
  if (mirror !== null || silentSource !== null || resolvedBy === "moved" || resolvedBy === "mirror") return null;
  if (forPeople === 0 && assigned === null) return null;
  const [pages, people, lastStep, pagedAt] = JSON.parse(row.paged) as [number, number, number | null, number | null];
  const [firstAckAt = null, firstAckBy = null] = JSON.parse(row.response ?? "[]") as [number?, (string | null)?];
  const named = [row.severity, ...(JSON.parse(row.severities) as string[])];
  const labels = labelsOf(row);
  return {
    ...{ incidentId: row.id, projectId: row.projectId, number: row.number, policy: row.policy ?? "" },
    severity: SEVERITIES.find((each) => named.includes(each)) ?? (urgency === "high" ? "critical" : "warning"),
    key: direct === null ? keyOf(labels) : DIRECT_KEY,
    labels: JSON.stringify(labels),
    ...{ openedAt: row.openedAt, pagedAt: pagedAt ?? row.notifiedAt, reachedAt: row.reachedAt },
    ...{ firstAckAt, firstAckBy: firstAckBy !== null && isUuid(firstAckBy) ? firstAckBy : null },
    resolvedAt: row.resolvedAt,
    end: resolvedBy !== null && ENDS.has(resolvedBy) ? (resolvedBy as IncidentEnd) : "person",
    ...{ alerts: row.alerts, pages, people, steps: (lastStep ?? -1) + 1 },
    ...{ isDirect: direct === null ? 0 : 1, isReassigned: row.isReassigned },
  };
}

type GroupLabels = Readonly<Record<string, string>>;

function labelsOf({ groupLabels, alertname }: EndedIncident): GroupLabels {
  if (groupLabels.length > MAX_LABELS) return { alertname: alertname ?? "" };
  const given = JSON.parse(groupLabels) as GroupLabels;
  return alertname === null ? given : { alertname, ...given };
}

/** What happened: `DiskFull cluster=a host=db-2`. */
export function keyOf({ alertname = "", ...others }: GroupLabels): string {
  const more = Object.entries(others)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, KEY_LABELS)
    .map(([name, value]) => `${name}=${value}`);
  return [alertname || "(no name)", ...more].join(" ").slice(0, MAX_KEY);
}

/** The bucket of a time: it holds those from 2^n to 2^(n+1) seconds, the first one also shorter ones. */
export function bucketOf(ms: number): number {
  return Math.max(0, Math.floor(Math.log2(Math.max(1, ms / 1000))));
}

/** From the first page to the first response. */
export function ackMsOf({ pagedAt, firstAckAt }: Pick<IncidentFact, "pagedAt" | "firstAckAt">): number | null {
  return pagedAt === null || firstAckAt === null ? null : Math.max(0, firstAckAt - pagedAt);
}

const ADD_FACT = `insert into incident_facts (incidentId, projectId, number, policy, severity, key, labels, openedAt, pagedAt,
  reachedAt, firstAckAt, firstAckBy, resolvedAt, end, alerts, pages, people, steps, isDirect, isReassigned, reopened)
  values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, (select id from users where id = ? and deletedAt is null), ?, ?, ?, ?, ?, ?, ?, ?,
    exists (select 1 from incident_facts where projectId = ? and key = ? and resolvedAt between ? and ?))`;

/** Sums from the fact that was just added; the path of a bucket is null for a time that there is not. */
const ADD_DAY = `insert into incident_days (projectId, day, policy, severity, key, incidents, paged, acknowledged, brief,
    reopened, pages, ackMs, resolveMs, acks, resolves)
  select projectId, openedAt / 86400000, policy, severity, key, 1, pagedAt is not null,
    pagedAt is not null and firstAckAt is not null,
    ${IS_BRIEF}, reopened, pages, ?, ?,
    json_set('{}', ?, 1), json_set('{}', ?, 1)
  from incident_facts where incidentId = ?
  on conflict (projectId, day, policy, severity, key) do update set incidents = incidents + 1,
    paged = paged + excluded.paged, acknowledged = acknowledged + excluded.acknowledged, brief = brief + excluded.brief,
    reopened = reopened + excluded.reopened, pages = pages + excluded.pages, ackMs = ackMs + excluded.ackMs,
    resolveMs = resolveMs + excluded.resolveMs,
    acks = json_set(acks, ?, coalesce(acks ->> ?, 0) + 1),
    resolves = json_set(resolves, ?, coalesce(resolves ->> ?, 0) + 1)`;

/** A bucket that no reader asks for: that of incidents without a response. */
const NO_TIME = "$.none";

/** Adds facts in the order of their ends: what comes again follows what it repeats. */
export function addFact(trx: Trx, fact: IncidentFact): void {
  const { incidentId, projectId, key, openedAt, resolvedAt } = fact;
  later(trx, ADD_FACT, [
    ...[incidentId, projectId, fact.number, fact.policy, fact.severity, key, fact.labels, openedAt, fact.pagedAt],
    ...[fact.reachedAt, fact.firstAckAt, fact.firstAckBy, resolvedAt, fact.end, fact.alerts, fact.pages, fact.people],
    ...[fact.steps, fact.isDirect, fact.isReassigned, projectId, key, openedAt - REOPENED_MS, openedAt],
  ]);
  const ackMs = ackMsOf(fact);
  const acks = ackMs === null ? NO_TIME : `$."${bucketOf(ackMs)}"`;
  const resolves = `$."${bucketOf(resolvedAt - openedAt)}"`;
  const sums = [ackMs ?? 0, resolvedAt - openedAt];
  later(trx, ADD_DAY, [...sums, acks, resolves, incidentId, acks, acks, resolves, resolves]);
}
