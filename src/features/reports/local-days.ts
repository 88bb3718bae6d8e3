import { DAY_MS, type EpochMs, zoneOffsetMs } from "../../core/time/clock.ts";
import { readInThread } from "../oncall/index.ts";

/* Nights, weekends and holidays, by the clock that a person sees. */

/** What counts as a night, and which days as weekends. */
export interface Calendar {
  /** Minutes of the day. The night goes on after midnight if `to` is before `from`. */
  readonly night: { readonly from: number; readonly to: number };
  /** Dates such as `2026-12-25`. */
  readonly holidays: ReadonlySet<string>;
}

/** An instant as a person sees it. */
export interface LocalTime {
  /** Such as `2026-12-25`. */
  readonly day: string;
  readonly isNight: boolean;
  readonly isWeekend: boolean;
}

/** @param hours `reports.night`, such as `22:00-07:00` */
export function calendarOf(hours: string, holidays: ReadonlySet<string>): Calendar {
  const [from = 0, to = 0] = hours.split("-").map((time) => {
    const [hour = 0, minute = 0] = time.split(":").map(Number);
    return hour * 60 + minute;
  });
  return { night: { from, to }, holidays };
}

export function localTime(at: EpochMs, timezone: string, { night, holidays }: Calendar): LocalTime {
  const local = new Date(at + zoneOffsetMs(timezone, at));
  const minute = local.getUTCHours() * 60 + local.getUTCMinutes();
  const isNight =
    night.from <= night.to ? minute >= night.from && minute < night.to : minute >= night.from || minute < night.to;
  const day = local.toISOString().slice(0, 10);
  return { day, isNight, isWeekend: local.getUTCDay() % 6 === 0 || holidays.has(day) };
}

const STEP_MS = 15 * 60_000;

/** How long a person is on call in spans, with the nights and weekend days in them, to a quarter of an hour. */
export function loadOf(
  spans: readonly { readonly start: EpochMs; readonly end: EpochMs }[],
  zone: string,
  of: Calendar,
) {
  let ms = 0;
  const nights = new Set<string>();
  const weekendDays = new Set<string>();
  for (const { start, end } of spans) {
    ms += end - start;
    for (let at = start; at < end; at += STEP_MS) {
      const { day, isNight, isWeekend } = localTime(at, zone, of);
      // The hours after midnight belong to the night that began before.
      if (isNight) nights.add(isMorning(at, zone, of) ? localTime(at - DAY_MS / 2, zone, of).day : day);
      if (isWeekend) weekendDays.add(day);
    }
  }
  return { ms, nights: nights.size, weekendDays: weekendDays.size };
}

function isMorning(at: EpochMs, zone: string, { night }: Calendar): boolean {
  const local = new Date(at + zoneOffsetMs(zone, at));
  return night.from > night.to && local.getUTCHours() * 60 + local.getUTCMinutes() < night.to;
}

/** The dates of the events of an iCalendar file, of years around now. @throws CalendarUnreadable */
export async function holidaysIn(text: string, now: EpochMs): Promise<ReadonlySet<string>> {
  const options = { timezone: "UTC", from: now - 800 * DAY_MS, to: now + 400 * DAY_MS };
  const { events } = await readInThread({ text, options });
  const days = new Set<string>();
  // At noon a day has the same date in UTC, whatever the zone of the calendar.
  for (const { start, end } of events)
    for (let at = start; at < end; at += DAY_MS) days.add(new Date(at + DAY_MS / 2).toISOString().slice(0, 10));
  return days;
}
