import { DAY_MS, type EpochMs, startOfDay } from "../../../core/time/clock.ts";
import { type CoverageGap, dutiesOf, type FinalShift } from "./layers.ts";

/** Days on which a user is away. They are whole days of the user's zone, so 23 or 25 hours may be one. */
export interface Away extends CoverageGap {
  /** Of the stored days off. */
  readonly id: string;
  readonly userId: string;
  /** Such as `2026-11-24`. */
  readonly firstDay: string;
  readonly lastDay: string;
  readonly timezone: string;
}

/** A time in which a user is on call and away. */
export interface Conflict extends CoverageGap {
  readonly away: Away;
}

/** From the first instant of a day to the end of another one, by the clocks of a zone. */
export function spanOfDays(firstDay: string, lastDay: string, timezone: string): CoverageGap {
  return { start: startOfDay(midnightOf(firstDay), timezone), end: startOfDay(midnightOf(lastDay) + DAY_MS, timezone) };
}

/** The number of days from a day to another one, both included. */
export function countDays(firstDay: string, lastDay: string): number {
  return (midnightOf(lastDay) - midnightOf(firstDay)) / DAY_MS + 1;
}

/** @returns NaN for a day that the calendar does not have */
export function midnightOf(day: string): EpochMs {
  const at = Date.parse(`${day}T00:00:00Z`);
  // Date.parse reads 30 February as 2 March.
  return dayOf(at) === day ? at : Number.NaN;
}

/** The day of an instant in UTC. */
export function dayOf(at: EpochMs): string {
  return Number.isNaN(at) ? "" : new Date(at).toISOString().slice(0, 10);
}

/** The days off that overlap `[from, to)`. */
export function awayIn(away: readonly Away[], from: EpochMs, to: EpochMs): Away[] {
  return away.filter(({ start, end }) => start < to && end > from);
}

/** When users are on call on their days off, in order. */
export function conflictsOf(shifts: readonly FinalShift[], away: readonly Away[]): Conflict[] {
  const found = [...new Set(away.map(({ userId }) => userId))].flatMap((userId) =>
    dutiesOf(shifts, userId).flatMap(({ start, end }) =>
      awayIn(away, start, end)
        .filter((days) => days.userId === userId)
        .map((days) => ({ start: Math.max(start, days.start), end: Math.min(end, days.end), away: days })),
    ),
  );
  return found.sort((a, b) => a.start - b.start);
}
