import { LIMITS } from "../limits.ts";
import type { Value } from "./value.ts";

// RFC 3339 section 5.6, which allows t and z in lower case and any number of fraction digits.
const RFC_3339 =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))$/;

/**
 * `time(s)`: epoch ms of an RFC 3339 date-time, its fraction cut to milliseconds. A leap second counts as the first of the next
 * minute, as in POSIX time.
 *
 * @returns null for anything else: other types, days no month has, local times without an offset.
 */
export function toEpochMs(value: Value): number | null {
  if (typeof value !== "string" || value.length > LIMITS.convertedUnits) return null;
  const match = RFC_3339.exec(value);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const offsetHour = Number(match[9] ?? 0);
  const offsetMinute = Number(match[10] ?? 0);
  if (hour > 23 || minute > 59 || second > 60 || offsetHour > 23 || offsetMinute > 59) return null;

  // Date.UTC would read the years 0000 to 0099 as 1900 to 1999.
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return null;
  const ms = Number((match[7] ?? "").padEnd(3, "0").slice(0, 3));
  const offsetMs = (match[8] === "-" ? -1 : 1) * (offsetHour * 60 + offsetMinute) * 60_000;
  return date.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + ms - offsetMs;
}

let lastMs = 0;
let lastText = new Date(0).toISOString();

/**
 * RFC 3339 form of epoch ms, in UTC. The last one is kept: all rules that ask for a time of one event ask in a row, and making the
 * text costs more than the rest of a usual rule.
 */
export function timestampText(epochMs: number): string {
  if (epochMs !== lastMs) {
    lastText = new Date(epochMs).toISOString();
    lastMs = epochMs;
  }
  return lastText;
}
