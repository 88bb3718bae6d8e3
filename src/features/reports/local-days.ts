import { LoopTurns } from "../../core/promises.ts";
import { DAY_MS, type EpochMs, MINUTE_MS, utcDate } from "../../core/time/clock.ts";
import { type Calendar, clockAt } from "../../core/time/local-clock.ts";
import { readInThread } from "../oncall/index.ts";

/* Time on call by the clocks of people, and holidays. */

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
