import { DAY_MS, type EpochMs, HOUR_MS, instantOf, type WallTime } from "../../../core/time/clock.ts";

export const FREQUENCIES = ["hourly", "daily", "weekly", "monthly"] as const;
export const WEEKDAYS = ["SU", "MO", "TU", "WE", "TH", "FR", "SA"] as const;

/** A weekday; with a number in front, which only monthly shifts have, the n-th of the month. */
export type ByDay = string;

/** The parts of RFC 5545 section 3.3.10 that a shift may have. */
export interface ShiftRecurrence {
  readonly frequency: (typeof FREQUENCIES)[number];
  readonly interval: number;
  readonly weekStart?: (typeof WEEKDAYS)[number] | undefined;
  readonly byDay?: readonly ByDay[] | undefined;
  /** 1 is January. */
  readonly byMonth?: readonly number[] | undefined;
  /** Negative numbers count from the end of the month. */
  readonly byMonthDay?: readonly number[] | undefined;
  /** The last occurrence starts at or before this instant. */
  readonly until?: EpochMs | undefined;
}

/** The parts that an event of an imported calendar may have. */
export interface CalendarRecurrence extends Omit<ShiftRecurrence, "frequency"> {
  readonly frequency: ShiftRecurrence["frequency"] | "yearly";
  /** Only these days of a week, month or year: 1 is the first that the rule names, -1 the last. */
  readonly bySetPos?: readonly number[] | undefined;
}

export interface EventTimes {
  readonly start: WallTime;
  readonly durationMs: number;
  readonly timezone: string;
  /** Null: one occurrence. */
  readonly recurrence: CalendarRecurrence | null;
}

export interface ShiftTimes extends EventTimes {
  readonly recurrence: ShiftRecurrence | null;
}

export interface ShiftOccurrence {
  readonly start: EpochMs;
  readonly end: EpochMs;
  /** Counts the periods (`frequency` times `interval`) with an occurrence, from 0. */
  readonly period: number;
}

/**
 * The occurrences of a shift that overlap `[from, to)`, in order of their start. They end at a search
 * without a hit. @param onMiss called for each step of the search without a hit; it may throw
 */
export function* occurrences(
  shift: EventTimes,
  from: EpochMs,
  to: EpochMs,
  onMiss: () => void = () => undefined,
): Generator<ShiftOccurrence, undefined> {
  const { timezone, durationMs, recurrence } = shift;
  const until = recurrence?.until ?? Number.POSITIVE_INFINITY;
  // No zone is further from UTC than 15 hours.
  const firstWall = from - durationMs - DAY_MS;
  for (const { wall, period } of wallTimes(shift, firstWall, new Misses(onMiss))) {
    if (wall > to + DAY_MS) return;
    const start = instantOf(wall, timezone);
    if (start > until) return;
    const end = endOf(shift, wall, start);
    if (start < to && end > from && end > start) yield { start, end, period };
  }
}

/**
 * Whole days are days of the calendar, other durations are elapsed time (RFC 5545 section 3.3.6).
 * An hourly shift as long as its interval lasts until the next one starts, so that a clock change
 * leaves no gap.
 */
function endOf({ durationMs, timezone, recurrence }: EventTimes, wall: WallTime, start: EpochMs): EpochMs {
  const isSeamless = recurrence?.frequency === "hourly" && durationMs === recurrence.interval * HOUR_MS;
  return durationMs % DAY_MS === 0 || isSeamless ? instantOf(wall + durationMs, timezone) : start + durationMs;
}

interface WallOccurrence {
  readonly wall: WallTime;
  readonly period: number;
}

/** All wall times from about `from` on, ascending. Endless for most shifts. */
function wallTimes(shift: EventTimes, from: WallTime, misses: Misses): Iterable<WallOccurrence> {
  const { start, recurrence } = shift;
  if (!recurrence) return [{ wall: start, period: 0 }];
  switch (recurrence.frequency) {
    case "hourly":
      return steps(start, recurrence, HOUR_MS, { from, misses });
    case "daily":
      return steps(start, recurrence, DAY_MS, { from, misses });
    case "weekly":
      return periods(start, recurrence, { from, misses }, (period) => daysOfWeek(start, recurrence, period));
    case "monthly":
      return periods(start, recurrence, { from, misses }, (period) => daysOfMonth(start, recurrence, period));
    case "yearly":
      return periods(start, recurrence, { from, misses }, (period) => daysOfYear(start, recurrence, period));
  }
}

