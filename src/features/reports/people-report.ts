import { currentCaller, type PermissionHolder } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import { datesIn } from "../../core/time/local-clock.ts";
import { rowsOf } from "../../store/database.ts";
import { userNames } from "../access/index.ts";
import { projectsShowingPeople } from "../alerts/index.ts";
import { finalShiftsOf, type ScheduleRows, scheduleRowsOf } from "../oncall/index.ts";
import { exactTimes } from "./incidents-report.ts";
import { loadOf } from "./local-days.ts";
import type { PersonDay } from "./person-days.ts";
import { NOT_PAGED, whenAndWhat } from "./person-pages.ts";
import { type ReportsContext, type Scope, scopeOf, timesOf } from "./range.ts";
import type { PeopleReport, PersonLoad, RangeQuery } from "./schema.ts";

/** Schedules of one report. */
const MAX_SCHEDULES = 200;
const STEPS_PER_SHIFT = 2000;
const STEPS_PER_DAY = 20;

/** The people that the caller sees: all of these projects, and itself. */
interface Visible {
  readonly shows: "self" | "owners" | "all";
  /** Within the projects of the report. */
  readonly userId: string | null;
  /** The same in all projects, also those that it does not read; null: the report is about one project. */
  readonly anywhere: string | null;
  readonly projectIds: ReadonlySet<string>;
}

/** By `reports.people`. @throws FORBIDDEN if it is off */
function visibleTo(
  { settings, projects }: ReportsContext,
  caller: PermissionHolder,
  scope: Scope,
  isOfOne: boolean,
): Visible {
  const shows = settings.current.reports.people;
  if (shows === "off") throw new PrismError("FORBIDDEN", "Reports about people are off (reports.people)");
  const shown = projectsShowingPeople({ settings, projects }, caller);
  const projectIds = new Set(scope.projectIds.filter((id) => shown?.includes(id) ?? true));
  return { shows, userId: caller.userId, anywhere: isOfOne ? null : caller.userId, projectIds };
}

type Sums = Pick<PersonDay, "userId" | "pagesDay" | "pagesNight" | "pagesWeekend" | "sleepBreaks">;

const DAYS = `select userId, sum(pagesDay) pagesDay, sum(pagesNight) pagesNight, sum(pagesWeekend) pagesWeekend,
  sum(sleepBreaks) sleepBreaks, count(*) n from person_days
  where day >= ? and day <= ? and (userId = ? or projectId in (select value from json_each(?))
    and (projectId in (select value from json_each(?)) or userId = ?)) group by userId`;
const OWN_ACKS = `select json_group_array(max(0, firstAckAt - pagedAt)) acks from incident_facts
  where firstAckBy = ? and openedAt >= ? and openedAt < ? and pagedAt is not null
  and (firstAckBy = ? or projectId in (select value from json_each(?)))`;

/** @throws FORBIDDEN, VALIDATION_FAILED, PROJECT_NOT_FOUND */
export async function peopleReport(
  context: ReportsContext,
  caller: PermissionHolder,
  query: RangeQuery,
): Promise<PeopleReport> {
  const { db } = context;
  const scope = await scopeOf(context, caller, query);
  const visible = visibleTo(context, caller, scope, query.project !== undefined);
  const { userId, anywhere } = visible;
  const [from, to] = datesIn(scope.from, scope.to, context.clock.now());
  const shown = [anywhere, scope.projects, JSON.stringify([...visible.projectIds]), userId] as const;
  const rows = await rowsOf<Sums & { n: number }>(db.scan, DAYS, [from, to, ...shown]);
  currentCaller().charge?.({ steps: rows.reduce((sum, { n }) => sum + n, 0) * STEPS_PER_DAY });
  const details = await whenAndWhat(context, scope, shown);
  const duties = await dutiesIn(context, scope, visible);
  const pages = new Map(rows.map((row) => [row.userId, row]));
  const others = visible.projectIds.size > 0;
  // Who sees the own load alone has a row also without any.
  const own = others || userId === null ? [] : [userId];
  const ids = [...new Set([...pages.keys(), ...duties.keys(), ...own])];
  const names = await userNames(db.scan, ids);
  const ownAckMs = userId === null ? null : await medianAck(context, visible, scope);
  const data = ids.map((id): PersonLoad => {
    const { pagesDay = 0, pagesNight = 0, pagesWeekend = 0, sleepBreaks = 0 } = pages.get(id) ?? {};
    return {
      ...{ userId: id, name: names.get(id)?.name ?? null, ...(duties.get(id) ?? NO_DUTY) },
      ...{ pagesDay, pagesNight, pagesWeekend, sleepBreaks, medianAckMs: id === userId ? ownAckMs : null },
      ...(details.get(id) ?? NOT_PAGED),
    };
  });
  data.sort((a, b) => b.sleepBreaks - a.sleepBreaks || b.pagesNight - a.pagesNight || b.pagesDay - a.pagesDay);
  return { ...timesOf(scope), shows: visible.shows, others, data };
}

