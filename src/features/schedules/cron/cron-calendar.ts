import { DAY_MS, type EpochMs } from "../../../core/clock.ts";

/** Which seconds of which days a pattern names, on a calendar without time zones. Lists are in ascending order. */
export interface CronFields {
  readonly seconds: readonly number[];
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  /** 0 is January. */
  readonly months: ReadonlySet<number>;
  /** Days of the month, from 1. */
  readonly days: ReadonlySet<number>;
  /** The working day nearest to each of these. */
  readonly nearestWeekdays: readonly number[];
  readonly lastDay: boolean;
  readonly lastWeekday: boolean;
  /** By day of the week, 0 is Sunday: bit n-1 for the n-th of the month, bit 5 for the last. */
  readonly weekdays: readonly number[];
  /** Whether days and weekdays are given as `*`. */
  readonly anyDay: boolean;
  readonly anyWeekday: boolean;
  /** Both must fit, where else either is enough. */
  readonly needsBoth: boolean;
}

/**
 * After so many months every combination of month, day, weekday and leap year has come: 28 years, and 12 more around a century that is no
 * leap year. Whoever searches longer searches in vain.
 */
const HORIZON_MONTHS = 41 * 12;
const LAST_OF_MONTH = 1 << 5;

/**
 * The next time by the wall clock that the fields name, strictly after another. Such times are written as if the clock showed UTC.
 * @returns undefined when there is none.
 */
export function nextWallTime(fields: CronFields, after: EpochMs): EpochMs | undefined {
  const from = Math.floor(after / 1000) * 1000 + 1000;
  const start = new Date(from);
  const startDay = Date.UTC(start.getUTCFullYear(), start.getUTCMonth(), start.getUTCDate());
  const first = start.getUTCFullYear() * 12 + start.getUTCMonth();
  for (let index = first; index < first + HORIZON_MONTHS; index++) {
    const month = index % 12;
    if (!fields.months.has(month)) continue;
    const found = nextInMonth(fields, Math.floor(index / 12), month, startDay, from);
    if (found !== undefined) return found;
  }
  return undefined;
}

function nextInMonth(fields: CronFields, year: number, month: number, startDay: EpochMs, from: EpochMs) {
  const monthStart = Date.UTC(year, month, 1);
  const length = daysIn(year, month);
  const firstWeekday = new Date(monthStart).getUTCDay();
  for (let day = Math.max(1, (startDay - monthStart) / DAY_MS + 1); day <= length; day++) {
    if (!matchesDay(fields, day, length, firstWeekday)) continue;
    const dayStart = monthStart + (day - 1) * DAY_MS;
    const second = nextSecondOfDay(fields, dayStart === startDay ? (from - dayStart) / 1000 : 0);
    if (second !== undefined) return dayStart + second * 1000;
  }
  return undefined;
}

/** The semantics are croner's; a test compares the two. */
function matchesDay(fields: CronFields, day: number, length: number, firstWeekday: number): boolean {
  const weekday = (firstWeekday + day - 1) % 7;
  const byDay =
    fields.days.has(day) ||
    (fields.lastDay && day === length) ||
    (fields.lastWeekday && day === lastWeekdayOf(length, firstWeekday)) ||
    fields.nearestWeekdays.some((target) => target <= length && day === nearestWeekday(target, length, firstWeekday));
  if (fields.anyWeekday) return byDay;
  const mask = fields.weekdays[weekday] ?? 0;
  const byWeekday =
    (mask & (1 << (Math.ceil(day / 7) - 1))) !== 0 || ((mask & LAST_OF_MONTH) !== 0 && day + 7 > length);
  return fields.needsBoth || fields.anyDay ? byDay && byWeekday : byDay || byWeekday;
}

function lastWeekdayOf(length: number, firstWeekday: number): number {
  const weekday = (firstWeekday + length - 1) % 7;
  return weekday === 0 ? length - 2 : weekday === 6 ? length - 1 : length;
}

/** The working day nearest to a day, within its month. */
function nearestWeekday(day: number, length: number, firstWeekday: number): number {
  const weekday = (firstWeekday + day - 1) % 7;
  if (weekday === 0) return day === length ? day - 2 : day + 1;
  if (weekday === 6) return day === 1 ? day + 2 : day - 1;
  return day;
}

/** @param from the earliest second of the day. */
function nextSecondOfDay({ hours, minutes, seconds }: CronFields, from: number): number | undefined {
  const fromHour = Math.floor(from / 3600);
  const fromMinute = Math.floor(from / 60) % 60;
  const [firstMinute = 0] = minutes;
  const [firstSecond = 0] = seconds;
  for (const hour of hours) {
    if (hour < fromHour) continue;
    if (hour > fromHour) return hour * 3600 + firstMinute * 60 + firstSecond;
    for (const minute of minutes) {
      if (minute < fromMinute) continue;
      if (minute > fromMinute) return hour * 3600 + minute * 60 + firstSecond;
      const second = seconds.find((value) => value >= from % 60);
      if (second !== undefined) return hour * 3600 + minute * 60 + second;
    }
  }
  return undefined;
}

function daysIn(year: number, month: number): number {
  return new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
}
