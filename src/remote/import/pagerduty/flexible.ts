import { DAY_MS, type EpochMs, isTimezone, MINUTE_MS } from "../../../core/time/clock.ts";
import { FREQUENCIES, occurrences, type ShiftRecurrence, WEEKDAYS } from "../../../features/oncall/model/recurrence.ts";
import { free } from "../files.ts";
import type { FileShift } from "../proof.ts";
import type { RotationForm } from "../schedules.ts";
import { localText, wallOf } from "../windows.ts";
import type { FlexibleEvent, FlexibleSchedule, ShiftMember } from "./read.ts";

/* Schedules of PagerDuty's API v3: rotations of events, each with one rule of iCalendar. */

const SECOND_MS = 1000;
const MAX_TURNS = 100;
const MAX_SHIFTS = 60;
/** So far a first occurrence is looked for. */
const REACH_MS = 800 * DAY_MS;

/** How events are read: what is not described is decided by the proof of the schedule. */
interface Reading {
  readonly form: string;
  /** The `Z` of a time is that of UTC; else it is by the clocks of its zone. */
  readonly isInstant: boolean;
  /** Turns are counted from where the event takes effect. */
  readonly isCountedAnew: boolean;
}

const READINGS: readonly Reading[] = [
  { form: "exact", isInstant: false, isCountedAnew: false },
  { form: "turns from where an event takes effect", isInstant: false, isCountedAnew: true },
  { form: "times of events in UTC", isInstant: true, isCountedAnew: false },
  { form: "times in UTC, turns from where an event takes effect", isInstant: true, isCountedAnew: true },
];

/** The people of a member; null: it is unknown. */
export type PeopleOf = (member: ShiftMember) => readonly string[] | null;

/** None: an event has a rule that shifts do not have. */
export function flexibleForms(name: string, schedule: FlexibleSchedule, peopleOf: PeopleOf): RotationForm[] {
  return READINGS.flatMap(({ form, ...reading }) => {
    const taken = new Set<string>();
    const events = schedule.events.map((event) => eventShift(event, { ...reading, form }, peopleOf));
    const singles = schedule.customShifts.map((shift): FileShift | null => {
      const [start, end] = [Date.parse(shift.start_time), Date.parse(shift.end_time)];
      const users = shift.assignments[0] && peopleOf(shift.assignments[0].member);
      if (!users || !(end - start >= MINUTE_MS)) return null;
      const times = { start: localText(start), durationMs: end - start, timezone: "UTC", recurrence: null };
      return { name: "Custom shift", ...times, turns: [users] };
    });
    const all = [...events, ...singles];
    if (all.includes(null)) return [];
    const shifts = all.flatMap((shift) => (shift?.turns.length ? [{ ...shift, name: free(shift.name, taken) }] : []));
    if (shifts.length > MAX_SHIFTS) return [];
    return [{ form, schedule: { name, timezone: schedule.time_zone, shifts }, byRotation: [shifts] }];
  });
}

/** Null: it has no form here. Without turns: it is over before it begins. */
function eventShift(event: FlexibleEvent, { isInstant, isCountedAnew }: Reading, peopleOf: PeopleOf): FileShift | null {
  const timezone = event.start_time.time_zone;
  const [start, end] = [Date.parse(event.start_time.date_time), Date.parse(event.end_time.date_time)];
  const since = Date.parse(event.effective_since);
  const until = event.effective_until === null ? null : Date.parse(event.effective_until) - SECOND_MS;
  const recurrence = recurrenceOf(event.recurrence, start, until);
  const members = event.assignment_strategy.members.map(peopleOf);
  if (recurrence === null || members.includes(null) || !isTimezone(timezone)) return null;
  if (!(end - start >= MINUTE_MS) || Number.isNaN(since)) return null;
  const turns = turnsOf(event.assignment_strategy, members as string[][], recurrence.byDay?.length ?? 1);
  if (turns === null) return null;
  const shift = { start, durationMs: end - start, timezone: isInstant ? "UTC" : timezone, recurrence };
  const name = event.name.slice(0, 90) || "Event";
  for (const { start: at, period } of occurrences(shift, since, since + REACH_MS))
    if (at >= since) {
      const from = {
        start: localText(wallOf(at, shift.timezone)),
        startTurn: isCountedAnew ? 0 : period % turns.length,
      };
      return { ...shift, ...from, name, turns };
    }
  return { ...shift, start: localText(start), name, turns: [] };
}

/** One turn for each member, or for all of them; null: a turn ends within a week of several days. */
function turnsOf(
  { type, shifts_per_member: shifts }: FlexibleEvent["assignment_strategy"],
  members: readonly (readonly string[])[],
  days: number,
): (readonly string[])[] | null {
  if (type === "every_member_assignment_strategy") return [[...new Set(members.flat())]];
  const periods = (shifts ?? 1) / days;
  if (type !== "rotating_member_assignment_strategy" || !Number.isInteger(periods) || periods < 1) return null;
  const turns = members.flatMap((users) => Array.from({ length: Math.min(periods, MAX_TURNS) }, () => users));
  return turns.length > MAX_TURNS ? null : turns;
}

/** One RRULE of the parts that shifts have, without EXDATE and RDATE; null: it is another. */
export function recurrenceOf(lines: readonly string[], start: EpochMs, until: EpochMs | null): ShiftRecurrence | null {
  const [line = "", ...others] = lines;
  const parts = new Map(
    line
      .replace(/^RRULE:/, "")
      .split(";")
      .map((part): [string, string] => {
        const [key = "", value = ""] = part.split("=");
        return [key.toUpperCase(), value.toUpperCase()];
      }),
  );
  const known = new Set(["FREQ", "INTERVAL", "BYDAY", "WKST", "UNTIL"]);
  if (others.length > 0 || [...parts.keys()].some((key) => !known.has(key))) return null;
  const frequency = FREQUENCIES.find((each) => each.toUpperCase() === parts.get("FREQ"));
  const interval = Number(parts.get("INTERVAL") ?? 1);
  const weekdays = (text: string | undefined) => text?.split(",").map((day) => WEEKDAYS.find((each) => each === day));
  const [byDay, own] = [weekdays(parts.get("BYDAY")), weekdays(parts.get("WKST"))?.[0]];
  const [, date = "", time = ""] = /^(\d{8})T(\d{6})Z$/.exec(parts.get("UNTIL") ?? "") ?? [];
  const iso = `${date}T${time}Z`.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z");
  const last = parts.has("UNTIL") ? Date.parse(iso) : Number.POSITIVE_INFINITY;
  if (frequency === undefined || frequency === "monthly" || !Number.isInteger(interval) || interval < 1) return null;
  if (byDay?.includes(undefined) || Number.isNaN(last)) return null;
  // A member's days are counted from the first one on, not from the beginning of a week.
  const weekStart = interval === 1 ? WEEKDAYS[new Date(start).getUTCDay()] : (own ?? "MO");
  const end = Math.min(last, until ?? Number.POSITIVE_INFINITY);
  return {
    ...{ frequency, interval },
    ...(frequency === "weekly" && { weekStart }),
    ...(byDay && { byDay: byDay as string[] }),
    ...(end !== Number.POSITIVE_INFINITY && { until: end }),
  };
}
