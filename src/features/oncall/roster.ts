import type { EpochMs } from "../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { UserDirectory } from "../access/index.ts";
import {
  type Counts,
  type CoverageGap,
  finalShifts,
  gapsOf,
  type Layer,
  nextOnCall,
  OVERRIDE_LEVEL,
  type Roster,
  type Span,
} from "./model/layers.ts";
import { occurrences, type ShiftRecurrence, type ShiftTimes } from "./model/recurrence.ts";
import {
  type CalendarRow,
  calendarOf,
  findSchedule,
  namedShiftsOf,
  type ScheduleRows,
  schedulesOf,
  shiftsOf,
} from "./queries.ts";
import type { ShiftRow } from "./schema.ts";

/** An event of an imported calendar as it is stored. */
export interface CalendarSpan extends Span {
  /** Its UID, shared by the events of a series. */
  readonly id: string;
  readonly level: number;
}

/** Parsed calendars by schedule: a schedule is read far more often than its calendar changes. */
const calendars = new Map<string, { readonly content: string | null; readonly layers: readonly Layer[] }>();
const MAX_CALENDARS = 200;

/** Everything that decides who is on call on a schedule. */
export async function rosterOf(db: ReadDb | Trx, scheduleId: string): Promise<Roster> {
  return rosterIn({ shifts: await shiftsOf(db, scheduleId), calendar: await calendarOf(db, scheduleId) });
}

type RosterRows = Pick<ScheduleRows, "shifts" | "calendar">;

export function rosterIn({ shifts, calendar }: RosterRows): Roster {
  return toRoster(shifts, calendar ? calendarLayers(calendar) : []);
}

/** As {@link rosterIn}, as if the shifts had always been as they are now: what they would have meant earlier. */
export function presentRosterIn({ shifts, calendar }: RosterRows): Roster {
  const present = shifts.flatMap((row) => {
    const isShift = row.kind === "rotation" || row.kind === "single";
    if (!isShift) return [row];
    return row.validUntil === null ? [{ ...row, validFrom: null }] : [];
  });
  return rosterIn({ shifts: present, calendar });
}

/** Who is on call by rosters that were read before; those of other schedules are read once. */
export function onCallWith(
  users: UserDirectory,
  rosters: ReadonlyMap<string, { readonly projectId: string; readonly roster: Roster }>,
): OnCallPort {
  const known = new Map(rosters);
  return async (db, scheduleId, at) => {
    if (!known.has(scheduleId)) {
      const schedule = await findSchedule(db, scheduleId);
      if (schedule) known.set(scheduleId, { projectId: schedule.projectId, roster: await rosterOf(db, scheduleId) });
    }
    const { projectId = "", roster = { layers: [], substitutions: [] } } = known.get(scheduleId) ?? {};
    return onCallIn(roster, at, countsIn(users, projectId));
  };
}

function onCallIn(roster: Roster, at: EpochMs, counts: Counts): OnCallUsers {
  const { current, next } = nextOnCall(roster, at, counts);
  return { current: current?.users ?? [], next: next?.users ?? [], shift: current?.shiftIds[0] ?? null };
}

function toRoster(rows: readonly ShiftRow[], imported: readonly Layer[] = []): Roster {
  const substitutions = rows.filter(({ swapFor }) => swapFor !== null).flatMap(substitutionOf);
  return { layers: [...rows.filter(({ swapFor }) => swapFor === null).map(layerOf), ...imported], substitutions };
}

/** Whether a user is active, and reachable in the project. */
export function countsIn(users: UserDirectory, projectId: string): Counts {
  const known = new Map<string, boolean>();
  return (id) => {
    const counts = known.get(id) ?? users.reachable([id], projectId).length > 0;
    known.set(id, counts);
    return counts;
  };
}

/** Who is on call at an instant, who is next, and the shift that names the current users. */
export interface OnCallUsers {
  readonly current: readonly string[];
  readonly next: readonly string[];
  readonly shift: string | null;
}

/** Reads a schedule for notifications; one that is gone has no users. */
export type OnCallPort = (db: ReadDb | Trx, scheduleId: string, at: EpochMs) => Promise<OnCallUsers>;

export async function onCall(
  users: UserDirectory,
  ...[db, scheduleId, at]: Parameters<OnCallPort>
): Promise<OnCallUsers> {
  const schedule = await findSchedule(db, scheduleId);
  if (!schedule) return { current: [], next: [], shift: null };
  return onCallIn(await rosterOf(db, scheduleId), at, countsIn(users, schedule.projectId));
}

/** When a user is on call first in a span, and on which schedule. */
export interface OnCallSpan {
  readonly userId: string;
  readonly from: EpochMs;
  readonly schedule: string;
}

/**
 * The users who are on call at some time of a span, the first ones first. @param projectIds null:
 * of all projects @param isLeftOut whether a project does not count
 */
export async function onCallBetween(
  users: UserDirectory,
  db: ReadDb | Trx,
  span: { readonly from: EpochMs; readonly to: EpochMs },
  projectIds: readonly string[] | null = null,
  isLeftOut: (projectId: string) => boolean = () => false,
): Promise<OnCallSpan[]> {
  const found = new Map<string, OnCallSpan>();
  for (const { id, name: schedule, projectId } of await schedulesOf(db, projectIds)) {
    if (isLeftOut(projectId)) continue;
    const shifts = finalShifts(await rosterOf(db, id), span.from, span.to, countsIn(users, projectId));
    for (const { start, users: ids } of shifts)
      for (const userId of ids)
        if (start < (found.get(userId)?.from ?? Number.POSITIVE_INFINITY))
          found.set(userId, { userId, from: start, schedule });
  }
  return [...found.values()].sort((a, b) => a.from - b.from);
}

