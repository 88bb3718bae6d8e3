import { dateFormat, fromWallClock, toWallClock } from "./clock.ts";

/* Dates and times as people write them: shown as `2026-11-29 14:00`, read in more forms. */

export type WrittenKind = "datetime" | "date" | "time";

export const EXAMPLE: Readonly<Record<WrittenKind, string>> = {
  datetime: "2026-11-29 14:00",
  date: "2026-11-29",
  time: "14:00",
};

/** What an empty field shows: no time that looks chosen. */
export const PATTERN: Readonly<Record<WrittenKind, string>> = {
  datetime: "YYYY-MM-DD hh:mm",
  date: "YYYY-MM-DD",
  time: "hh:mm",
};

const ISO = /^(\d{4})-(\d\d?)-(\d\d?)$/;
const DOTS = /^(\d\d?)\.(\d\d?)\.(\d{4})$/;
const SLASHES = /^(\d\d?)\/(\d\d?)\/(\d{4})$/;
const NAMED = /^(\d\d?)\.? ([a-z]{3,9})\.? (\d{4})$/i;
const CLOCK = /^(\d\d?):(\d\d)(?::\d\d)?$/;

/** Whether the reader's language puts the month first, as in the United States. */
function isMonthFirst(language: string): boolean {
  const parts = new Intl.DateTimeFormat(language).formatToParts(0).map(({ type }) => type);
  return parts.indexOf("month") < parts.indexOf("day");
}

function monthNamed(name: string): number {
  const months = Array.from({ length: 12 }, (_, month) =>
    dateFormat({ month: "short" }, "UTC").format(Date.UTC(2026, month, 1)),
  );
  return 1 + months.findIndex((each) => each.slice(0, 3).toLowerCase() === name.slice(0, 3).toLowerCase());
}

function dateIn(text: string, language: string): string | undefined {
  const iso = ISO.exec(text);
  if (iso) return ymd(iso[1], iso[2], iso[3]);
  const dots = DOTS.exec(text);
  if (dots) return ymd(dots[3], dots[2], dots[1]);
  const slashes = SLASHES.exec(text);
  if (slashes) {
    const [, first, second, year] = slashes;
    return isMonthFirst(language) ? ymd(year, first, second) : ymd(year, second, first);
  }
  const named = NAMED.exec(text);
  return named ? ymd(named[3], String(monthNamed(named[2] ?? "")), named[1]) : undefined;
}

/** Undefined for a day that no month has. */
function ymd(year = "", month = "", day = ""): string | undefined {
  const text = `${year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}`;
  const at = new Date(`${text}T00:00:00Z`);
  return Number.isNaN(at.getTime()) || at.toISOString().slice(0, 10) !== text ? undefined : text;
}

function clockIn(text: string): string | undefined {
  const [, hour = "", minute = ""] = CLOCK.exec(text) ?? [];
  return hour === "" || Number(hour) > 23 || Number(minute) > 59 ? undefined : `${hour.padStart(2, "0")}:${minute}`;
}

/**
 * A wall-clock time in a text: `2026-11-29T14:00`, `2026-11-29` or `14:00` by the kind; undefined: it is none. A
 * time alone is one of today, a date alone its midnight. With a zone of its own (`…Z`) it is converted.
 */
export function readWritten(
  text: string,
  kind: WrittenKind,
  zone: string,
  language: string = navigator.language,
): string | undefined {
  const trimmed = text.trim().replace(/\s+/g, " ");
  if (kind === "time") return clockIn(trimmed);
  if (kind === "date") return dateIn(trimmed, language);
  if (/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:\d\d)$/i.test(trimmed)) {
    const ms = Date.parse(trimmed);
    return Number.isNaN(ms) ? undefined : toWallClock(ms, zone).slice(0, 16);
  }
  const [, day, clock] = /^(.*?)(?:(?:,? |T)(\d\d?:\d\d(?::\d\d)?)(?:\.\d+)?)?$/.exec(trimmed) ?? [];
  const alone = clockIn(trimmed);
  const date = alone === undefined ? dateIn(day ?? "", language) : toWallClock(Date.now(), zone).slice(0, 10);
  const time = alone ?? (clock === undefined ? "00:00" : clockIn(clock));
  return date === undefined || time === undefined ? undefined : `${date}T${time}`;
}

/** As it is shown and typed. */
export function writtenWall(wall: string): string {
  return wall.slice(0, 16).replace("T", " ");
}

/** RFC 3339 in UTC of a wall-clock time; "" of none. */
export function instantOfWall(wall: string, zone: string): string {
  const ms = fromWallClock(wall, zone);
  return Number.isNaN(ms) ? "" : new Date(ms).toISOString();
}
