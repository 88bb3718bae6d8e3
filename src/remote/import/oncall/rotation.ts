import { DAY_MS, type EpochMs, HOUR_MS, instantOf, type WallTime } from "../../../core/time/clock.ts";
import { occurrences, type ShiftRecurrence, WEEKDAYS } from "../../../features/oncall/model/recurrence.ts";
import { plainName } from "../files.ts";
import type { FileShift } from "../proof.ts";
import { clockChanges, localText, singleShift, steady, WEEK_MS, wallOf } from "../windows.ts";
import type { OldShift } from "./read.ts";

/*
 * A shift of OnCall as shifts of a file. OnCall makes an event of a calendar of each turn: it begins with the turn, and
 * repeats after all others had theirs.
 */

/** How a shift is read. Which of these OnCall does is not in its answers: the proof of the schedule decides. */
export interface ShiftReading {
  /** The zone of `start`. */
  readonly zone: string;
  /** It was made in the web page: it begins at `rotation_start`, in the middle of a turn, too. */
  readonly isWeb: boolean;
  /** Its ends are by the clocks, not after elapsed time. */
  readonly endsByClock: boolean;
  readonly now: EpochMs;
}

/** Why a shift is left out; null: it is not. */
export function unwritable({ duration }: OldShift): string | null {
  return duration >= 60 && duration <= 366 * 86_400 ? null : `it lasts ${duration} seconds`;
}

/** @param nameOf the name of a person by id; undefined: nobody */
export function fileShifts(
  old: OldShift,
  reading: ShiftReading,
  nameOf: (id: string) => string | undefined,
): FileShift[] {
  if (unwritable(old) !== null) return [];
  const { zone, now } = reading;
  // OnCall has nobody in a turn whose first person is nobody.
  const named = ([first, ...others]: readonly string[]) =>
    first === undefined || nameOf(first) === undefined
      ? []
      : [...new Set([first, ...others].flatMap((id) => nameOf(id) ?? []))];
  return writtenShifts(old, reading)
    .map((shift) => ({ ...shift, turns: shift.turns.map(named) }))
    .flatMap((shift) => (shift.recurrence ? begun(shift, old, reading) : single(shift, old, reading)))
    .flatMap((shift) => (reading.endsByClock ? byTheClock(shift, zone, now) : [shift]))
    .filter(({ turns }) => turns.some((turn) => turn.length > 0))
    .filter((shift) => !occurrences(timesOf(shift), now, now + 40 * 366 * DAY_MS).next().done);
}

/** With ids of people. */
function writtenShifts(old: OldShift, { zone, isWeb }: ShiftReading): FileShift[] {
  const rule = ruleOf(old);
  const queue = queueOf(old);
  const shift = {
    ...{
      name: plainName(old.name ?? "") || "Shift",
      level: Math.min(old.level ?? 0, 9),
      start: old.start,
      timezone: zone,
    },
    ...{ durationMs: old.duration * 1000, turns: queue },
  };
  if (rule === null) return [{ ...shift, turns: queue.slice(0, 1) }];
  if (old.type !== "rolling_users") return [{ ...shift, recurrence: rule }];
  if (rule.frequency === "daily" && rule.byDay) {
    const first = firstTurn(old, rule, isWeb);
    // A turn is so many of these days, not so many days.
    const turns = queue.flatMap((turn) => Array.from({ length: rule.interval }, () => turn));
    const recurrence = { ...rule, interval: 1 };
    return first === null ? [] : [{ ...shift, start: localText(first), turns, recurrence }];
  }
  const events = eventsOf(old, rule, queue, isWeb);
  if (events.length === 0) return [];
  const recurrence = { ...rule, interval: rule.interval * queue.length };
  const apart = events.map(({ start, users }, at) => ({
    ...{ ...shift, name: `${shift.name} ${at + 1}`, start: localText(start), turns: [users] },
    ...timesOfTurn(old, start, recurrence, zone),
  }));
  // Turns without anyone come last: no event was made of them.
  const turns = [...events.map(({ users }) => users), ...queue.slice(events.length).map(() => [])];
  const whole = { ...shift, start: localText(events[0]?.start ?? 0), turns, recurrence: rule };
  return isSame([whole], apart) ? [whole] : apart;
}

/** Whether the first rounds are the same, by the clocks. */
function isSame(some: readonly FileShift[], others: readonly FileShift[]): boolean {
  const from = Math.min(...others.map(({ start }) => wallIn(start)));
  const last = Math.max(...others.map(({ start }) => wallIn(start)));
  const listed = (shifts: readonly FileShift[]) =>
    shifts.flatMap((shift) => {
      const times = { ...timesOf(shift), durationMs: 1000, timezone: "UTC" };
      return [...occurrences(times, from, last + 2 * (last - from) + WEEK_MS)].map(({ start, period }) =>
        [start, shift.durationMs, shift.turns[period % shift.turns.length]?.join()].join(" "),
      );
    });
  const used = (shifts: readonly FileShift[]) =>
    listed(shifts)
      .filter((each) => !each.endsWith(" "))
      .sort()
      .join();
  return used(some) === used(others);
}

