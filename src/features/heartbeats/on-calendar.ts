import { PrismError } from "../../core/errors.ts";
import { DAY_MS, type EpochMs, isTimezone, zoneOffsetMs } from "../../core/time/clock.ts";

// Calendar events of systemd (systemd.time(7)): weekdays, date with `~` for days from the end of
// the month, time, zone, lists, ranges, repetitions, names such as `daily`. Not supported: fractions
// of a second, and `@` with seconds since 1970.

/** One item of a list: a value, a range `start..stop`, or every `step` values. */
interface Item {
  readonly start: number;
  readonly stop: number;
  readonly step: number;
}

/** Null: any value. */
type Items = readonly Item[] | null;

export interface CalendarExpression {
  /** 0 is Monday. */
  readonly weekdays: ReadonlySet<number> | null;
  readonly years: Items;
  readonly months: Items;
  readonly days: Items;
  /** Days count from the end of the month: 1 is the last. */
  readonly isFromEnd: boolean;
  readonly hours: Items;
  readonly minutes: Items;
  readonly seconds: Items;
  /** The zone of the expression, which wins over the heartbeat's. */
  readonly timezone: string | null;
}

const NAMED: Readonly<Record<string, string>> = {
  minutely: "*-*-* *:*:00",
  hourly: "*-*-* *:00:00",
  daily: "*-*-* 00:00:00",
  weekly: "Mon *-*-* 00:00:00",
  monthly: "*-*-01 00:00:00",
  quarterly: "*-01,04,07,10-01 00:00:00",
  semiannually: "*-01,07-01 00:00:00",
  yearly: "*-01-01 00:00:00",
  annually: "*-01-01 00:00:00",
};
const WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const FIRST_YEAR = 1970;
const LAST_YEAR = 2199;

/** Reads one or several expressions, one per line. @throws INVALID_CRON */
export function readOnCalendar(text: string): CalendarExpression[] {
  const lines = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  if (lines.length === 0) throw invalid("it is empty");
  return lines.map(readLine);
}

/** The first time of any of the events strictly after an instant; null for none. */
export function nextElapse(events: readonly CalendarExpression[], timezone: string, after: EpochMs): EpochMs | null {
  const times = events.flatMap((event) => nextOf(event, event.timezone ?? timezone, after) ?? []);
  return times.length === 0 ? null : Math.min(...times);
}

function readLine(line: string): CalendarExpression {
  const parts = line.split(/\s+/);
  const timezone = zoneOf(parts);
  const name = parts.length === 1 ? NAMED[(parts[0] as string).toLowerCase()] : undefined;
  const rest = name === undefined ? parts : name.split(" ");
  const weekdays = /^[a-z]/i.test(rest[0] ?? "") ? weekdaysOf(rest.shift() as string) : null;
  const date = rest[0] !== undefined && !rest[0].includes(":") ? rest.shift() : undefined;
  const time = rest.shift();
  if (rest.length > 0) throw invalid(`"${rest[0]}" is not expected there`);
  if (weekdays === null && date === undefined && time === undefined) throw invalid("it names no date and no time");
  return { weekdays, ...dateOf(date ?? "*-*-*"), ...timeOf(time ?? "00:00:00"), timezone };
}

/** Removes the zone at the end. */
function zoneOf(parts: string[]): string | null {
  const last = parts.at(-1) ?? "";
  const isName = parts.length > 1 && /^[A-Za-z]/.test(last);
  if (!isName) return null;
  if (!isTimezone(last)) throw invalid(`${last} is not a time zone`);
  parts.pop();
  return last;
}

function weekdaysOf(text: string): ReadonlySet<number> {
  const days = new Set<number>();
  for (const item of text.replace(/,$/, "").split(",")) {
    const [from = "", to, more] = item.split(/\.\.|-/);
    if (more !== undefined) throw invalid(`${item} is not a range of weekdays`);
    const first = weekdayOf(from);
    const last = to === undefined ? first : weekdayOf(to);
    if (last < first) throw invalid(`${item} ends before it starts`);
    for (let day = first; day <= last; day++) days.add(day);
  }
  return days;
}

function weekdayOf(text: string): number {
  const name = text.toLowerCase();
  const found = WEEKDAYS.findIndex((day) => day === name || day.slice(0, 3) === name);
  if (found < 0) throw invalid(`${text} is not a weekday`);
  return found;
}

function dateOf(text: string) {
  const match = /^(?:([^-~]+)-)?([^-~]+)([-~])([^-~]+)$/.exec(text);
  if (!match) throw invalid(`${text} is not a date`);
  const [, year, month = "", separator, day = ""] = match;
  return {
    years: itemsOf(year ?? "*", FIRST_YEAR, LAST_YEAR, "year", fullYear),
    months: itemsOf(month, 1, 12, "month"),
    days: itemsOf(day, 1, 31, "day"),
    isFromEnd: separator === "~",
  };
}

