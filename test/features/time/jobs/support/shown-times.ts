import { DAY_MS } from "../../../../../src/core/time/clock.ts";
import { cronTimes, type Occurrence, readCron } from "../../../../../src/features/time/schedules/cron/recurrence.ts";

/**
 * Such as `03-08T07:00Z moved 03:00`, `11-01T06:15Z repeated`, or of a wall time that does not
 * happen `02:15 skipped`.
 */
export function shownTime({ at, local, dst }: Occurrence): string {
  const wall = new Date(local).toISOString().slice(11, 16);
  if (dst === "skipped") return `${wall} skipped`;
  const instant = `${new Date(at).toISOString().slice(5, 16)}Z`;
  return [instant, ...(dst === null ? [] : [dst]), ...(dst === "moved" ? [wall] : [])].join(" ");
}

/**
 * What a pattern has on a day of the zone. One that is moved out of its day belongs to it all the
 * same.
 */
export function timesOf(pattern: string, zone: string, day: string): string[] {
  const midnight = Date.parse(`${day}T00:00:00Z`);
  const times: string[] = [];
  for (const occurrence of cronTimes(readCron(pattern), zone, midnight - DAY_MS)) {
    const named = occurrence.dst === "moved" ? occurrence.local - 1 : occurrence.local;
    if (named >= midnight + DAY_MS) return times;
    if (named >= midnight) times.push(shownTime(occurrence));
  }
  return times;
}
