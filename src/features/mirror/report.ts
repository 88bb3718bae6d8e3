import type { PermissionHolder } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import type { OwnerTurns } from "../../core/limits/owner-turns.ts";
import { DAY_MS, type EpochMs, MINUTE_MS, toRfc3339 } from "../../core/time/clock.ts";
import { matchesType } from "../../live/stream.ts";
import type { Uses } from "../../module/feature.ts";
import { type ReadDb, rowsOf } from "../../store/database.ts";
import type { MirrorObservedTable } from "../../store/schema.ts";
import { NOTICE_PRIORITY } from "../oncall/index.ts";
import { type Alarm, compare, inOrder, keysOf, type MirrorDifference, type Observed, type Told } from "./match.ts";
import { Pace } from "./pace.ts";
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
/** Of all tables, and of observations. */
const MOST_BYTES = 32 * 1024 * 1024;
const MOST_BYTES_OBSERVED = MOST_BYTES / 2;
/** Longer labels are left out: such an alarm is found by its key alone. */
const MOST_LABELS = 2048;
/** Pages of incidents, each once for each of its alerts. */
const MOST_TOLD = 1_000_000;
const MOST_LINES = 1000;
/** Messages and observations that are on their way. */
const ON_ITS_WAY_MS = 2 * MINUTE_MS;
/** Incidents that are read at once. */
const SLICE = 500;

interface ReportLimits {
  readonly turns: OwnerTurns;
  charge(rows: number, steps: number): void;
}

