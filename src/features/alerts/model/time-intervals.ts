import { PrismError } from "../../../core/errors.ts";
import { DAY_MS, type EpochMs, isTimezone, offsetChange, zoneOffsetMs } from "../../../core/time/clock.ts";

/** Both inclusive. */
export interface NumberRange {
  readonly from: number;
  readonly to: number;
}

/**
 * One item of a named time interval in Alertmanager's grammar. All members that are present must
 * contain the time; the items of a name are alternatives.
 */
export interface TimeInterval {
  /** Minutes of the day; `to` is exclusive, up to 1440. */
  readonly times?: readonly NumberRange[];
  /** 0 is Sunday. */
  readonly weekdays?: readonly NumberRange[];
  /** Negative: from the end of the month. */
  readonly daysOfMonth?: readonly NumberRange[];
  /** 1 is January. */
  readonly months?: readonly NumberRange[];
  readonly years?: readonly NumberRange[];
  /** IANA time zone. */
  readonly location: string;
}

const WEEKDAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS = [
  "january",
  "february",
  "march",
  "april",
  "may",
  "june",
  "july",
  "august",
  "september",
  "october",
  "november",
  "december",
];
const MEMBERS = ["times", "weekdays", "days_of_month", "months", "years", "location"];

/**
 * Reads an item as it is in Alertmanager's configuration: `times` with `start_time` and `end_time`,
 * `weekdays`, `days_of_month`, `months`, `years`, `location`. @throws VALIDATION_FAILED
 */
export function parseTimeInterval(given: unknown): TimeInterval {
  const item = membersOf(given, MEMBERS, "a time interval");
  const location = item["location"] ?? "UTC";
  if (typeof location !== "string" || !isLocation(location))
    throw invalid(`"${String(location)}" is not a time zone; use a name such as Europe/Berlin`);
  const times = rangesOf(item, "times", parseTimes);
  const weekdays = rangesOf(item, "weekdays", (text) => rangeOf(text, weekdayOf, "weekday"));
  const daysOfMonth = rangesOf(item, "days_of_month", parseDays);
  const months = rangesOf(item, "months", (text) => rangeOf(text, monthOf, "month"));
  const years = rangesOf(item, "years", (text) => rangeOf(text, integerOf, "year"));
  return {
    ...(times && { times }),
    ...(weekdays && { weekdays }),
    ...(daysOfMonth && { daysOfMonth }),
    ...(months && { months }),
    ...(years && { years }),
    location: location === "Local" ? Intl.DateTimeFormat().resolvedOptions().timeZone : location,
  };
}

/** @throws VALIDATION_FAILED */
export function parseTimeIntervals(given: unknown): readonly TimeInterval[] {
  if (!Array.isArray(given)) throw invalid("give a list of time intervals");
  return given.map(parseTimeInterval);
}

/** Whether one of the items contains the instant. */
export function isWithin(intervals: readonly TimeInterval[], at: EpochMs): boolean {
  return intervals.some((interval) => contains(interval, at, zoneOffsetMs(interval.location, at)));
}

/** Searched for the next change; after that the caller looks again. */
const SEARCHED_DAYS = 400;
/** Comparisons of a search: some milliseconds. */
const SEARCHED_STEPS = 5000;

/**
 * The first instant after `at` at which `isWithin` changes; if none is found within 400 days, or in a
 * few thousand comparisons, the end of what was searched.
 */
export function nextChange(intervals: readonly TimeInterval[], at: EpochMs): EpochMs {
  const before = isWithin(intervals, at);
  const minutes = minutesByLocation(intervals);
  const end = at + SEARCHED_DAYS * DAY_MS;
  let steps = 0;
  for (let from = at; from < end; from += DAY_MS) {
    const borders = new Set<EpochMs>();
    for (const [location, ofLocation] of minutes) {
      steps += ofLocation.size;
      for (const border of bordersIn(location, ofLocation, from, from + DAY_MS)) borders.add(border);
    }
    for (const border of [...borders].sort((left, right) => left - right)) {
      steps += intervals.length;
      if (isWithin(intervals, border) !== before || steps > SEARCHED_STEPS) return border;
    }
  }
  return end;
}

/** Minutes of the day at which an item may begin or end, by time zone. */
function minutesByLocation(intervals: readonly TimeInterval[]): ReadonlyMap<string, ReadonlySet<number>> {
  const found = new Map<string, Set<number>>();
  for (const { location, times = [] } of intervals) {
    const minutes = found.get(location) ?? new Set([0]);
    for (const { from, to } of times) minutes.add(from).add(to);
    found.set(location, minutes);
  }
  return found;
}