export type GapsPort = (db: ReadDb | Trx, scheduleId: string, from: EpochMs, to: EpochMs) => Promise<CoverageGap[]>;

/** The times without anyone on call on a schedule with shifts; one that is gone has none. */
export async function gapsBetween(
  users: UserDirectory,
  ...[db, scheduleId, from, to]: Parameters<GapsPort>
): Promise<CoverageGap[]> {
  const schedule = await findSchedule(db, scheduleId);
  if (!schedule) return [];
  return gapsOf(await rosterOf(db, scheduleId), from, to, countsIn(users, schedule.projectId));
}

export function timesOf({ startLocal, durationMs, timezone, recurrence }: ShiftRow): ShiftTimes {
  const rule = recurrence === null ? null : (JSON.parse(recurrence) as ShiftRecurrence);
  return { start: Date.parse(`${startLocal}Z`), durationMs, timezone, recurrence: rule };
}

export function turnsOf({ turns }: ShiftRow): readonly (readonly string[])[] {
  return JSON.parse(turns) as string[][];
}

/** The span of a shift that happens once. */
export function spanOf(row: ShiftRow): { readonly start: EpochMs; readonly end: EpochMs } {
  const [first] = occurrences({ ...timesOf(row), recurrence: null }, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  if (!first) throw new TypeError("a shift has a length");
  return first;
}

/** A user whom shifts, overrides and swaps of a schedule name, now or later. */
export interface NamedOnCall {
  readonly userId: string;
  readonly scheduleId: string;
  readonly schedule: string;
  readonly in: "a shift" | "an override" | "a swap";
}

/** Whom the schedules of a project name from `now` on, each once for a schedule; calendars do not count. */
export async function namedOnCall(db: ReadDb | Trx, projectId: string, now: EpochMs): Promise<NamedOnCall[]> {
  const found = new Map<string, NamedOnCall>();
  for (const { schedule, ...row } of await namedShiftsOf(db, projectId)) {
    if (isPast(row, now)) continue;
    const { scheduleId } = row;
    const kind = row.swapFor !== null ? "a swap" : row.kind === "override" ? "an override" : "a shift";
    for (const userId of turnsOf(row).flat()) {
      const key = `${scheduleId} ${userId}`;
      if (!found.has(key)) found.set(key, { userId, scheduleId, schedule, in: kind });
    }
  }
  return [...found.values()];
}

function isPast(row: ShiftRow, now: EpochMs): boolean {
  return (row.validUntil ?? now) < now || (row.recurrence === null && spanOf(row).end < now);
}

/** A changed shift is in effect only before, or after, its change. */
function clipped<T extends { readonly start: EpochMs; readonly end: EpochMs }>(row: ShiftRow, span: T): T[] {
  const start = Math.max(span.start, row.validFrom ?? Number.NEGATIVE_INFINITY);
  const end = Math.min(span.end, row.validUntil ?? Number.POSITIVE_INFINITY);
  return start < end ? [{ ...span, start, end }] : [];
}

function layerOf(row: ShiftRow): Layer {
  const times = timesOf(row);
  const turns = turnsOf(row);
  const { validFrom, validUntil, startTurn } = row;
  return {
    // Earlier forms of a shift count as the same shift.
    id: row.currentId ?? row.id,
    level: row.kind === "override" ? OVERRIDE_LEVEL : row.level,
    spans(from, to) {
      const first = Math.max(from, validFrom ?? from);
      const last = Math.min(to, validUntil ?? to);
      if (first >= last) return [];
      return [...occurrences(times, first, last)].flatMap(({ start, end, period }) =>
        clipped(row, { start, end, users: turns[(startTurn + period) % turns.length] ?? [] }),
      );
    },
  };
}

function substitutionOf(row: ShiftRow) {
  const [by = []] = turnsOf(row);
  if (row.swapFor === null || by.length === 0) return [];
  return clipped(row, { id: row.currentId ?? row.id, user: row.swapFor, by, ...spanOf(row) });
}

/** Entries of a calendar before an instant. */
export function pastOf(spans: readonly CalendarSpan[], now: EpochMs): CalendarSpan[] {
  return spans.filter(({ start }) => start < now).map((span) => ({ ...span, end: Math.min(span.end, now) }));
}

export function spansOf({ content }: Pick<CalendarRow, "content">): CalendarSpan[] {
  return content === null ? [] : (JSON.parse(content) as CalendarSpan[]);
}

function calendarLayers(row: CalendarRow): readonly Layer[] {
  const { scheduleId, content } = row;
  const known = calendars.get(scheduleId);
  if (known && known.content === content) return known.layers;
  const spans = spansOf(row);
  const layers = [...new Set(spans.map(({ level }) => level))].flatMap((level) => layersOf(spans, level));
  if (calendars.size >= MAX_CALENDARS) calendars.clear();
  calendars.set(scheduleId, { content, layers });
  return layers;
}

function layersOf(spans: readonly CalendarSpan[], level: number): Layer[] {
  const byId = new Map<string, CalendarSpan[]>();
  for (const span of spans) {
    if (span.level !== level) continue;
    const own = byId.get(span.id);
    if (own) own.push(span);
    else byId.set(span.id, [span]);
  }
  return [...byId].map(([id, own]) => ({
    id,
    level,
    spans: (from, to) => own.filter(({ start, end }) => start < to && end > from),
  }));
}