/** A search that finds no day in this time ends: such a rule names a day that never comes. */
const HORIZON_MS = 100 * 366 * DAY_MS;

/** A search without a hit ends after so many steps, for example for a day that comes every 28 years. */
const MAX_MISSES = 10_000;

interface Search {
  readonly from: WallTime;
  readonly misses: Misses;
}

/** Counts the steps of a search since the last hit. */
class Misses {
  readonly #onMiss: () => void;
  #count = 0;

  constructor(onMiss: () => void) {
    this.#onMiss = onMiss;
  }

  hit(): void {
    this.#count = 0;
  }

  /** @returns whether the search ends */
  miss(): boolean {
    this.#onMiss();
    return ++this.#count > MAX_MISSES;
  }
}

/** Hourly and daily: one wall time per period, on the days that the rule allows. */
function* steps(
  start: WallTime,
  recurrence: CalendarRecurrence,
  unitMs: number,
  { from, misses }: Search,
): Generator<WallOccurrence, undefined> {
  const stepMs = recurrence.interval * unitMs;
  const isFiltered = Boolean(recurrence.byDay || recurrence.byMonth || recurrence.byMonthDay);
  // With a filter the periods are counted from the first one.
  const first = isFiltered ? 0 : Math.max(0, Math.floor((from - start) / stepMs));
  let period = first;
  const last = Math.max(start, from) + HORIZON_MS;
  let wall = start + first * stepMs;
  while (wall < last) {
    // Filters name days and months, so the rest of a day or month is passed at once.
    const skipped = isFiltered ? skippedUntil(recurrence, wall) : wall;
    if (skipped > wall) {
      if (wall >= from && misses.miss()) return;
      wall += stepsTo(skipped, wall, stepMs) * stepMs;
    } else if (wall < from) {
      const passed = stepsTo(Math.min(startOfDay(wall) + DAY_MS, from), wall, stepMs);
      period += passed;
      wall += passed * stepMs;
    } else {
      misses.hit();
      yield { wall, period };
      period++;
      wall += stepMs;
    }
  }
}

function stepsTo(end: WallTime, wall: WallTime, stepMs: number): number {
  return Math.ceil((end - wall) / stepMs);
}

/** The end of the month or day that a filter excludes; the time itself if it is allowed. */
function skippedUntil(recurrence: CalendarRecurrence, wall: WallTime): WallTime {
  const date = new Date(wall);
  if (!isInMonths(recurrence, date)) return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
  return isAllowed(recurrence, date) ? wall : startOfDay(wall) + DAY_MS;
}

/** Weekly, monthly and yearly: the days of each period. */
function* periods(
  start: WallTime,
  recurrence: CalendarRecurrence,
  { from, misses }: Search,
  daysOf: (index: number) => { readonly days: readonly WallTime[]; readonly first: WallTime },
): Generator<WallOccurrence, undefined> {
  const timeOfDay = start - startOfDay(start);
  const last = Math.max(start, from) + HORIZON_MS;
  let period = 0;
  for (let index = 0; ; index++) {
    const { days, first } = daysOf(index);
    // Past the last date that a number can be, the first day is NaN.
    if (!(first <= last)) return;
    const allowed = days.filter((day) => isInMonths(recurrence, new Date(day)));
    const walls = atPositions(allowed, recurrence).flatMap((day) =>
      day + timeOfDay >= start ? [day + timeOfDay] : [],
    );
    for (const wall of walls) if (wall >= from) yield { wall, period };
    if (walls.length > 0) {
      period++;
      misses.hit();
    } else if (misses.miss()) return;
  }
}