function queueOf({ type, users, rolling_users, start_rotation_from_user_index: first }: OldShift) {
  if (type !== "rolling_users") return [users ?? []];
  const groups = rolling_users ?? [];
  return [...groups.slice(first ?? 0), ...groups.slice(0, first ?? 0)];
}

function ruleOf(old: OldShift): ShiftRecurrence | null {
  const { frequency, interval, week_start, by_day, by_month, by_monthday, until } = old;
  if (frequency === null) return null;
  return {
    ...{ frequency, interval: interval ?? 1 },
    ...(frequency === "weekly" && week_start !== null && week_start !== "MO" && { weekStart: week_start }),
    ...(by_day?.length && { byDay: by_day }),
    ...(by_month?.length && { byMonth: by_month }),
    ...(by_monthday?.length && { byMonthDay: by_monthday }),
    // It is UTC, in every zone.
    ...(until !== null && { until: wallIn(until) }),
  };
}

/** All events of a turn last as long as the first one, over a change of the clocks, too; one that `until` cuts is alone. */
function timesOfTurn({ until, duration }: OldShift, start: WallTime, recurrence: ShiftRecurrence, zone: string) {
  const end = start + duration * 1000;
  const last = until === null ? end : Math.min(end, wallIn(until));
  const durationMs = instantOf(last, zone) - instantOf(start, zone);
  return { durationMs, recurrence: last < end ? null : recurrence };
}

interface TurnEvent {
  readonly start: WallTime;
  readonly users: readonly string[];
}

const MAX_STEPS = 20_000;

/** The events of one round. Of a turn without anyone there is none, and the next turn follows the event before it. */
function eventsOf(old: OldShift, rule: ShiftRecurrence, queue: readonly string[][], isWeb: boolean): TurnEvent[] {
  const begins = beginOf(old);
  const found: TurnEvent[] = [];
  let event = wallIn(old.start);
  let start = firstTurn(old, rule, isWeb);
  for (let n = 0, made = 0; start !== null && made < queue.length && n < MAX_STEPS; n++) {
    const users = queue[n % queue.length] ?? [];
    const isBegun = start >= begins || (isWeb && start + old.duration * 1000 > begins);
    if (isBegun) made++;
    if (isBegun && users.length > 0) found.push({ start, users });
    if (!isBegun || users.length > 0) event = start;
    start = turnAfter(old, rule, event, { isWeb, isFirst: false });
  }
  return found;
}

/** When the first turn begins; null: it ends before. */
function firstTurn(old: OldShift, rule: ShiftRecurrence, isWeb: boolean): WallTime | null {
  const start = wallIn(old.start);
  const first = start === beginOf(old) ? start : turnAfter(old, rule, start, { isWeb, isFirst: true });
  const days = rule.byDay;
  const weekday = new Date(first ?? 0).getUTCDay();
  if (first === null || !days || days.includes(WEEKDAYS[weekday] ?? "")) return first;
  // A start on another day moves to the first of these days in the order of the week.
  const weekStart = WEEKDAYS.indexOf(old.week_start ?? (isWeb ? "MO" : "SU"));
  const order = Array.from({ length: 7 }, (_, day) => (weekStart + day) % 7);
  const wanted = order.find((day) => days.includes(WEEKDAYS[day] ?? "")) ?? weekday;
  return first + ((wanted - weekday + 7) % 7) * DAY_MS;
}

/** When the turn after that of an event begins; without an occurrence in its period the period itself. */
function turnAfter(
  old: OldShift,
  rule: ShiftRecurrence,
  event: WallTime,
  { isWeb, isFirst }: { readonly isWeb: boolean; readonly isFirst: boolean },
): WallTime | null {
  const from = isFirst ? event : nextPeriod(rule, event);
  const end = endOfPeriod(rule, from);
  const begins = beginOf(old) - (isWeb ? old.duration * 1000 - 1 : 0);
  const isTurn = (at: WallTime) => at >= from && (end === null || (at <= end && at >= begins));
  const times = { start: event, durationMs: 1000, timezone: "UTC", recurrence: rule };
  const later = occurrences(times, from, Math.max(end ?? 0, from + 31 * DAY_MS) + 1000);
  // An event begins at its start, also on a day that its rule does not name.
  let found = isTurn(event) ? event : undefined;
  for (let next = later.next(); found === undefined && !next.done; next = later.next())
    if (isTurn(next.value.start)) found = next.value.start;
  const start = found ?? from;
  return old.until !== null && start > wallIn(old.until) ? null : start;
}

