import type { DateTime } from "luxon";
import { PrismError } from "../errors.ts";

/** Milliseconds since 1970-01-01T00:00:00Z. */
export type EpochMs = number;

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

/** Source of time. Injected, so that tests can advance it by an hour or a day. */
export interface Clock {
  now(): EpochMs;
  /** Monotonic milliseconds since an arbitrary instant. Stops while the machine sleeps. */
  elapsed(): number;
}

export const systemClock: Clock = { now: () => Date.now(), elapsed: () => performance.now() };

let lastMs = Number.NaN;
let lastText = "";

/** RFC 3339 in UTC with milliseconds. Caches the last text: a batch's items share an instant. */
export function toRfc3339(at: EpochMs): string {
  if (at !== lastMs) {
    lastText = new Date(at).toISOString();
    lastMs = at;
  }
  return lastText;
}

/** {@link toRfc3339} for nullable columns. */
export function toRfc3339OrNull(at: EpochMs | null): string | null {
  return at === null ? null : new Date(at).toISOString();
}

/** A span of time for people, at least a second: `2 h 5 min`, `12 min`, `15 s`. */
export function spanText(ms: number): string {
  const seconds = Math.max(1, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(ms / MINUTE_MS);
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)];
  const units = [
    days > 0 ? `${days} d` : "",
    hours > 0 ? `${hours} h` : "",
    minutes % 60 > 0 ? `${minutes % 60} min` : "",
  ];
  return units.filter((unit) => unit !== "").join(" ");
}

// RFC 3339 section 5.6: date-time with a mandatory offset. Its note allows a space as separator.
const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * Parses an RFC 3339 date-time with offset, to the millisecond. A leap second counts as the
 * following second.
 * @returns undefined for an invalid text or date, such as 30 February.
 */
export function parseRfc3339(text: string): EpochMs | undefined {
  const match = RFC3339.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHours, offsetMinutes] = match;
  const at = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute), 0);
  const date = new Date(at);
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  if (Number(offsetHours ?? 0) > 23 || Number(offsetMinutes ?? 0) > 59) return undefined;
  // Date.UTC maps the years 0 to 99 to 1900 to 1999; no event is that old.
  if (Number(year) < 100) return undefined;
  const offsetMs = (Number(offsetHours ?? 0) * 60 + Number(offsetMinutes ?? 0)) * 60_000 * (sign === "-" ? -1 : 1);
  const milliseconds = Number((fraction ?? "").padEnd(3, "0").slice(0, 3));
  return at + Number(second) * 1000 + milliseconds - offsetMs;
}

/** An RFC 3339 date-time (UTC without an offset), a Date, or a Luxon DateTime. */
export type Moment = string | Date | DateTime;

/** {@link parseRfc3339} that reads a text without offset as UTC. */
export function parseMoment(text: string): EpochMs | undefined {
  return parseRfc3339(text) ?? parseRfc3339(`${text}Z`);
}

/** @returns whole milliseconds. @throws VALIDATION_FAILED for an invalid moment */
export function epochOf(at: Moment | EpochMs): EpochMs {
  const epochMs = Math.round((typeof at === "string" ? parseMoment(at) : at.valueOf()) ?? Number.NaN);
  if (!Number.isSafeInteger(epochMs))
    throw new PrismError("VALIDATION_FAILED", "A time must be an RFC 3339 date-time or a valid date");
  return epochMs;
}

/**
 * Whether the text names an IANA time zone, such as `Europe/Berlin`. Offsets (`+02:00`), which
 * newer engines accept too, are refused.
 */
export function isTimezone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }) !== null;
  } catch {
    return false;
  }
}

/** Limit of cached formatters: each takes about 30 KB, and there are about 400 zones. */
const MAX_FORMATTERS = 100;

const formatters = new Map<string, Intl.DateTimeFormat>();

/**
 * Offset of a time zone from UTC at an instant, in milliseconds; positive east of Greenwich.
 * @throws RangeError for an unknown zone.
 */
export function zoneOffsetMs(timezone: string, at: EpochMs): number {
  const text = formatterOf(timezone).format(at);
  // Such as "3/8/2026, GMT-05:00" or "3/8/2026, GMT"; historical offsets include seconds.
  const [, sign, hours, minutes, seconds = 0] = /GMT(?:([+-])(\d+):(\d+)(?::(\d+))?)?$/.exec(text) ?? [];
  if (sign === undefined) return 0;
  const ms = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  return sign === "-" ? -ms : ms;
}