function daysOfWeek(start: WallTime, { interval, weekStart = "MO", byDay }: CalendarRecurrence, index: number) {
  const startDay = startOfDay(start);
  const weekday = new Date(start).getUTCDay();
  const offset = (weekday - WEEKDAYS.indexOf(weekStart) + 7) % 7;
  const first = startDay - offset * DAY_MS + index * interval * 7 * DAY_MS;
  const wanted = byDay ?? [WEEKDAYS[weekday] ?? "MO"];
  const days = Array.from({ length: 7 }, (_, day) => first + day * DAY_MS);
  return { first, days: days.filter((day) => wanted.includes(weekdayOf(new Date(day)))) };
}

function atPositions(days: readonly WallTime[], { bySetPos }: CalendarRecurrence): readonly WallTime[] {
  return bySetPos ? days.filter((_, at) => bySetPos.includes(at + 1) || bySetPos.includes(at - days.length)) : days;
}

function daysOfMonth(start: WallTime, { interval, byDay, byMonthDay }: CalendarRecurrence, index: number) {
  const date = new Date(start);
  const first = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + index * interval, 1);
  const monthDays = byMonthDay ?? (byDay ? undefined : [date.getUTCDate()]);
  return { first, days: monthDaysOf(first, monthDays, byDay) };
}

/** A weekday's number counts in the month if the rule names months, else in the year. */
function daysOfYear(start: WallTime, recurrence: CalendarRecurrence, index: number) {
  const { interval, byDay, byMonth, byMonthDay } = recurrence;
  const date = new Date(start);
  const year = date.getUTCFullYear() + index * interval;
  const first = Date.UTC(year, 0, 1);
  const every = Array.from({ length: 12 }, (_, month) => month + 1);
  const months = byMonth ? every.filter((month) => byMonth.includes(month)) : every;
  const daysIn = (wanted: readonly number[], monthDays?: readonly number[], weekdays?: readonly ByDay[]) =>
    wanted.flatMap((month) => monthDaysOf(Date.UTC(year, month - 1, 1), monthDays, weekdays));
  if (!byDay && !byMonthDay)
    return { first, days: daysIn(byMonth ? months : [date.getUTCMonth() + 1], [date.getUTCDate()]) };
  if (!byDay || byMonth) return { first, days: daysIn(months, byMonthDay, byDay) };
  const length = (Date.UTC(year + 1, 0, 1) - first) / DAY_MS;
  return { first, days: daysIn(months, byMonthDay).filter((day) => isNth(byDay, day, (day - first) / DAY_MS, length)) };
}

function monthDaysOf(first: WallTime, monthDays?: readonly number[], byDay?: readonly ByDay[]): WallTime[] {
  const length = lengthOfMonth(new Date(first));
  return Array.from({ length }, (_, day) => first + day * DAY_MS).filter((day, at) => {
    if (monthDays && !isMonthDay(monthDays, new Date(day), length)) return false;
    return !byDay || isNth(byDay, day, at, length);
  });
}

function isAllowed({ byDay, byMonthDay }: CalendarRecurrence, date: Date): boolean {
  if (byDay && !byDay.includes(weekdayOf(date))) return false;
  return !byMonthDay || isMonthDay(byMonthDay, date, lengthOfMonth(date));
}

function isInMonths({ byMonth }: CalendarRecurrence, date: Date): boolean {
  return !byMonth || byMonth.includes(date.getUTCMonth() + 1);
}

function isMonthDay(wanted: readonly number[], date: Date, length: number): boolean {
  const day = date.getUTCDate();
  return wanted.includes(day) || wanted.includes(day - length - 1);
}

/** `MO`, `2MO`: the second one, `-1FR`: the last. @param at of `length` days, from 0 */
function isNth(wanted: readonly ByDay[], day: WallTime, at: number, length: number): boolean {
  const name = weekdayOf(new Date(day));
  const forms = [name, `${Math.floor(at / 7) + 1}${name}`, `-${Math.ceil((length - at) / 7)}${name}`];
  return forms.some((form) => wanted.includes(form));
}

function weekdayOf(date: Date): string {
  return WEEKDAYS[date.getUTCDay()] ?? "";
}

function lengthOfMonth(date: Date): number {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
}

function startOfDay(wall: WallTime): WallTime {
  return Math.floor(wall / DAY_MS) * DAY_MS;
}