/** Read when it is asked for: no event or page costs anything for it. */
export async function mirrorReport(
  context: ReportContext,
  caller: PermissionHolder,
  { project: ref, from }: ReportQuery,
  { turns, charge }: ReportLimits,
): Promise<MirrorReport> {
  const { db, clock, projects, publicUrl } = context;
  const projectId = projects.requireOrDefault(caller, ref, "events:read");
  const now = clock.now();
  const since = Math.max(from ?? now - DEFAULT_DAYS * DAY_MS, now - KEPT_DAYS * DAY_MS);
  const { system, ...project } = await projectOf(db.scan, projectId);
  const found = await turns.run(projectId, () => compareSince(context, projectId, since));
  charge(found.observed + found.rows, found.steps);
  const shown = inOrder(MIRROR_CLASSES, found.differences).slice(0, MOST_LINES);
  return {
    ...{ project, system, console: `${publicUrl()}/dashboard`, from: toRfc3339(since), to: toRfc3339(found.to) },
    ...{ observed: found.observed, alarms: found.alarms, counts: countsOf(found.differences) },
    lines: shown.map((each) => lineOf(each, { slug: project.slug, nameOf: found.nameOf })),
    roomsWithNotices: await roomsWithNotices(db.scan, projectId),
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
  const pace = new Pace();
  const room = { bytes: MOST_BYTES_OBSERVED };
  const { rows: observed, isCut: isCutObserved } = await observedIn(db.scan, projectId, since, room);
  room.bytes += MOST_BYTES - MOST_BYTES_OBSERVED;
  const { alarms, rows, isCut } = await alarmsOf(db.scan, { projectId, since, room, pace });
  const { userOf, nameOf } = await namesIn(db.scan, projectId, alarms);
  const found = await compare({ alarms, observed, userOf, to }, pace);
  const { steps } = pace;
  return { ...found, observed: observed.length, rows, steps, to, nameOf, isCut: isCut || isCutObserved || pace.isOver };
}

const ROOMS = `select name, eventTypes from channels where projectId = ? and active = 1 and minPriority <= ?
  and exists (select 1 from oncall_schedules s where s.projectId = channels.projectId) order by name`;

/** Rooms of a project with schedules that get its on-call notices, too: of other systems they have alarms alone. */
async function roomsWithNotices(db: ReadDb, projectId: string): Promise<string[]> {
  const rooms = await rowsOf<{ name: string; eventTypes: string }>(db, ROOMS, [projectId, NOTICE_PRIORITY]);
  const isWanted = (patterns: readonly string[]) => patterns.some((pattern) => matchesType(pattern, "notification"));
  return rooms.filter(({ eventTypes }) => isWanted(JSON.parse(eventTypes) as string[])).map(({ name }) => name);
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

/** What is left of {@link MOST_BYTES}. */
interface Room {
  bytes: number;
}

/**
 * The first rows of a query that fit, and the one with which it is full.
 * @param query has `size`, the bytes of a row, and as its last parameter the most rows
 */
async function fitting<Row>(db: ReadDb, room: Room, query: string, parameters: readonly (string | number)[]) {
  const sql = `select * from (select *, sum(size) over (rows unbounded preceding) upTo from (${query})) where upTo - size < ?`;
  const rows = await rowsOf<Row & { readonly upTo: number }>(db, sql, [...parameters, MOST_ROWS, room.bytes]);
  room.bytes -= rows.at(-1)?.upTo ?? 0;
  return { rows: rows as readonly Row[], isCut: room.bytes <= 0 || rows.length >= MOST_ROWS };
}

/** Of texts, and of what a row needs besides. */
const sizeOf = (...texts: readonly string[]): string =>
  `100 + ${texts.map((text) => `coalesce(octet_length(${text}), 0)`).join(" + ")} size`;
const shortLabels = (labels: string): string =>
  `case when octet_length(${labels}) <= ${MOST_LABELS} then ${labels} end`;

const OBSERVED = `select ref, kind, at, key, title, startsAt, person, way, ${shortLabels("labels")} labels,
  ${sizeOf("ref", "key", "title", "person", "way", shortLabels("labels"))} from mirror_observed
  where projectId = ? and at >= ? order by at desc, ref desc limit ?`;

async function observedIn(db: ReadDb, projectId: string, since: EpochMs, room: Room) {
  // The newest, if there are too many.
  const { rows, isCut } = await fitting<Omit<MirrorObservedTable, "projectId" | "system">>(db, room, OBSERVED, [
    projectId,
    since,
  ]);
  const observed = rows.map(
    ({ labels, ...row }): Observed => ({
      ...row,
      labels: labels === null ? null : (JSON.parse(labels) as Record<string, string>),
    }),
  );
  return { rows: observed.reverse(), isCut };
}

const INCIDENTS = `select id, number, title, route ->> '$.groupWaitMs' waitMs, ${sizeOf("id", "title")} from incidents
  where projectId = ? and openedAt <= ? and coalesce(resolvedAt, ?) >= ? order by openedAt desc limit ?`;
const MEMBERS = `select m.incidentId, m.alertId, m.addedAt, coalesce(m.leftAt, a.resolvedAt) until, a.resolvedAt,
  a.key, a.source, a.sourceId, a.fingerprint, ${shortLabels("a.labels")} labels, a.annotations ->> '$.summary' summary,
  a.startsAt, ${sizeOf("a.key", "a.fingerprint", shortLabels("a.labels"), "a.annotations ->> '$.summary'")}
  from json_each(?) i cross join incident_alerts m on m.incidentId = i.value cross join alerts a on a.id = m.alertId
  limit ?`;
const PAGES = `select p.incidentId, p.userId, coalesce(c.name, p.channel, p.kind) way, p.endedAt at, p.step,
  ${sizeOf("c.name", "p.channel")}
  from json_each(?) i cross join pages p on p.incidentId = i.value
  left join channels c on p.kind = 'channel' and c.id = p.channel
  where p.outcome = 'skipped' and p.note = 'mirror' and p.isEnd = 0 and p.endedAt is not null
  order by p.endedAt limit ?`;

interface IncidentFound {
  readonly id: string;
  readonly number: number;
  readonly title: string;
  readonly waitMs: number;
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
  /** Null: they are too long. */
  readonly labels: string | null;
  readonly summary: string | null;
  readonly startsAt: EpochMs;
}

type PageFound = Omit<Told, "incident"> & { readonly incidentId: string };

interface AlarmsAsked {
  readonly projectId: string;
  readonly since: EpochMs;
  readonly room: Room;
  readonly pace: Pace;
}

/** The alarms of incidents in this time, each with the pages that a mirror skips. */
async function alarmsOf(db: ReadDb, { projectId, since, room, pace }: AlarmsAsked) {
  const now = Number.MAX_SAFE_INTEGER;
  const { rows: incidents, ...found } = await fitting<IncidentFound>(db, room, INCIDENTS, [projectId, now, now, since]);
  const alarms = new Map<string, AlarmMade>();
  const counts = { members: 0, pages: 0, told: 0 };
  let { isCut } = found;
  for (let at = 0; at < incidents.length && !isCut; at += SLICE) {
    const slice = incidents.slice(at, at + SLICE);
    const ids = JSON.stringify(slice.map(({ id }) => id));
    const members = await fitting<MemberFound>(db, room, MEMBERS, [ids]);
    const pages = await fitting<PageFound>(db, room, PAGES, [ids]);
    counts.members += members.rows.length;
    counts.pages += pages.rows.length;
    const known = new Map(slice.map((each) => [each.id, { ...each, pages: [] as Told[] }]));
    for (const page of pages.rows) {
      const of = known.get(page.incidentId);
      of?.pages.push({ ...page, incident: { id: of.id, number: of.number } });
    }
    for (const member of members.rows) {
      const of = known.get(member.incidentId);
      if (of) counts.told += join(alarms, of, member);
      pace.steps += 1 + (of?.pages.length ?? 0);
      await pace.turn();
      if (counts.told >= MOST_TOLD || pace.isOver) break;
    }
    const isFull = Math.max(counts.members, counts.pages) >= MOST_ROWS || counts.told >= MOST_TOLD;
    isCut = isFull || members.isCut || pages.isCut || pace.isOver;
  }
  const rows = incidents.length + counts.members + counts.pages;
  return { alarms: [...alarms.values()] as readonly Alarm[], rows, isCut };
}

type AlarmMade = Alarm & {
  readonly titles: string[];
  readonly told: Told[];
  from: EpochMs;
  waitMs: number;
};

type IncidentPages = IncidentFound & { readonly pages: readonly Told[] };

/** Adds what an incident has of an alert. @returns its pages */
function join(alarms: Map<string, AlarmMade>, { pages, ...incident }: IncidentPages, member: MemberFound): number {
  const { id, number, title, waitMs } = incident;
  const { alertId, addedAt, summary } = member;
  const first = { incident: { id, number }, ...factsOf(member), titles: [], told: [], from: addedAt, waitMs };
  const alarm: AlarmMade = alarms.get(alertId) ?? first;
  alarms.set(alertId, alarm);
  for (const each of [title, summary]) if (each !== null && !alarm.titles.includes(each)) alarm.titles.push(each);
  alarm.from = Math.min(alarm.from, addedAt);
  alarm.waitMs = Math.max(alarm.waitMs, waitMs);
  const told = firstPages(pages, member);
  for (const page of told) alarm.told.push(page);
  return told.length;
}

/** The first page to each while the alert was in the incident. */
function firstPages(pages: readonly Told[], { addedAt, until }: MemberFound): Told[] {
  const first = new Map<string, Told>();
  for (const page of pages) {
    if (page.at < addedAt || (until !== null && page.at > until)) continue;
    const to = page.userId ?? ` ${page.way}`;
    if (!first.has(to)) first.set(to, page);
  }
  return [...first.values()];
}

function factsOf({ key, source, sourceId, fingerprint, labels, startsAt, resolvedAt }: MemberFound) {
  const read = labels === null ? {} : (JSON.parse(labels) as Record<string, string>);
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

/**
 * People of the project, and those whom it would have notified. Addresses of the others are no names: who reads a report
 * would find out whose they are.
 */
async function namesIn(db: ReadDb, projectId: string, alarms: readonly Alarm[]) {
  const told = new Set(alarms.flatMap((alarm) => alarm.told.flatMap(({ userId }) => userId ?? [])));
  const people = await rowsOf<PersonFound>(db, PEOPLE, [projectId, JSON.stringify([...told])]);
  const ids = new Map<string, string>();
  // A username is whose it is, whatever others call themselves.
  for (const of of ["name", "email", "username", "id"] as const)
    for (const person of people)
      if (person[of] !== null && (of !== "email" || told.has(person.id))) ids.set(person[of].toLowerCase(), person.id);
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
