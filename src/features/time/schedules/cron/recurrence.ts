import { CronPattern } from "croner";
import { DAY_MS, type EpochMs, offsetChange, zoneOffsetMs } from "../../../../core/time/clock.ts";
import { checkCronText, invalidCron } from "./cron-text.ts";

/** The seconds and days of a pattern, on a calendar without time zones. Lists are ascending. */
interface CronFields {
  readonly seconds: readonly number[];
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  /** 0 is January. */
  readonly months: ReadonlySet<number>;
  /** Days of the month, from 1. */
  readonly days: ReadonlySet<number>;
  /** The weekday nearest to each of these days. */
  readonly nearestWeekdays: readonly number[];
  readonly lastDay: boolean;
  readonly lastWeekday: boolean;
  /** By day of the week, 0 is Sunday: bit n-1 for the n-th of the month, bit 5 for the last. */
  readonly weekdays: readonly number[];
  /** Whether days and weekdays are `*`. */
  readonly anyDay: boolean;
  readonly anyWeekday: boolean;
  /** Both must match; otherwise either is enough. */
  readonly needsBoth: boolean;
}

/**
 * In this many months every combination of month, day, weekday and leap year occurs: 28 years, plus
 * 12 around a century without a leap year. A longer search is pointless.
 */
const HORIZON_MONTHS = 41 * 12;
const LAST_OF_MONTH = 1 << 5;

/**
 * The next wall clock time of the fields, strictly after another. Such times are written as if the
 * clock showed UTC.
 * @returns undefined if there is none.
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

/** The weekday nearest to a day, within its month. */
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

/**
 * Handling of clock changes (docs/schedules.md). `once`: one hour, minute and second; in a gap it
 * runs when the gap ends, in an overlap the first time. `each`: several hours; in a gap it does not
 * run, in an overlap it runs twice. `interval`: every hour; it runs by elapsed time.
 */
type DstRule = "once" | "each" | "interval";

/** A parsed pattern. */
interface Cron extends CronFields {
  readonly rule: DstRule;
}

/**
 * Marks of a time: `moved` runs at the end of a gap, `skipped` does not run, `repeated` is the
 * second pass of an overlap.
 */
export type DstMark = "moved" | "skipped" | "repeated";

/** One time of a pattern. */
export interface Occurrence {
  /** Time of the run; for a skipped one the end of the gap. */
  readonly at: EpochMs;
  /** Wall clock time, as if it showed UTC; for a skipped one the time that no clock shows. */
  readonly local: EpochMs;
  readonly dst: DstMark | null;
}

/** No zone changes by more than a day: a jump in the search stops this far before its goal. */
const MARGIN_MS = 1.5 * DAY_MS;

/** Contains leap days on each weekday. */
const SOME_LEAP_CYCLE = Date.UTC(2000, 0, 1);

/** Limit of cached patterns: parsing takes 0.1 ms, and schedules due together often share one. */
const MAX_KEPT = 500;
const kept = new Map<string, Cron>();

/** Parses a pattern of five or six fields, or a name such as `@daily`. @throws INVALID_CRON */
export function readCron(text: string): Cron {
  const known = kept.get(text);
  if (known) return known;
  const cron = fieldsOf(checkCronText(text));
  if (nextWallTime(cron, SOME_LEAP_CYCLE) === undefined) throw invalidCron("no day of the calendar fits it");
  if (kept.size >= MAX_KEPT) kept.clear();
  kept.set(text, cron);
  return cron;
}

function fieldsOf(text: string): Cron {
  const pattern = parsed(text);
  const hours = positions(pattern.hour);
  return {
    seconds: positions(pattern.second),
    minutes: positions(pattern.minute),
    hours,
    months: new Set(positions(pattern.month)),
    days: new Set(positions(pattern.day).map((index) => index + 1)),
    nearestWeekdays: positions(pattern.nearestWeekdays).map((index) => index + 1),
    lastDay: pattern.lastDayOfMonth,
    lastWeekday: pattern.lastWeekday,
    weekdays: [...pattern.dayOfWeek],
    anyDay: pattern.starDOM,
    anyWeekday: pattern.starDOW,
    needsBoth: pattern.useAndLogic,
    rule: pattern.isFixedTime ? "once" : hours.length === 24 ? "interval" : "each",
  };
}

function parsed(text: string): CronPattern {
  try {
    return new CronPattern(text, undefined, { mode: "5-or-6-parts" });
  } catch (error) {
    const message = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : String(error);
    throw invalidCron(message, { cause: error });
  }
}

function positions(flags: readonly number[]): number[] {
  return flags.flatMap((flag, index) => (flag ? [index] : []));
}

/**
 * All times of a pattern in a time zone strictly after an instant, ascending: croner parses the
 * pattern, the calendar finds its wall times, and this maps them to instants. Gaps and overlaps are
 * searched only near times of the pattern, so a pattern that is due in years costs no more than one
 * due in days.
 */
