import { setImmediate } from "node:timers/promises";
import type { PermissionHolder } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { DAY_MS, type EpochMs, MINUTE_MS, toRfc3339 } from "../../core/time/clock.ts";
import type { Uses } from "../../module/feature.ts";
import { type ReadDb, rowsOf } from "../../store/database.ts";
import type { MirrorObservedTable } from "../../store/schema.ts";
import type { RouteSettings } from "../alerts/index.ts";
import { type Alarm, compare, inOrder, keysOf, type MirrorDifference, type Observed, type Told } from "./match.ts";
import {
  KEPT_DAYS,
  MIRROR_CLASSES,
  type MirrorClass,
  type MirrorLine,
  type MirrorReport,
  type ReportQuery,
} from "./schema.ts";

export type ReportContext = Uses<"db" | "clock" | "projects" | "publicUrl">;

const DEFAULT_DAYS = 7;
/** Rows of each table: what a team has in a busy month. */
const MOST_ROWS = 50_000;
const MOST_LINES = 1000;
/** Messages and observations that are on their way. */
const ON_ITS_WAY_MS = 2 * MINUTE_MS;
/** Incidents and alarms between two turns of others. */
const SLICE = 500;

/** Read when it is asked for: no event or page costs anything for it. */
export async function mirrorReport(
  context: ReportContext,
  caller: PermissionHolder,
  { project: ref, from }: ReportQuery,
  charge: (rows: number) => void,
): Promise<MirrorReport> {
  const { db, clock, projects, publicUrl } = context;
  const projectId = projects.requireOrDefault(caller, ref, "events:read");
  const now = clock.now();
  const since = Math.max(from ?? now - DEFAULT_DAYS * DAY_MS, now - KEPT_DAYS * DAY_MS);
  const { system, ...project } = await projectOf(db.scan, projectId);
  const found = await compareSince(context, projectId, since);
  charge(found.observed + found.rows);
  const shown = inOrder(MIRROR_CLASSES, found.differences).slice(0, MOST_LINES);
  return {
    ...{ project, system, console: `${publicUrl()}/dashboard`, from: toRfc3339(since), to: toRfc3339(found.to) },
    ...{ observed: found.observed, alarms: found.alarms, counts: countsOf(found.differences) },
    lines: shown.map((each) => lineOf(each, { slug: project.slug, nameOf: found.nameOf })),
    linesLeftOut: found.differences.length - shown.length,
    isCut: found.isCut,
  };
}

/** All differences of a project, in no order. */
export async function compareSince(
  { db, clock }: Pick<ReportContext, "db" | "clock">,
  projectId: string,
  since: EpochMs,
) {
  const to = clock.now() - ON_ITS_WAY_MS;
  const [observed, { alarms, rows, isCut }] = await Promise.all([
    observedIn(db.scan, projectId, since),
    alarmsOf(db.scan, projectId, since),
  ]);
  const { userOf, nameOf } = await namesIn(db.scan, projectId, alarms);
  const found = compare({ alarms, observed, userOf, to });
  return { ...found, observed: observed.length, rows, to, nameOf, isCut: isCut || observed.length >= MOST_ROWS };
}

interface ProjectRow {
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly system: string | null;
}

/** @throws PROJECT_NOT_FOUND */
async function projectOf(db: ReadDb, id: string): Promise<ProjectRow> {
  const sql = "select id, slug, name, settings ->> '$.mirror.from' system from projects where id = ?";
  const [row] = await rowsOf<ProjectRow>(db, sql, [id]);
  if (!row) throw new PrismError("PROJECT_NOT_FOUND", "No such project");
  return row;
}

async function observedIn(db: ReadDb, projectId: string, since: EpochMs): Promise<Observed[]> {
  // The newest, if there are too many.
  const rows = await rowsOf<MirrorObservedTable>(
    db,
    "select * from mirror_observed where projectId = ? and at >= ? order by at desc, ref desc limit ?",
    [projectId, since, MOST_ROWS],
  );
  return rows.reverse().map(({ labels, ...row }) => ({
    ...row,
    labels: labels === null ? null : (JSON.parse(labels) as Record<string, string>),
  }));
}

