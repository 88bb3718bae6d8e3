import { fromWallClock, toWallClock } from "../../ui/clock.ts";

// Days of a calendar in a time zone: on days of clock changes they are 23 or 25 hours long.

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

export type View = "fortnight" | "month";

/** Days of a fortnight, which starts on any day. */
export const FORTNIGHT = 14;

export interface Day {
  /** Such as 2026-11-23. */
  readonly date: string;
  readonly start: number;
  readonly end: number;
  /** Length, if a clock change makes it unusual. */
  readonly hours: number | null;
}

/** The date of an instant by the clocks of a zone. */
export function dateOf(at: number, zone: string): string {
  return toWallClock(at, zone).slice(0, 10);
}

export function addDays(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}

/** The first day of the view that has a date: that of the month; a fortnight starts with the date. */
export function firstDay(date: string, view: View): string {
  return view === "month" ? `${date.slice(0, 7)}-01` : date;
}

/** The first day of the fortnight or month before or after. */
export function step(date: string, view: View, by: 1 | -1): string {
  if (view === "fortnight") return addDays(date, FORTNIGHT * by);
  return firstDay(addDays(firstDay(date, view), by === 1 ? 31 : -1), view);
}

/** The days of the fortnight from a date, or of its month. */
export function daysOf(date: string, view: View, zone: string): readonly Day[] {
  const first = firstDay(date, view);
  const count = view === "fortnight" ? FORTNIGHT : (Date.parse(step(first, view, 1)) - Date.parse(first)) / DAY_MS;
  return Array.from({ length: count }, (_, at) => {
    const day = addDays(first, at);
    const [start, end] = [fromWallClock(day, zone), fromWallClock(addDays(day, 1), zone)];
    return { date: day, start, end, hours: end - start === DAY_MS ? null : (end - start) / HOUR_MS };
  });
}

/** The Monday after a date. */
export function nextMonday(date: string): string {
  return addDays(date, 7 - ((new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7));
}

/** Saturday and Sunday that begin after a date: on a weekend those of the next one. */
export function nextWeekend(date: string, zone: string): { readonly start: number; readonly end: number } {
  const weekday = new Date(`${date}T00:00:00Z`).getUTCDay();
  const saturday = addDays(date, (6 - weekday + 7) % 7 || 7);
  return { start: fromWallClock(saturday, zone), end: fromWallClock(addDays(saturday, 2), zone) };
}

export function isWeekend(date: string): boolean {
  return [0, 6].includes(new Date(`${date}T00:00:00Z`).getUTCDay());
}

/** The nearest full hour of a zone's clocks, or in a month the nearest midnight. */
export function snapped(at: number, view: View, zone: string): number {
  if (view === "fortnight") {
    const wall = toWallClock(at + HOUR_MS / 2, zone);
    const minutes = Number(wall.slice(14, 16)) * 60_000 + Number(wall.slice(17, 19)) * 1000;
    return Math.floor((at + HOUR_MS / 2 - minutes) / 1000) * 1000;
  }
  return fromWallClock(dateOf(at + DAY_MS / 2, zone), zone);
}

/** "Mon 23 Nov". */
export function dayLabel(date: string): string {
  return DAY_NAME.format(Date.parse(`${date}T00:00:00Z`)).replace(",", "");
}

const DAY_NAME = new Intl.DateTimeFormat("en-GB", {
  weekday: "short",
  day: "numeric",
  month: "short",
  timeZone: "UTC",
});
const MONTH_NAME = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });

export function rangeLabel(days: readonly Day[], view: View): string {
  const [first = "", last = ""] = [days[0]?.date, days.at(-1)?.date];
  if (view === "month") return MONTH_NAME.format(Date.parse(`${first}T00:00:00Z`));
  return `${dayLabel(first)} – ${dayLabel(last)} ${last.slice(0, 4)}`;
}

/** "Tue 24 Nov – Thu 26 Nov", or one day. */
export function daysLabel(firstDay: string, lastDay: string): string {
  return firstDay === lastDay ? dayLabel(firstDay) : `${dayLabel(firstDay)} – ${dayLabel(lastDay)}`;
}

/** "09:00", or with the day when it is another one than `on`. */
export function clockOf(at: number, zone: string, on?: string): string {
  const wall = toWallClock(at, zone);
  const date = wall.slice(0, 10);
  const clock = wall.slice(11, 16);
  return on === undefined || date === on ? clock : `${dayLabel(date)} ${clock}`;
}

/** "Mon 23 Nov 09:00 – Tue 24 Nov 09:00", without a repeated day. */
export function spanLabel(start: number, end: number, zone: string): string {
  const from = dateOf(start, zone);
  return `${dayLabel(from)} ${clockOf(start, zone)} – ${clockOf(end, zone, from)}`;
}

/** "Sun 22", and "Tue 1 Dec" where a month begins. */
export function shortDay(date: string): string {
  const label = dayLabel(date);
  return date.endsWith("-01") ? label : label.replace(/ \w+$/, "");
}
