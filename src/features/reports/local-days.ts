import { LoopTurns } from "../../core/promises.ts";
import { DAY_MS, type EpochMs, MINUTE_MS, utcDate, zoneOffsetMs } from "../../core/time/clock.ts";
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
  readonly hour: number;
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

export function localTime(at: EpochMs, timezone: string, calendar: Calendar): LocalTime {
  const { local, isNight, isWeekend } = clockAt(at, timezone, calendar);
  return { day: utcDate(local), hour: new Date(local).getUTCHours(), isNight, isWeekend };
}

/** @property local the wall time, as if it were UTC. @property isMorning of a night that began the day before */
function clockAt(at: EpochMs, timezone: string, { night, holidays }: Calendar) {
  const local = at + zoneOffsetMs(timezone, at);
  const date = new Date(local);
  const minute = date.getUTCHours() * 60 + date.getUTCMinutes();
  const isMorning = night.from > night.to && minute < night.to;
  const isNight = isMorning || (minute >= night.from && (night.from > night.to || minute < night.to));
  return { local, isMorning, isNight, isWeekend: date.getUTCDay() % 6 === 0 || holidays.has(utcDate(local)) };
}

const STEP_MS = 15 * MINUTE_MS;

/** How long a person is on call in spans, with the nights and weekend days in them, to a quarter of an hour. */
export async function loadOf(
  spans: readonly { readonly start: EpochMs; readonly end: EpochMs }[],
  zone: string,
  calendar: Calendar,
) {
  let ms = 0;
  const nights = new Set<string>();
  const weekendDays = new Set<string>();
  const turns = new LoopTurns();
  for (const { start, end } of spans) {
    ms += end - start;
    for (let at = start; at < end; at += STEP_MS) {
      await turns.pause();
      const { local, isMorning, isNight, isWeekend } = clockAt(at, zone, calendar);
      if (isNight) nights.add(utcDate(isMorning ? local - DAY_MS / 2 : local));
      if (isWeekend) weekendDays.add(utcDate(local));
    }
  }
  return { ms, nights: nights.size, weekendDays: weekendDays.size };
}

/** The dates of the events of an iCalendar file, of years around now. @throws CalendarUnreadable */
export async function holidaysIn(text: string, now: EpochMs): Promise<ReadonlySet<string>> {
  const options = { timezone: "UTC", from: now - 800 * DAY_MS, to: now + 400 * DAY_MS };
  const { events } = await readInThread({ text, options });
  const days = new Set<string>();
  // At noon a day has the same date in UTC, whatever the zone of the calendar.
  for (const { start, end } of events) for (let at = start; at < end; at += DAY_MS) days.add(utcDate(at + DAY_MS / 2));
  return days;
}
