import type { EpochMs } from "./clock.ts";

/** Whether a text names a zone of the IANA database, such as `Europe/Berlin`. Offsets (`+02:00`), which newer engines take as well, are none. */
export function isTimezone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }) !== null;
  } catch {
    return false;
  }
}

/** Formatters that are kept: each is some 30 KB, and there are some 400 zones. */
const MAX_FORMATTERS = 100;

const formatters = new Map<string, Intl.DateTimeFormat>();

/**
 * How far the clocks of a zone are ahead of UTC at an instant, in milliseconds. The wall clock's time, written as if it were UTC, is the
 * instant plus this. @throws RangeError when there is no such zone.
 */
export function zoneOffsetMs(timezone: string, at: EpochMs): number {
  const text = formatterOf(timezone).format(at);
  // "3/8/2026, GMT-05:00", "3/8/2026, GMT"; zones of long ago have seconds.
  const [, sign, hours, minutes, seconds = 0] = /GMT(?:([+-])(\d+):(\d+)(?::(\d+))?)?$/.exec(text) ?? [];
  if (sign === undefined) return 0;
  const ms = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
  return sign === "-" ? -ms : ms;
}

/**
 * The first instant within `(from, to]` that has another offset than `from` has, to the second; undefined when both ends have the same one.
 * The span is to be a day or so: no zone sets its clocks twice in that.
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

function formatterOf(timezone: string): Intl.DateTimeFormat {
  const kept = formatters.get(timezone);
  if (kept) return kept;
  const made = new Intl.DateTimeFormat("en-US", { timeZone: timezone, timeZoneName: "longOffset" });
  if (formatters.size >= MAX_FORMATTERS)
    for (const oldest of [...formatters.keys()].slice(0, 10)) formatters.delete(oldest);
  formatters.set(timezone, made);
  return made;
}
