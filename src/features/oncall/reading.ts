import type { PermissionHolder, Principal } from "../../core/caller.ts";
import { invalidField, PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import { DAY_MS, type EpochMs, toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import { requireAccount } from "../../http/server/access.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { userNames } from "../access/index.ts";
import { awayOf, awayView, openSwaps, swapFor, usersOf } from "./away.ts";
import type { Away } from "./model/away.ts";
import {
  type CoverageGap,
  dutiesOf,
  type FinalShift,
  finalShifts,
  gapsOf,
  type Layer,
  nextOnCall,
  passedOver,
  type Roster,
  stints,
} from "./model/layers.ts";
import * as queries from "./queries.ts";
import type { NowQuery, OwnShiftsQuery, Range } from "./reading-schema.ts";
import { countsIn, rosterIn, rosterOf, turnsOf } from "./roster.ts";
import { type OnCallContext, projectsOf, visibleSchedule } from "./schedules.ts";
import type { OnCallRow, ShiftRow } from "./schema.ts";

/** Schedules of one answer about all of them. */
export const MAX_SCHEDULES = 500;
const MAX_RANGE_MS = 366 * DAY_MS;
/** For all schedules at once. */
const MAX_AHEAD_MS = 62 * DAY_MS;
/** Length of an answer without a given end. */
const AHEAD_MS = 14 * DAY_MS;

interface Span {
  readonly from: EpochMs;
  readonly to: EpochMs;
}

/**
 * Who is on call in a span. Before now also users who are disabled or deleted since; from now on
 * only those who count.
 */
export async function plannedShifts(
  { users, clock }: Pick<OnCallContext, "users" | "clock">,
  roster: Roster,
  projectId: string,
  { from, to }: Span,
): Promise<FinalShift[]> {
  const now = Math.min(Math.max(clock.now(), from), to);
  const past = finalShifts(roster, from, now);
  return joined([...past, ...finalShifts(roster, now, to, countsIn(users, projectId))]);
}

/** Who is on call on a schedule by its rows, as `final-shifts` answers; one that is gone has no one. */
export async function finalShiftsOf(
  context: Pick<OnCallContext, "users" | "clock">,
  rows: queries.ScheduleRows | undefined,
  span: Span,
): Promise<FinalShift[]> {
  return rows ? plannedShifts(context, rosterIn(rows), rows.projectId, span) : [];
}

/** @throws SCHEDULE_NOT_FOUND, VALIDATION_FAILED */
export async function readFinalShifts(context: OnCallContext, principal: Principal, id: string, range: Range) {
  const { db } = context;
  const { projectId } = await visibleSchedule(context, principal, id, db.read);
  const span = spanOf(context, range);
  const roster = await rosterOf(db.read, id);
  const shifts = await plannedShifts(context, roster, projectId, span);
  const from = Math.min(Math.max(context.clock.now(), span.from), span.to);
  const absent = stints(passedOver(roster, from, span.to, countsIn(context.users, projectId)));
  const people = await peopleOf(db.read, [...shifts, ...absent]);
  const away = await awayOf(db.read, usersOf(shifts), span.from, span.to);
  const notReached = absent.flatMap(({ start, end, users }) =>
    absentView(context, people, users, projectId).map((person) => ({
      ...{ ...person, start: toRfc3339(start), end: toRfc3339(end) },
    })),
  );
  return { ...shown(span), data: shifts.map(shiftView(people, away)), notReached };
}

/** People whom a schedule names, though nothing reaches them, with the reason. */
function absentView({ users }: OnCallContext, people: People, ids: readonly string[], projectId: string) {
  const texts = new Map(users.absent(ids, projectId).map(({ id, text }) => [id, text]));
  return people(ids).map((person) => ({ ...person, text: texts.get(person.id) ?? "" }));
}

type People = Awaited<ReturnType<typeof peopleOf>>;

/** @param people names by id */
function shiftView(people: People, away: readonly Away[]) {
  return ({ start, end, users, level, shiftIds }: FinalShift) => ({
    start: toRfc3339(start),
    end: toRfc3339(end),
    users: withAway(people(users), away, start, end),
    level,
    shiftIds,
  });
}

function withAway<P extends { readonly id: string }>(
  people: readonly P[],
  away: readonly Away[],
  start: EpochMs,
  end: EpochMs,
) {
  return people.map((person) => ({ ...person, away: awayView(away, person.id, start, end) }));
}

/** Joins what was cut at the current instant. */
function joined(shifts: readonly FinalShift[]): FinalShift[] {
  const result: FinalShift[] = [];
  for (const shift of shifts) {
    const last = result.at(-1);
    const isSame = last?.end === shift.start && facts(last) === facts(shift);
    if (last && isSame) result[result.length - 1] = { ...last, end: shift.end };
    else result.push(shift);
  }
  return result;
}

function facts({ level, users, shiftIds }: FinalShift): string {
  return JSON.stringify([level, users, shiftIds]);
}

/** @throws SCHEDULE_NOT_FOUND, VALIDATION_FAILED */
export async function readLayers(context: OnCallContext, principal: Principal, id: string, range: Range) {
  const { db } = context;
  await visibleSchedule(context, principal, id, db.read);
  const { from, to } = spanOf(context, range);
  const rows = await queries.shiftsOf(db.read, id);
  const shifts = new Map(rows.map((row) => [row.currentId ?? row.id, row]));
  for (const row of rows) if (row.currentId === null) shifts.set(row.id, row);
  const found = new Map<string, ReturnType<typeof layerView>>();
  for (const layer of (await rosterOf(db.read, id)).layers) {
    const view = layerView(layer, shifts.get(layer.id));
    const known = found.get(view.id) ?? view;
    found.set(view.id, known);
    for (const { start, end, users } of layer.spans(from, to))
      known.spans.push({ start: toRfc3339(start), end: toRfc3339(end), users: [...users], id: layer.id });
  }
  const data = [...found.values()].filter(({ id, spans }) => spans.length > 0 || shifts.get(id)?.validUntil === null);
  for (const { spans } of data) spans.sort((a, b) => Date.parse(a.start) - Date.parse(b.start));
  const named = rows.flatMap((row) => [...turnsOf(row), row.swapFor === null ? [] : [row.swapFor]]);
  const users = [...new Set([...named, ...data.flatMap(({ spans }) => spans.map((span) => span.users))].flat())];
  const people = await peopleOf(db.read, [{ users }]);
  return { ...shown({ from, to }), data: data.sort((a, b) => b.level - a.level), people: people(users) };
}

/** Overrides are one layer, and so are the events of a level of an imported calendar. */
function layerView({ id, level }: Layer, row: ShiftRow | undefined) {
  const spans: { start: string; end: string; users: string[]; id: string }[] = [];
  if (!row) return { id: `calendar ${level}`, kind: "calendar" as const, name: "Imported calendar", level, spans };
  if (row.kind === "override") return { id: "overrides", kind: "override" as const, name: "Overrides", level, spans };
  return { id, kind: row.kind as "rotation" | "single", name: row.name, level, spans };
}

/** @throws SCHEDULE_NOT_FOUND, VALIDATION_FAILED */
export async function readGaps(context: OnCallContext, principal: Principal, id: string, range: Range) {
  const { db, users } = context;
  const { projectId } = await visibleSchedule(context, principal, id, db.read);
  const span = spanOf(context, range);
  const gaps = gapsOf(await rosterOf(db.read, id), span.from, span.to, countsIn(users, projectId));
  return { ...shown(span), data: gaps.map(gapView) };
}

function gapView({ start, end }: CoverageGap) {
  return { start: toRfc3339(start), end: toRfc3339(end), durationMs: end - start };
}

/** @throws PROJECT_NOT_FOUND, SCHEDULE_NOT_FOUND, USER_NOT_FOUND, VALIDATION_FAILED */
export async function readNow(context: OnCallContext, principal: Principal, query: NowQuery) {
  const { db, users, clock } = context;
  const at = clock.now();
  const user = query.userId === undefined ? null : requireUser(context, query.userId);
  const { to } = query;
  if (to !== undefined && !(to > at && to - at <= MAX_AHEAD_MS))
    throw invalidField("query", "to", "must be in the future, by at most 62 days");
  const schedules = await schedulesOf(context, principal, query);
  const found: { schedule: OnCallRow; duty: ReturnType<typeof nextOnCall>; shifts: FinalShift[]; absent: string[] }[] =
    [];
  for (const schedule of schedules) {
    const roster = await rosterOf(db.read, schedule.id);
    const counts = countsIn(users, schedule.projectId);
    const duty = nextOnCall(roster, at, counts);
    if (user !== null && !duty.current?.users.includes(user)) continue;
    const shifts = to === undefined ? [] : finalShifts(roster, at, to, counts);
    found.push({ schedule, duty, shifts, absent: usersOf(passedOver(roster, at, at + 1, counts)) });
  }
  const spans = found.flatMap(({ duty: { current, next }, shifts }) => [current, next, ...shifts].filter((s) => !!s));
  const people = await peopleOf(db.read, [...spans, ...found.map(({ absent }) => ({ users: absent }))]);
  const away = await awayOf(
    db.read,
    usersOf(spans),
    at,
    Math.max(to ?? at, ...found.map(({ duty }) => duty.next?.end ?? at), at + AHEAD_MS),
  );
  const data = found.map(
    ({ schedule: { id, projectId, name, timezone }, duty: { current, next }, shifts, absent }) => ({
      scheduleId: id,
      projectId,
      name,
      timezone,
      current: withAway(people(current?.users ?? []), away, at, Math.min(current?.end ?? at + AHEAD_MS, at + AHEAD_MS)),
      notReached: absentView(context, people, absent, projectId),
      until: toRfc3339OrNull(current ? current.end : (next?.start ?? null)),
      next: next && {
        start: toRfc3339(next.start),
        end: toRfc3339(next.end),
        users: withAway(people(next.users), away, next.start, next.end),
      },
      ...(to !== undefined && { shifts: shifts.map(shiftView(people, away)) }),
    }),
  );
  return { at: toRfc3339(at), data };
}

/** The schedules that the caller reads. @throws PROJECT_NOT_FOUND, SCHEDULE_NOT_FOUND */
export async function schedulesOf(
  context: OnCallContext,
  principal: Principal,
  { scheduleId, projectId }: Pick<NowQuery, "scheduleId" | "projectId">,
) {
  const { db } = context;
  const projectIds = projectsOf(context, principal, projectId);
  if (scheduleId === undefined) return queries.allSchedules(db.read, projectIds, MAX_SCHEDULES);
  const schedule = await visibleSchedule(context, principal, scheduleId, db.read);
  return projectIds === null || projectIds.includes(schedule.projectId) ? [schedule] : [];
}

/**
 * When a user is on call, on the schedules that the caller reads, and of the caller also of the default
 * project. @throws USER_NOT_FOUND
 */
export async function readOwnShifts(context: OnCallContext, principal: PermissionHolder, query: OwnShiftsQuery) {
  const span = spanOf(context, query);
  if (query.userId === undefined || query.userId === "me") requireAccount(principal);
  const userId = requireUser(context, query.userId ?? "me");
  const isOwn = userId === principal.userId;
  const projectIds = isOwn
    ? context.projects.reaching(principal, "events:read")
    : projectsOf(context, principal, undefined);
  const shifts = await shiftsOfUser(context, userId, projectIds, span);
  const away = await awayOf(context.db.read, [userId], span.from, span.to);
  const swaps = new Map<string, Awaited<ReturnType<typeof openSwaps>>>();
  for (const id of new Set(shifts.map(({ schedule }) => schedule.id)))
    swaps.set(id, await openSwaps(context.db.read, id));
  return {
    ...shown(span),
    data: shifts.map(({ schedule: { id, projectId, name }, start, end }) => ({
      scheduleId: id,
      projectId,
      name,
      start: toRfc3339(start),
      end: toRfc3339(end),
      away: awayView(away, userId, start, end),
      swapId: swapFor(swaps.get(id) ?? [], userId, start, end),
    })),
  };
}

/** In order of their start. */
export async function shiftsOfUser(
  context: Pick<OnCallContext, "db" | "users" | "clock">,
  userId: string,
  projectIds: readonly string[] | null,
  span: Span,
) {
  const { db } = context;
  const found: { schedule: OnCallRow; start: EpochMs; end: EpochMs }[] = [];
  for (const schedule of await queries.allSchedules(db.read, projectIds, MAX_SCHEDULES)) {
    const planned = await plannedShifts(context, await rosterOf(db.read, schedule.id), schedule.projectId, span);
    for (const { start, end } of dutiesOf(planned, userId)) found.push({ schedule, start, end });
  }
  return found.sort((a, b) => a.start - b.start);
}

/** Names of the users of these shifts. */
export async function peopleOf(db: ReadDb | Trx, shifts: readonly Pick<FinalShift, "users">[]) {
  const names = await userNames(db, usersOf(shifts));
  return (ids: readonly string[]) => ids.map((id) => names.get(id) ?? { id, username: null, name: null });
}

/** A user in any status. @throws USER_NOT_FOUND */
export function requireUser({ users }: OnCallContext, ref: string): string {
  const id = users.findAny(ref);
  if (id === undefined || !isUuid(id)) throw new PrismError("USER_NOT_FOUND", "No such user");
  return id;
}

/** @throws VALIDATION_FAILED */
export function spanOf({ clock }: OnCallContext, { from = clock.now(), to = from + AHEAD_MS }: Range): Span {
  if (to > from && to - from <= MAX_RANGE_MS) return { from, to };
  throw invalidField("query", "to", "must be after from, by at most 366 days");
}

export function shown({ from, to }: Span) {
  return { from: toRfc3339(from), to: toRfc3339(to) };
}