const INCIDENTS = `select id, number, title, route from incidents
  where projectId = ? and openedAt <= ? and coalesce(resolvedAt, ?) >= ? order by openedAt desc limit ?`;
const MEMBERS = `select m.incidentId, m.alertId, m.addedAt, coalesce(m.leftAt, a.resolvedAt) until, a.resolvedAt,
  a.key, a.source, a.sourceId, a.fingerprint, a.labels, a.annotations ->> '$.summary' summary, a.startsAt
  from json_each(?) i cross join incident_alerts m on m.incidentId = i.value cross join alerts a on a.id = m.alertId
  limit ?`;
const PAGES = `select p.incidentId, p.userId, coalesce(c.name, p.channel, p.kind) way, p.endedAt at, p.step
  from json_each(?) i cross join pages p on p.incidentId = i.value
  left join channels c on p.kind = 'channel' and c.id = p.channel
  where p.outcome = 'skipped' and p.note = 'mirror' and p.isEnd = 0 and p.endedAt is not null
  order by p.endedAt limit ?`;

interface IncidentFound {
  readonly id: string;
  readonly number: number;
  readonly title: string;
  readonly route: string;
}

interface MemberFound {
  readonly incidentId: string;
  readonly alertId: string;
  readonly addedAt: EpochMs;
  /** When it ended there. */
  readonly until: EpochMs | null;
  readonly resolvedAt: EpochMs | null;
  readonly key: string;
  readonly source: string;
  readonly sourceId: string | null;
  readonly fingerprint: string;
  readonly labels: string;
  readonly summary: string | null;
  readonly startsAt: EpochMs;
}

type PageFound = Omit<Told, "incident"> & { readonly incidentId: string };

/** The alarms of incidents in this time, each with the pages that a mirror skips. */
async function alarmsOf(db: ReadDb, projectId: string, since: EpochMs) {
  const now = Number.MAX_SAFE_INTEGER;
  const incidents = await rowsOf<IncidentFound>(db, INCIDENTS, [projectId, now, now, since, MOST_ROWS]);
  const members: MemberFound[] = [];
  const pages = new Map<string, PageFound[]>();
  let pageCount = 0;
  for (let at = 0; at < incidents.length && members.length < MOST_ROWS && pageCount < MOST_ROWS; at += SLICE) {
    const ids = JSON.stringify(incidents.slice(at, at + SLICE).map(({ id }) => id));
    members.push(...(await rowsOf<MemberFound>(db, MEMBERS, [ids, MOST_ROWS])));
    const found = await rowsOf<PageFound>(db, PAGES, [ids, MOST_ROWS]);
    pageCount += found.length;
    for (const each of found) pages.set(each.incidentId, [...(pages.get(each.incidentId) ?? []), each]);
  }
  const alarms = await joined(incidents, members, pages);
  const rows = incidents.length + members.length + pageCount;
  return { alarms, rows, isCut: [incidents.length, members.length, pageCount].some((count) => count >= MOST_ROWS) };
}

async function joined(
  incidents: readonly IncidentFound[],
  members: readonly MemberFound[],
  pages: ReadonlyMap<string, readonly PageFound[]>,
): Promise<Alarm[]> {
  const known = new Map(incidents.map((each) => [each.id, each]));
  const alarms = new Map<string, Alarm>();
  let count = 0;
  for (const member of members) {
    if (++count % SLICE === 0) await setImmediate();
    const row = known.get(member.incidentId);
    if (!row) continue;
    const incident = { id: row.id, number: row.number };
    const told = firstPages(pages.get(row.id) ?? [], member).map((page) => ({ ...page, incident }));
    const before = alarms.get(member.alertId);
    const { groupWaitMs } = JSON.parse(row.route) as RouteSettings;
    alarms.set(member.alertId, {
      ...(before ?? { incident, ...factsOf(member) }),
      titles: [...(before?.titles ?? []), row.title, ...(member.summary === null ? [] : [member.summary])],
      from: Math.min(before?.from ?? member.addedAt, member.addedAt),
      waitMs: Math.max(before?.waitMs ?? 0, groupWaitMs),
      told: [...(before?.told ?? []), ...told],
    });
  }
  return [...alarms.values()];
}

