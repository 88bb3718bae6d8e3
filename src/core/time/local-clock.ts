import { type EpochMs, utcDate, zoneOffsetMs } from "./clock.ts";

/* Nights and weekends by the clock that a person sees. */

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
export function clockAt(at: EpochMs, timezone: string, { night, holidays }: Calendar) {
  const local = at + zoneOffsetMs(timezone, at);
  const date = new Date(local);
  const minute = date.getUTCHours() * 60 + date.getUTCMinutes();
  const isMorning = night.from > night.to && minute < night.to;
  const isNight = isMorning || (minute >= night.from && (night.from > night.to || minute < night.to));
  return { local, isMorning, isNight, isWeekend: date.getUTCDay() % 6 === 0 || holidays.has(utcDate(local)) };
}

const LAST_DATE = "9999-12-31";

/** The first and the last date of people's days in a time. Today has no end: it is a later date in zones to the east. */
export function datesIn(from: EpochMs, to: EpochMs, now: EpochMs): readonly [first: string, last: string] {
  return [utcDate(from), utcDate(to - 1) >= utcDate(now) ? LAST_DATE : utcDate(to - 1)];
}
