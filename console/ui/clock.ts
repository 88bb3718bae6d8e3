import { type ReadonlySignal, signal } from "@preact/signals";
import { formatDuration } from "./format.ts";

/** The zone in which the console shows times: the user's; the browser's until it is known. */
export const displayZone = signal(Intl.DateTimeFormat().resolvedOptions().timeZone);

const current = signal(Date.now(), { watched: start, unwatched: stop });
let timer: ReturnType<typeof setInterval> | undefined;

function tick(): void {
  if (!document.hidden) current.value = Date.now();
}

function start(): void {
  tick();
  timer = setInterval(tick, 1000);
  document.addEventListener("visibilitychange", tick);
}

function stop(): void {
  clearInterval(timer);
  document.removeEventListener("visibilitychange", tick);
}

/** Now in epoch ms, once a second: one timer for all relative times, none while no time is shown. */
export const now: ReadonlySignal<number> = current;

export type Instant = number | string | Date;

/**
 * How a time is written: relative, short (of today without the day), of day, of day with ms, the date, or all of it
 * with the zone.
 */
export type TimeMode = "relative" | "short" | "clock" | "clock-ms" | "date" | "full";

/** Epoch ms; NaN for text that is no date. */
export function toMs(at: Instant): number {
  return at instanceof Date ? at.getTime() : typeof at === "number" ? at : Date.parse(at);
}

const DAY: Intl.DateTimeFormatOptions = { day: "numeric", month: "short", year: "numeric" };
const CLOCK: Intl.DateTimeFormatOptions = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const OPTIONS: Record<Exclude<TimeMode, "short">, Intl.DateTimeFormatOptions> = {
  relative: DAY,
  date: DAY,
  clock: CLOCK,
  "clock-ms": { ...CLOCK, fractionalSecondDigits: 3 },
  full: { weekday: "short", ...DAY, ...CLOCK, timeZoneName: "short" },
};
const formatters = new Map<string, Intl.DateTimeFormat>();

/** The cached formatter of these options: making one costs more than using it. */
export function dateFormat(options: Intl.DateTimeFormatOptions, zone = displayZone.value): Intl.DateTimeFormat {
  const key = `${zone} ${JSON.stringify(options)}`;
  let known = formatters.get(key);
  if (known === undefined) {
    known = new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options });
    formatters.set(key, known);
  }
  return known;
}

/** A time in the display zone; "—" for text that is no date. */
export function formatInstant(at: Instant, mode: TimeMode = "full", zone?: string): string {
  const ms = toMs(at);
  if (Number.isNaN(ms)) return "—";
  if (mode === "relative") return formatRelative(ms);
  return mode === "short" ? formatShort(ms, zone) : dateFormat(OPTIONS[mode], zone).format(ms);
}

/** "14:00" on this day, "Tue 1 Dec 14:00" on others. */
function formatShort(ms: number, zone = displayZone.value): string {
  const [wall, today] = [toWallClock(ms, zone), toWallClock(Date.now(), zone)];
  const clock = wall.slice(11, 16);
  if (wall.slice(0, 10) === today.slice(0, 10)) return clock;
  const year: Intl.DateTimeFormatOptions = wall.slice(0, 4) === today.slice(0, 4) ? {} : { year: "numeric" };
  const day = dateFormat({ weekday: "short", day: "numeric", month: "short", ...year }, zone);
  return `${day.format(ms).replace(",", "")} ${clock}`;
}

/** Epoch ms. */
export interface TimeRange {
  readonly from: number;
  readonly to: number;
}

/** "28 Nov 2026 23:45–00:15" for less than a day, "3 Nov 2026 – 10 Nov 2026" for more. */
export function formatRange({ from, to }: TimeRange, zone = displayZone.value): string {
  const date = (ms: number) => formatInstant(ms, "date", zone);
  const clock = (ms: number) => toWallClock(ms, zone).slice(11, 16);
  return to - from < DAY_MS ? `${date(from)} ${clock(from)}–${clock(to)}` : `${date(from)} – ${date(to)}`;
}

/** "2 h 5 min left", in whole minutes; "less than 1 min left". */
export function formatLeft(at: Instant, nowMs = Date.now()): string {
  const minutes = Math.floor((toMs(at) - nowMs) / 60_000);
  return minutes < 1 ? "less than 1 min left" : `${formatDuration(minutes * 60_000)} left`;
}

const UNITS = [
  { unit: "d", ms: 86_400_000 },
  { unit: "h", ms: 3_600_000 },
  { unit: "min", ms: 60_000 },
  { unit: "s", ms: 1000 },
] as const;
const DAY_MS = 86_400_000;
const RELATIVE_UP_TO_MS = 7 * DAY_MS;

/** "just now", "6 min ago", "in 40 s"; the date when it is more than a week away. */
export function formatRelative(at: Instant, nowMs = Date.now()): string {
  const ms = toMs(at);
  if (Number.isNaN(ms)) return "—";
  const distance = Math.abs(nowMs - ms);
  if (distance >= RELATIVE_UP_TO_MS) return dateFormat(dateOptions(ms, nowMs)).format(ms);
  const step = UNITS.find((each) => distance >= each.ms);
  if (step === undefined || (ms <= nowMs && distance < 5000)) return ms > nowMs + 1000 ? "in 1 s" : "just now";
  const text = `${Math.floor(distance / step.ms)} ${step.unit}`;
  return ms > nowMs ? `in ${text}` : `${text} ago`;
}

function dateOptions(ms: number, nowMs: number): Intl.DateTimeFormatOptions {
  const isSameYear = new Date(ms).getFullYear() === new Date(nowMs).getFullYear();
  return isSameYear ? { day: "numeric", month: "short" } : DAY;
}

/** Wall-clock parts of an instant in a zone as `2026-11-21T14:02:11`, for native inputs. */
export function toWallClock(ms: number, zone: string): string {
  const parts = new Map(
    dateFormat({ ...CLOCK, year: "numeric", month: "2-digit", day: "2-digit" }, zone)
      .formatToParts(ms)
      .map((part) => [part.type, part.value] as const),
  );
  const part = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? "00";
  return `${part("year").padStart(4, "0")}-${part("month")}-${part("day")}T${part("hour")}:${part("minute")}:${part("second")}`;
}

/**
 * The instant of a wall-clock time in a zone. A time that a DST change skips moves forward by the
 * change; one that it repeats is the first of the two.
 */
export function fromWallClock(wall: string, zone: string): number {
  const asUtc = Date.parse(wall.length === 10 ? `${wall}T00:00:00Z` : `${wall}Z`);
  if (Number.isNaN(asUtc)) return Number.NaN;
  const offsetAt = (ms: number) => Date.parse(`${toWallClock(ms, zone)}Z`) - Math.floor(ms / 1000) * 1000;
  const candidates = [offsetAt(asUtc - 86_400_000), offsetAt(asUtc + 86_400_000)].map((offset) => asUtc - offset);
  return candidates.find((ms) => ms + offsetAt(ms) === asUtc) ?? Math.max(...candidates);
}