/** The first page to each while the alert was in the incident. */
function firstPages(pages: readonly PageFound[], { addedAt, until }: MemberFound): PageFound[] {
  const first = new Map<string, PageFound>();
  for (const page of pages) {
    if (page.at < addedAt || (until !== null && page.at > until)) continue;
    const to = page.userId ?? ` ${page.way}`;
    if (!first.has(to)) first.set(to, page);
  }
  return [...first.values()];
}

function factsOf({ key, source, sourceId, fingerprint, labels, startsAt, resolvedAt }: MemberFound) {
  const read = JSON.parse(labels) as Record<string, string>;
  return { keys: keysOf({ key, source, sourceId, fingerprint }), labels: read, startsAt, to: resolvedAt };
}

interface PersonFound {
  readonly id: string;
  readonly username: string | null;
  readonly email: string | null;
  readonly name: string;
}

const PEOPLE = `select id, username, email, name from users where id in (
  select userId from project_members where projectId = ? union select value from json_each(?))`;

/** People of the project, and those whom it would have notified. */
async function namesIn(db: ReadDb, projectId: string, alarms: readonly Alarm[]) {
  const told = new Set(alarms.flatMap((alarm) => alarm.told.flatMap(({ userId }) => userId ?? [])));
  const people = await rowsOf<PersonFound>(db, PEOPLE, [projectId, JSON.stringify([...told])]);
  const ids = new Map<string, string>();
  // A username is whose it is, whatever others call themselves.
  for (const of of ["name", "email", "username", "id"] as const)
    for (const person of people) if (person[of] !== null) ids.set(person[of].toLowerCase(), person.id);
  const names = new Map(people.map(({ id, username, name }) => [id, username ?? name]));
  return {
    userOf: (text: string) => ids.get(text.toLowerCase()) ?? null,
    nameOf: (id: string) => names.get(id) ?? id,
  };
}

const COUNTS = {
  same: "same",
  earlier: "earlier",
  later: "later",
  "other-person": "otherPerson",
  missing: "missing",
  extra: "extra",
  "not-comparable": "notComparable",
} as const satisfies Record<MirrorClass, keyof MirrorReport["counts"]>;

function countsOf(differences: readonly MirrorDifference[]): MirrorReport["counts"] {
  const counts = { same: 0, earlier: 0, later: 0, otherPerson: 0, missing: 0, extra: 0, notComparable: 0 };
  for (const each of differences) counts[COUNTS[each.class]] += 1;
  return counts;
}

interface LineParts {
  readonly slug: string;
  nameOf(userId: string): string;
}

function lineOf({ class: name, why, old, prism, alarm }: MirrorDifference, { slug, nameOf }: LineParts): MirrorLine {
  const incident = prism?.incident ?? alarm?.incident ?? null;
  const labels = alarm?.labels ?? old?.labels ?? null;
  const at = old?.at ?? prism?.at;
  return {
    ...{ class: name, why, labels, incident },
    title: alarm?.titles[0] ?? old?.title ?? labels?.["alertname"] ?? old?.key ?? old?.ref ?? "",
    differenceMs: old && prism ? prism.at - old.at : null,
    old: old && { at: toRfc3339(old.at), person: old.person, way: old.way },
    prism: prism && {
      ...{ at: toRfc3339(prism.at), person: prism.userId && nameOf(prism.userId), way: prism.way },
      ...{ userId: prism.userId, step: prism.step },
    },
    link: incident ? `/incidents/${incident.id}` : labels && linkOf(slug, labels, at ?? 0),
  };
}

/** What would happen to an alert with these labels at this time. */
function linkOf(slug: string, labels: Readonly<Record<string, string>>, at: EpochMs): string {
  const text = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const query = new URLSearchParams({ project: slug, labels: text.join(", "), at: toRfc3339(at) });
  return `/policies/routes?${query}`;
}