/** Instants in `(from, to]` at which the answer of an item may change. */
function bordersIn(location: string, minutes: ReadonlySet<number>, from: EpochMs, to: EpochMs): EpochMs[] {
  const change = offsetChange(location, from, to);
  const borders = change === undefined ? [] : [change];
  for (const offset of new Set([zoneOffsetMs(location, from), zoneOffsetMs(location, to)])) {
    const midnight = Math.floor((from + offset) / DAY_MS) * DAY_MS - offset;
    for (const day of [midnight, midnight + DAY_MS]) for (const minute of minutes) borders.push(day + minute * 60_000);
  }
  return borders.filter((border) => border > from && border <= to);
}

function contains(interval: TimeInterval, at: EpochMs, offsetMs: number): boolean {
  const local = new Date(at + offsetMs);
  const minute = local.getUTCHours() * 60 + local.getUTCMinutes();
  const { times, weekdays, months, years, daysOfMonth } = interval;
  return (
    (times === undefined || times.some(({ from, to }) => minute >= from && minute < to)) &&
    isIn(weekdays, local.getUTCDay()) &&
    isIn(months, local.getUTCMonth() + 1) &&
    isIn(years, local.getUTCFullYear()) &&
    (daysOfMonth === undefined || daysOfMonth.some((range) => isDayIn(range, local)))
  );
}

function isIn(ranges: readonly NumberRange[] | undefined, value: number): boolean {
  return ranges === undefined || ranges.some(({ from, to }) => value >= from && value <= to);
}

function isDayIn(range: NumberRange, local: Date): boolean {
  const length = new Date(Date.UTC(local.getUTCFullYear(), local.getUTCMonth() + 1, 0)).getUTCDate();
  const dayOf = (day: number) => (day < 0 ? length + day + 1 : day);
  const day = local.getUTCDate();
  return day >= dayOf(range.from) && day <= dayOf(range.to);
}

function membersOf(given: unknown, known: readonly string[], name: string): Readonly<Record<string, unknown>> {
  if (typeof given !== "object" || given === null || Array.isArray(given)) throw invalid(`${name} must be an object`);
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown !== undefined) throw invalid(`${name} has no member "${unknown}"; use ${known.join(", ")}`);
  return given as Readonly<Record<string, unknown>>;
}

/** An absent or empty list is no condition. */
function rangesOf(
  item: Readonly<Record<string, unknown>>,
  member: string,
  parse: (entry: unknown) => NumberRange,
): readonly NumberRange[] | undefined {
  const list = item[member] ?? [];
  if (!Array.isArray(list)) throw invalid(`${member} must be a list`);
  return list.length === 0 ? undefined : list.map(parse);
}

function parseTimes(given: unknown): NumberRange {
  const item = membersOf(given, ["start_time", "end_time"], "an entry of times");
  const range = { from: minuteOf(item["start_time"]), to: minuteOf(item["end_time"]) };
  if (range.from >= range.to)
    throw invalid("start_time must be before end_time; for a night, give one entry until 24:00 and one from 00:00");
  return range;
}

function minuteOf(given: unknown): number {
  const [, hours, minutes] = /^(?:([01]\d|2[0-3]):([0-5]\d)|24:00)$/.exec(String(given)) ?? [];
  if (hours !== undefined) return Number(hours) * 60 + Number(minutes);
  if (given === "24:00") return 1440;
  throw invalid(`"${String(given)}" is not a time of day; use HH:MM, 00:00 to 24:00`);
}

function parseDays(given: unknown): NumberRange {
  const range = rangeOf(given, dayOf, "day of the month", true);
  // Alertmanager counts -1 as the 27th here: a range that runs backwards in a short month is refused.
  const early = ({ from, to }: NumberRange) => (from < 0 ? 28 + from : from) > (to < 0 ? 28 + to : to);
  if ((range.from < 0 && range.to > 0) || early(range))
    throw invalid(`the days of the month "${String(given)}" run backwards`);
  return range;
}

function rangeOf(
  given: unknown,
  readValue: (text: string) => number | undefined,
  name: string,
  isAnyOrder = false,
): NumberRange {
  const parts = String(given).trim().toLowerCase().split(":");
  const [from, to = from] = parts.map((part) => readValue(part.trim()));
  if (from === undefined || to === undefined || parts.length > 2) throw invalid(`"${String(given)}" is not a ${name}`);
  if (!isAnyOrder && from > to) throw invalid(`the ${name} range "${String(given)}" runs backwards`);
  return { from, to };
}

function weekdayOf(text: string): number | undefined {
  const at = WEEKDAYS.indexOf(text);
  return at === -1 ? undefined : at;
}

function monthOf(text: string): number | undefined {
  const number = integerOf(text) ?? MONTHS.indexOf(text) + 1;
  return number >= 1 && number <= 12 ? number : undefined;
}

function dayOf(text: string): number | undefined {
  const day = integerOf(text);
  return day !== undefined && day !== 0 && Math.abs(day) <= 31 ? day : undefined;
}

function integerOf(text: string): number | undefined {
  return /^-?\d{1,4}$/.test(text) ? Number(text) : undefined;
}

function isLocation(name: string): boolean {
  return name === "Local" || isTimezone(name);
}

function invalid(message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", message);
}