function timeOf(text: string) {
  const [hour = "", minute, second = "00", more] = text.split(":");
  if (minute === undefined || more !== undefined) throw invalid(`${text} is not a time`);
  if (/(^|[^.])\.([^.]|$)/.test(second)) throw invalid("fractions of a second are not supported");
  return {
    hours: itemsOf(hour, 0, 23, "hour"),
    minutes: itemsOf(minute, 0, 59, "minute"),
    seconds: itemsOf(second, 0, 59, "second"),
  };
}

/** Years of two digits, as in systemd. */
function fullYear(year: number): number {
  if (year >= 100) return year;
  return year + (year < 70 ? 2000 : 1900);
}

function itemsOf(text: string, min: number, max: number, name: string, convert = (value: number) => value): Items {
  if (text === "*") return null;
  return text.split(",").map((item) => {
    const match = /^(?:\*|(\d{1,4})(?:\.\.(\d{1,4}))?)(?:\/(\d{1,4}))?$/.exec(item);
    if (!match) throw invalid(`${item} is not a ${name}`);
    const [, from, to, every] = match;
    const start = from === undefined ? min : convert(Number(from));
    const isOpen = from === undefined || (to === undefined && every !== undefined);
    const stop = isOpen ? max : convert(Number(to ?? from));
    const step = every === undefined ? 1 : Number(every);
    if (start < min || stop > max) throw invalid(`${item} is not a ${name} from ${min} to ${max}`);
    if (stop < start || step === 0) throw invalid(`${item} has no value`);
    return { start, stop, step };
  });
}

function holds(items: Items, value: number): boolean {
  if (items === null) return true;
  return items.some(({ start, stop, step }) => value >= start && value <= stop && (value - start) % step === 0);
}

function nextOf(event: CalendarExpression, timezone: string, after: EpochMs): EpochMs | null {
  let wall = Math.floor(after / 1000) * 1000 + zoneOffsetMs(timezone, after);
  for (;;) {
    const next = nextWallTime(event, wall);
    if (next === null) return null;
    const at = instantOf(timezone, next);
    // A wall time that a clock change skips does not elapse; one that it repeats elapses once.
    if (at !== null && at > after) return at;
    wall = next;
  }
}

/** The first instant at which clocks of the zone show this time; null in a gap. */
function instantOf(timezone: string, wall: EpochMs): EpochMs | null {
  for (const near of [wall - DAY_MS, wall + DAY_MS]) {
    const at = wall - zoneOffsetMs(timezone, near);
    if (at + zoneOffsetMs(timezone, at) === wall) return at;
  }
  return null;
}

/** The next time on a clock without changes, strictly after another; null for none. */
function nextWallTime(event: CalendarExpression, after: EpochMs): EpochMs | null {
  const from = after + 1000;
  const first = new Date(from);
  const startDay = Date.UTC(first.getUTCFullYear(), first.getUTCMonth(), first.getUTCDate());
  for (let year = first.getUTCFullYear(); year <= LAST_YEAR; year++) {
    if (!holds(event.years, year)) continue;
    for (let month = 0; month < 12; month++) {
      if (!holds(event.months, month + 1) || Date.UTC(year, month + 1, 1) <= startDay) continue;
      const found = nextInMonth(event, year, month, startDay, from);
      if (found !== null) return found;
    }
  }
  return null;
}

function nextInMonth(event: CalendarExpression, year: number, month: number, startDay: EpochMs, from: EpochMs) {
  const length = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  for (let day = 1; day <= length; day++) {
    const dayStart = Date.UTC(year, month, day);
    if (dayStart < startDay || !holdsDay(event, day, length, dayStart)) continue;
    const second = nextSecond(event, dayStart === startDay ? (from - dayStart) / 1000 : 0);
    if (second !== null) return dayStart + second * 1000;
  }
  return null;
}

function holdsDay(
  { days, isFromEnd, weekdays }: CalendarExpression,
  day: number,
  length: number,
  at: EpochMs,
): boolean {
  if (weekdays !== null && !weekdays.has((new Date(at).getUTCDay() + 6) % 7)) return false;
  if (!isFromEnd || days === null) return holds(days, day);
  const fromEnd = length + 1 - day;
  // `~07/1` runs from the seventh last day to the last one, so its steps lead to the end.
  return days.some(({ start, stop, step }) => {
    if (stop === 31 && start < 31) return fromEnd <= start && (start - fromEnd) % step === 0;
    return fromEnd >= start && fromEnd <= stop && (fromEnd - start) % step === 0;
  });
}

/** @param from the earliest second of the day. */
function nextSecond({ hours, minutes, seconds }: CalendarExpression, from: number): number | null {
  for (let hour = Math.floor(from / 3600); hour < 24; hour++) {
    if (!holds(hours, hour)) continue;
    for (let minute = 0; minute < 60; minute++) {
      const base = hour * 3600 + minute * 60;
      if (base + 59 < from || !holds(minutes, minute)) continue;
      for (let second = Math.max(0, from - base); second < 60; second++) {
        if (holds(seconds, second)) return base + second;
      }
    }
  }
  return null;
}

function invalid(message: string): PrismError {
  return new PrismError("INVALID_CRON", `The calendar expression cannot be used: ${message}`, {
    details: [{ path: "schedule", code: "INVALID_CRON", message }],
  });
}