function nextPeriod({ frequency, interval, weekStart = "MO" }: ShiftRecurrence, start: WallTime): WallTime {
  if (frequency === "hourly") return start + HOUR_MS;
  if (frequency === "daily") return start + DAY_MS;
  const date = new Date(start);
  const passed = (date.getUTCDay() - WEEKDAYS.indexOf(weekStart) + 7) % 7;
  if (frequency === "weekly") return start + interval * WEEK_MS - passed * DAY_MS;
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + interval, 1) + (start % DAY_MS);
}

/** Of weeks and months. */
function endOfPeriod({ frequency, weekStart = "MO" }: ShiftRecurrence, at: WallTime): WallTime | null {
  const date = new Date(at);
  if (frequency === "weekly") return at + ((WEEKDAYS.indexOf(weekStart) + 6 - date.getUTCDay() + 7) % 7) * DAY_MS;
  if (frequency !== "monthly") return null;
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0) + (at % DAY_MS);
}

/** Shifts of the web page have nothing before `rotation_start`; what it cuts is a shift of its own. */
function begun(shift: FileShift, old: OldShift, { isWeb, zone, now }: ShiftReading): FileShift[] {
  const begins = beginOf(old);
  if (!isWeb || begins <= now) return [shift];
  const { recurrence: _, startTurn: _turn, ...rest } = shift;
  const turnOf = (period: number) => [shift.turns[period % shift.turns.length] ?? []];
  const pieces: FileShift[] = [];
  for (const { start, end, period } of occurrences(timesOf(shift), begins, begins + 800 * DAY_MS)) {
    if (start >= begins) {
      const startTurn = period % shift.turns.length;
      return [...pieces, { ...shift, start: localText(wallOf(start, zone)), startTurn }];
    }
    const times = singleShift(wallOf(begins, zone), wallOf(end, zone), { timezone: zone, now });
    if (times) pieces.push({ ...rest, ...times, turns: turnOf(period) });
  }
  return pieces;
}

/** In UTC: its end is by the clocks of its zone. */
function single(shift: FileShift, old: OldShift, { isWeb, zone, now }: ShiftReading): FileShift[] {
  const start = wallIn(shift.start);
  const first = isWeb ? Math.max(start, wallOf(beginOf(old), zone)) : start;
  const times = singleShift(first, start + shift.durationMs, { timezone: zone, now });
  return times ? [{ ...shift, ...times }] : [];
}

/** Two shifts that overlap, where the clocks may change inside. */
function byTheClock(shift: FileShift, zone: string, now: EpochMs): FileShift[] {
  const { durationMs: ms, recurrence: rule } = shift;
  if (!rule || (rule.frequency === "hourly" && ms === rule.interval * HOUR_MS)) return [shift];
  const cycleMs = rule.frequency === "weekly" && !rule.byDay ? WEEK_MS : DAY_MS;
  const [first, second] = steady({ at: 0, ms }, wallIn(shift.start), cycleMs, clockChanges(zone, now));
  const later = second && movedBy(shift, second.at);
  if (!first || !later) return [shift];
  const until = rule.until !== undefined && { recurrence: { ...later.recurrence, until: rule.until + second.at } };
  return [
    { ...shift, durationMs: first.ms },
    { ...later, durationMs: second.ms, ...(until as Pick<FileShift, "recurrence">) },
  ];
}

/** The shift by other clocks; null: its rule cannot have other days. */
export function movedBy(shift: FileShift, ms: number): FileShift | null {
  const { start, recurrence: rule } = shift;
  const wall = wallIn(start);
  const days = Math.floor((wall + ms) / DAY_MS) - Math.floor(wall / DAY_MS);
  if (rule && days !== 0 && (rule.frequency === "monthly" || rule.byMonth || rule.byMonthDay)) return null;
  const moved = <T extends string>(day: T) => (WEEKDAYS[(WEEKDAYS.indexOf(day as never) + days + 7) % 7] ?? day) as T;
  const recurrence = rule && {
    ...rule,
    ...(rule.byDay && days !== 0 && { byDay: rule.byDay.map(moved) }),
    ...(rule.frequency === "weekly" && days !== 0 && { weekStart: moved(rule.weekStart ?? "MO") }),
  };
  return { ...shift, start: localText(wall + ms), ...(recurrence && { recurrence }) };
}

function timesOf({ start, durationMs, timezone = "UTC", recurrence = null }: FileShift) {
  return { start: wallIn(start), durationMs, timezone, recurrence };
}

function beginOf({ start, rotation_start }: OldShift): WallTime {
  return wallIn(rotation_start ?? start);
}

function wallIn(text: string): WallTime {
  return Date.parse(`${text}Z`);
}
