import type { OnCallFinalShifts, OnCallSchedule } from "../../../client/api-types.gen.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { zoneOffsetMs } from "../../../core/time/clock.ts";
import { printable } from "../../output/output.ts";

/** As clocks of a schedule's zone show it, with the offset: `2026-11-16 09:00 +01:00`; `-` for null. */
export function zonedTime(rfc3339: string | null, timezone: string): string {
  if (rfc3339 === null) return "-";
  const ms = Date.parse(rfc3339);
  const offset = zoneOffsetMs(timezone, ms);
  const wall = new Date(ms + offset).toISOString();
  const ofDay = new Date(Math.abs(offset)).toISOString().slice(11, 16);
  return `${wall.slice(0, 10)} ${wall.slice(11, 16)} ${offset < 0 ? "-" : "+"}${ofDay}`;
}

export function notReachedLine(person: string, when: string): string {
  return printable(`not notified: ${person}, ${when}`);
}

/** Each person once, with the first time. */
export function notReachedLines(notReached: OnCallFinalShifts["notReached"], zone: string): string[] {
  const people = new Map(notReached.map((each) => [each.id, notReached.filter(({ id }) => id === each.id)]));
  return [...people.values()].map(([first, ...others]) => {
    const more = others.length === 0 ? "" : ` and ${countText(others.length, "more time")}`;
    const [from, to] = [first?.start, first?.end].map((time) => zonedTime(time ?? null, zone));
    return notReachedLine(first?.text ?? "", `is scheduled ${from} to ${to}${more}`);
  });
}

/** An imported calendar may leave people out, which looks like a gap. */
export function calendarLines({ calendar }: OnCallSchedule): string[] {
  return calendar?.error ? [`warning: the calendar has a problem: ${printable(calendar.error)}`] : [];
}