/** The date of an instant in UTC, such as `2026-12-25`. */
export function utcDate(at: EpochMs): string {
  return new Date(at).toISOString().slice(0, 10);
}

/** The date of an instant in a time zone. @throws RangeError for an unknown zone. */
export function dateIn(timezone: string, at: EpochMs): string {
  return utcDate(at + zoneOffsetMs(timezone, at));
}

/**
 * The first instant in `(from, to]` whose offset differs from that of `from`, to the second;
 * undefined when both ends have the same offset. Use spans of about a day: no zone changes its
 * offset twice in that time.
 */
export function offsetChange(timezone: string, from: EpochMs, to: EpochMs): EpochMs | undefined {
  const before = zoneOffsetMs(timezone, from);
  if (zoneOffsetMs(timezone, to) === before) return undefined;
  let same = Math.floor(from / 1000);
  let other = Math.ceil(to / 1000);
  while (other - same > 1) {
    const middle = Math.floor((same + other) / 2);
    if (zoneOffsetMs(timezone, middle * 1000) === before) same = middle;
    else other = middle;
  }
  return other * 1000;
}

/**
 * The first instant of a date in a time zone. A midnight that a change of clocks skips is the first
 * instant after it. @param midnight of the date in UTC
 */
export function startOfDay(midnight: EpochMs, timezone: string): EpochMs {
  const before = midnight - zoneOffsetMs(timezone, midnight - DAY_MS);
  const found = midnight - zoneOffsetMs(timezone, before);
  return zoneOffsetMs(timezone, found) === zoneOffsetMs(timezone, before) ? found : Math.max(found, before);
}

function formatterOf(timezone: string): Intl.DateTimeFormat {
  const kept = formatters.get(timezone);
  if (kept) return kept;
  const made = new Intl.DateTimeFormat("en-US", { timeZone: timezone, timeZoneName: "longOffset" });
  if (formatters.size >= MAX_FORMATTERS)
    for (const oldest of [...formatters.keys()].slice(0, 10)) formatters.delete(oldest);
  formatters.set(timezone, made);
  return made;
}

const MAX_CAUSES = 1000;

/** Lets the warning of one cause pass once a minute, where each event may cause it. */
export class Seldom {
  readonly #clock: Pick<Clock, "elapsed">;
  readonly #lastAt = new Map<string, number>();

  constructor(clock: Pick<Clock, "elapsed">) {
    this.#clock = clock;
  }

  passes(cause: string): boolean {
    const now = this.#clock.elapsed();
    const last = this.#lastAt.get(cause);
    if (last !== undefined && now - last < MINUTE_MS) return false;
    if (this.#lastAt.size >= MAX_CAUSES) this.#lastAt.clear();
    this.#lastAt.set(cause, now);
    return true;
  }
}

/**
 * A time that a clock in some zone shows, written as if that clock showed UTC. So calendars are
 * computed without zones, and {@link instantOf} finds the instant.
 */
export type WallTime = number;

/**
 * The instant of a wall time. A time that is shown twice is the first one; a time that a gap skips
 * is read with the offset before the gap (RFC 5545 section 3.3.5).
 */
export function instantOf(wall: WallTime, timezone: string): EpochMs {
  const before = offsetOf(timezone, wall - 2 * DAY_MS);
  const after = offsetOf(timezone, wall + 2 * DAY_MS);
  if (before === after || zoneOffsetMs(timezone, wall - before) === before) return wall - before;
  return zoneOffsetMs(timezone, wall - after) === after ? wall - after : wall - before;
}

const MAX_OFFSETS = 20_000;
const offsets = new Map<string, number>();

/** The offset at noon UTC of a day, kept: formatting a time in a zone takes microseconds. */
function offsetOf(timezone: string, at: EpochMs): number {
  const day = Math.floor(at / DAY_MS);
  const key = `${timezone} ${day}`;
  const known = offsets.get(key);
  if (known !== undefined) return known;
  const offset = zoneOffsetMs(timezone, day * DAY_MS + DAY_MS / 2);
  if (offsets.size >= MAX_OFFSETS) offsets.clear();
  offsets.set(key, offset);
  return offset;
}

const INSTANT = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;

/** Converts the instants of a text to times in the zone. */
export function inZone(text: string, timezone: string): string {
  return text.replaceAll(INSTANT, (instant) => {
    const at = Date.parse(instant);
    if (Number.isNaN(at)) return instant;
    const local = new Date(at + zoneOffsetMs(timezone, at)).toISOString();
    return `${local.slice(0, 10)} ${local.slice(11, 19)} ${timezone}`;
  });
}