async function medianAck(
  { db }: ReportsContext,
  { userId, anywhere }: Visible,
  { from, to, projects }: Scope,
): Promise<number | null> {
  const [row] = await rowsOf<{ acks: string }>(db.scan, OWN_ACKS, [userId, from, to, anywhere, projects]);
  return exactTimes(JSON.parse(row?.acks ?? "[]") as number[]).median;
}

type Duty = Pick<PersonLoad, "onCallHours" | "onCallNights" | "onCallWeekendDays" | "swaps">;
const NO_DUTY: Duty = { onCallHours: 0, onCallNights: 0, onCallWeekendDays: 0, swaps: 0 };

const SCHEDULES = `select id, projectId, name from oncall_schedules
  where projectId in (select value from json_each(?)) order by projectId, name limit ${MAX_SCHEDULES}`;
/** Also schedules that have this person, of whichever project. */
const SCHEDULES_OR_OWN = `select id, projectId, name from oncall_schedules
  where projectId in (select value from json_each(?))
  or exists (select 1 from oncall_shifts s where s.scheduleId = oncall_schedules.id and instr(s.turns, ?) > 0)
  order by projectId, name limit ${MAX_SCHEDULES}`;
const ZONES = "select id, timezone from users where id in (select value from json_each(?))";

export interface ScheduleOfReport {
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly rows: ScheduleRows | undefined;
}

/** @param person adds the schedules that have this user, also those of other projects */
export async function schedulesIn(
  { db }: ReportsContext,
  { projects }: Scope,
  person: string | null = null,
): Promise<ScheduleOfReport[]> {
  const text = person === null ? SCHEDULES : SCHEDULES_OR_OWN;
  const parameters = person === null ? [projects] : [projects, person];
  const found = await rowsOf<Omit<ScheduleOfReport, "rows">>(db.scan, text, parameters);
  const rows = await scheduleRowsOf(
    db.scan,
    found.map(({ id }) => id),
  );
  return found.map((schedule) => ({ ...schedule, rows: rows.get(schedule.id) }));
}

/** The final shifts of a schedule until now. */
export async function shiftsUntilNow(context: ReportsContext, rows: ScheduleRows | undefined, { from, to }: Scope) {
  const until = Math.min(to, context.clock.now());
  const shifts = from < until ? await finalShiftsOf(context, rows, { from, to: until }) : [];
  currentCaller().charge?.({ steps: shifts.length * STEPS_PER_SHIFT });
  return { shifts, until };
}

/** How long people were on call on these schedules. */
async function dutiesIn(context: ReportsContext, scope: Scope, { userId, anywhere, projectIds }: Visible) {
  const spans = new Map<string, { start: EpochMs; end: EpochMs }[]>();
  const swaps = new Map<string, number>();
  for (const { projectId, rows } of await schedulesIn(context, scope, anywhere)) {
    const isShown = (id: string): boolean => id === userId || projectIds.has(projectId);
    const { shifts } = await shiftsUntilNow(context, rows, scope);
    for (const { start, end, users } of shifts)
      for (const id of users.filter(isShown)) spans.set(id, [...(spans.get(id) ?? []), { start, end }]);
    for (const id of substitutesOf(rows, scope).filter(isShown)) swaps.set(id, (swaps.get(id) ?? 0) + 1);
  }
  const zones = await rowsOf<{ id: string; timezone: string }>(context.db.scan, ZONES, [
    JSON.stringify([...spans.keys()]),
  ]);
  const zoneOf = new Map(zones.map(({ id, timezone }) => [id, timezone]));
  const calendar = await context.reports.calendar();
  const duties = new Map<string, Duty>();
  for (const [id, own] of spans) {
    const { ms, nights, weekendDays } = await loadOf(own, zoneOf.get(id) ?? "UTC", calendar);
    const onCallHours = Math.round(ms / 360_000) / 10;
    duties.set(id, { onCallHours, onCallNights: nights, onCallWeekendDays: weekendDays, swaps: swaps.get(id) ?? 0 });
  }
  return duties;
}

/** Who took over the shifts of others. */
function substitutesOf(rows: ScheduleRows | undefined, { from, to }: Scope): string[] {
  return (rows?.shifts ?? []).flatMap(({ kind, turns, startLocal }) => {
    const at = Date.parse(`${startLocal}Z`);
    return kind === "swap" && at >= from && at < to ? (JSON.parse(turns) as string[][]).flat() : [];
  });
}
