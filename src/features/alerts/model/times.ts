import { DAY_MS, type EpochMs, parseRfc3339 } from "../../../core/time/clock.ts";

const UNITS = [
  ["y", 365 * DAY_MS],
  ["w", 7 * DAY_MS],
  ["d", DAY_MS],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
] as const;

const DURATION = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

/** Reads a duration of Prometheus, such as `1h30m` or `0`; undefined if invalid. */
export function parsePrometheusDuration(text: string): number | undefined {
  if (text === "0") return 0;
  const match = DURATION.exec(text);
  if (!match || text === "") return undefined;
  const ms = UNITS.reduce((total, [, unitMs], at) => total + Number(match[at + 1] ?? 0) * unitMs, 0);
  return Number.isSafeInteger(ms) ? ms : undefined;
}

/** Writes a duration as Prometheus does: years and weeks only if nothing remains. */
export function durationText(ms: number): string {
  let rest = ms;
  let text = "";
  for (const [unit, unitMs] of UNITS) {
    const isExact = unit === "y" || unit === "w";
    if (rest < unitMs || (isExact && rest % unitMs !== 0)) continue;
    text += `${Math.floor(rest / unitMs)}${unit}`;
    rest %= unitMs;
  }
  return text || "0s";
}

/** Date, then an optional time with optional seconds, fraction and offset (with or without colon). */
const TIME = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(?:(:\d\d)(\.\d+)?)?(?:Z|([+-]\d\d):?(\d\d))?| (\d\d:\d\d:\d\d))?$/;

/**
 * Reads a time in a form that Alertmanager accepts; without an offset it is in UTC, and "" is the
 * Unix epoch.
 * @returns null for the zero time of Go, which means absent; undefined if invalid.
 */
export function parseAlertTime(text: string): EpochMs | null | undefined {
  if (text === "") return 0;
  if (/^0001-01-01T00:00:00(\.0+)?Z$/.test(text)) return null;
  const [, date, minutes = "00:00", seconds = ":00", fraction = "", hours, offsetMinutes, sortable] =
    TIME.exec(text) ?? [];
  if (date === undefined) return undefined;
  const offset = hours === undefined ? "Z" : `${hours}:${offsetMinutes}`;
  return parseRfc3339(`${date}T${sortable ?? `${minutes}${seconds}${fraction}`}${offset}`);
}