export function* cronTimes(cron: Cron, zone: string, from: EpochMs): Generator<Occurrence, undefined> {
  let offset = zoneOffsetMs(zone, from);
  /** The offset is constant up to here; then it changes, if that is known. */
  let steadyUntil = from;
  let isSetThen = false;
  /** Wall times up to here are done. */
  let done = from + offset;
  let repeatedUntil = overlapEnd(zone, from);
  if (cron.rule === "once") done = Math.max(done, repeatedUntil - 1);
  for (;;) {
    const wall = nextWallTime(cron, done);
    if (wall === undefined) return;
    const at = wall - offset;
    if (at <= steadyUntil) {
      yield { at, local: wall, dst: wall < repeatedUntil ? "repeated" : null };
      done = wall;
    } else if (isSetThen) {
      const change = steadyUntil + 1;
      const next = zoneOffsetMs(zone, change);
      if (next > offset) yield* timesInGap(cron, change, offset, next, done);
      repeatedUntil = change + offset;
      // Wall times in the gap, or served by the first pass, are done.
      done = change + (cron.rule === "once" ? Math.max(offset, next) : next) - 1;
      offset = next;
      steadyUntil = change;
      isSetThen = false;
    } else {
      const change = offsetChange(zone, steadyUntil, steadyUntil + DAY_MS);
      isSetThen = change !== undefined;
      steadyUntil = change === undefined ? steadyUntil + DAY_MS : change - 1;
      if (!isSetThen && at - MARGIN_MS > steadyUntil) {
        // The pattern has no time in between, whatever the clocks do.
        steadyUntil = at - MARGIN_MS;
        offset = zoneOffsetMs(zone, steadyUntil);
        done = steadyUntil + offset;
        repeatedUntil = Number.NEGATIVE_INFINITY;
      }
    }
  }
}

/** The wall times skipped by a gap. */
function* timesInGap(
  cron: Cron,
  change: EpochMs,
  before: number,
  behind: number,
  done: EpochMs,
): Generator<Occurrence, undefined> {
  const { rule } = cron;
  if (rule === "interval") return;
  const end = change + behind;
  let wall = nextWallTime(cron, Math.max(done, change + before - 1));
  if (rule === "once") {
    // A wall time exactly at the end of the gap runs by itself.
    if (wall !== undefined && wall < end && nextWallTime(cron, end - 1) !== end)
      yield { at: change, local: end, dst: "moved" };
    return;
  }
  for (; wall !== undefined && wall < end; wall = nextWallTime(cron, wall))
    yield { at: change, local: wall, dst: "skipped" };
}

/** End of the wall times that an instant sees for the second time; none otherwise. */
function overlapEnd(zone: string, at: EpochMs): EpochMs {
  const change = offsetChange(zone, at - DAY_MS, at);
  if (change === undefined) return Number.NEGATIVE_INFINITY;
  return change + zoneOffsetMs(zone, change - 1);
}

/** Recurrence by the wall clock of a zone, or by elapsed time from an instant. */
type RecurrenceRule =
  | { readonly cron: string; readonly timezone: string }
  | { readonly everyMs: number; readonly timezone: string; readonly from: EpochMs };

/** Limit of the search: a pattern with all its times in gaps never runs. */
const MAX_SKIPPED = 10_000;

export class Recurrence {
  readonly #rule: RecurrenceRule;
  readonly #cron: Cron | null;

  /** @throws INVALID_CRON */
  constructor(rule: RecurrenceRule) {
    this.#rule = rule;
    this.#cron = "cron" in rule ? readCron(rule.cron) : null;
  }

  /** All times strictly after an instant, including skipped ones; usually endless. */
  after(from: EpochMs): Generator<Occurrence, undefined> {
    return this.#cron ? cronTimes(this.#cron, this.#rule.timezone, from) : this.#intervals(from);
  }

  /** The next time strictly after an instant, including a skipped one, which is reported. */
  next(from: EpochMs): EpochMs | null {
    return this.after(from).next().value?.at ?? null;
  }

  /** The next run strictly after an instant. */
  nextRun(from: EpochMs): EpochMs | null {
    let skipped = 0;
    for (const { at, dst } of this.after(from)) {
      if (dst !== "skipped") return at;
      if (++skipped === MAX_SKIPPED) return null;
    }
    return null;
  }

  /** The next times, for display. */
  preview(from: EpochMs, count: number): Occurrence[] {
    const times: Occurrence[] = [];
    for (const occurrence of this.after(from)) {
      if (times.length === count) break;
      times.push(occurrence);
    }
    return times;
  }

  *#intervals(from: EpochMs): Generator<Occurrence, undefined> {
    if (!("everyMs" in this.#rule)) return;
    const { everyMs, timezone, from: anchor } = this.#rule;
    let at = anchor + Math.max(0, Math.floor((from - anchor) / everyMs) + 1) * everyMs;
    for (; Number.isSafeInteger(at); at += everyMs) yield { at, local: at + zoneOffsetMs(timezone, at), dst: null };
  }
}

/** The times of a requested pattern. @throws INVALID_CRON, also if it never runs in this zone */
export function recurrenceOf(rule: RecurrenceRule, now: EpochMs): Recurrence {
  const recurrence = new Recurrence(rule);
  if (recurrence.nextRun(now) === null) throw invalidCron(`in ${rule.timezone} none of its times ever comes`);
  return recurrence;
}
