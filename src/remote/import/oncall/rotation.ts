import { DAY_MS, type EpochMs, HOUR_MS, zoneOffsetMs } from "../../../core/time/clock.ts";
import { occurrences, type ShiftRecurrence, WEEKDAYS } from "../../../features/oncall/model/recurrence.ts";
import type { FileShift } from "../proof.ts";
import type { OldShift } from "./read.ts";

/*
 * A shift of OnCall as shifts of a file. OnCall makes an event of a calendar of each turn: it begins
 * with the turn, and repeats after all others had theirs.
 */

/** How a shift is read. Which of these OnCall does is not in its answers: the proof of the schedule decides. */
export interface ShiftReading {
  /** The zone of `start`. */
  readonly zone: string;
  /** Shifts of the web page begin at `rotation_start` and end at `until`, in the middle of a turn too. */
  readonly isCut: boolean;
  /** A shift for each turn, as OnCall has them; else one rotation. */
  readonly isSplit: boolean;
  /** Hours that a change of the clocks makes longer or shorter, as whole days are. */
  readonly endsByClock: boolean;
}

const MAX_TURNS = 100;
/** So far a search for an occurrence goes. */
const REACH_MS = 800 * DAY_MS;

/** @param nameOf the name of a person by id; undefined: OnCall has none */
export function fileShifts(
  old: OldShift,
  reading: ShiftReading,
  nameOf: (id: string) => string | undefined,
  now: EpochMs,
): FileShift[] {
  const groups = turnsOf(old).map((turn) => [...new Set(turn.flatMap((id) => nameOf(id) ?? []))]);
  const shift: FileShift = {
    ...{ name: old.name?.trim() || "Shift", level: Math.min(old.level ?? 0, 9), start: old.start },
    ...{ durationMs: old.duration * 1000, timezone: reading.zone, turns: groups },
  };
  const isWritable = shift.durationMs >= 60_000 && shift.durationMs <= 366 * DAY_MS;
  if (groups.every((turn) => turn.length === 0) || !isWritable) return [];
  const made = old.frequency === null ? [{ ...shift, turns: groups.slice(0, 1) }] : rotations(old, shift, reading);
  const clocked = reading.endsByClock ? made.map(byTheHour) : made;
  return clocked.flatMap((each) => trimmed(each, old, reading)).filter((each) => !isOver(each, now));
}

function turnsOf({ type, users, rolling_users, start_rotation_from_user_index: first }: OldShift): string[][] {
  if (type !== "rolling_users") return [users ?? []];
  const groups = rolling_users ?? [];
  return [...groups.slice(first ?? 0), ...groups.slice(0, first ?? 0)];
}

function rotations(old: OldShift, shift: FileShift, { isCut, isSplit, zone }: ShiftReading): FileShift[] {
  const recurrence = ruleOf(old);
  if (old.type !== "rolling_users") return [{ ...shift, recurrence }];
  const first = firstTurn(old, recurrence, isCut);
  if (recurrence.frequency === "daily" && recurrence.byDay) {
    // The turns are of so many of these days, not of so many days.
    const turns = shift.turns.flatMap((turn) => Array.from({ length: recurrence.interval }, () => turn));
    return [{ ...shift, start: wallText(first), turns, recurrence: { ...recurrence, interval: 1 } }];
  }
  if (!isSplit) return [{ ...shift, start: wallText(first), recurrence }];
  const count = shift.turns.length;
  const begins = wallOf(old.rotation_start ?? old.start);
  const made = new Map<number, FileShift>();
  let start = first;
  for (let turn = 0; made.size < count && turn < 20 * count; turn++) {
    const isThere = isCut ? start + shift.durationMs > begins : start >= begins;
    // A turn of nobody leaves its time to lower levels.
    if (isThere && !made.has(turn % count))
      made.set(turn % count, {
        ...{ ...shift, name: `${shift.name} ${(turn % count) + 1}`, start: wallText(start), timezone: zone },
        ...{ recurrence: { ...recurrence, interval: recurrence.interval * count } },
        turns: [shift.turns[turn % count] ?? []],
      });
    start = nextTurn(recurrence, start);
  }
  return [...made.values()];
}

function ruleOf({ frequency, interval, week_start, by_day, by_month, by_monthday, until }: OldShift): ShiftRecurrence {
  return {
    ...{ frequency: frequency ?? "daily", interval: interval ?? 1 },
    ...(frequency === "weekly" && week_start !== null && week_start !== "MO" && { weekStart: week_start }),
    ...(by_day?.length && { byDay: by_day }),
    ...(by_month?.length && { byMonth: by_month }),
    ...(by_monthday?.length && { byMonthDay: by_monthday }),
    // Of the rule it is UTC, in every zone.
    ...(until !== null && { until: wallOf(until) }),
  };
}

/** When the first turn begins, by the clocks of the shift. */
function firstTurn(old: OldShift, rule: ShiftRecurrence, isCut: boolean): number {
  const begins = wallOf(old.rotation_start ?? old.start);
  let first = wallOf(old.start);
  if (begins !== first) {
    const end = endOfPeriod(rule, first);
    const counts = (start: number) => end === null || (isCut ? start + old.duration * 1000 > begins : start >= begins);
    first = startsOf(rule, first, first, end ?? first + REACH_MS).find(counts) ?? first;
  }
  const weekday = (at: number) => WEEKDAYS[new Date(at).getUTCDay()] ?? "SU";
  const days = rule.byDay;
  if (!days || days.includes(weekday(first))) return first;
  // A start on another day moves to the first of these days in the order of the week.
  const order = Array.from({ length: 7 }, (_, day) => (WEEKDAYS.indexOf(old.week_start ?? "SU") + day) % 7);
  const wanted = order.find((day) => days.includes(WEEKDAYS[day] ?? ""));
  return wanted === undefined ? first : first + ((wanted - new Date(first).getUTCDay() + 7) % 7) * DAY_MS;
}

/** When the turn after that of `start` begins; without an event in its period the period itself. */
function nextTurn(rule: ShiftRecurrence, start: number): number {
  const from = nextPeriod(rule, start);
  return startsOf(rule, start, from, endOfPeriod(rule, from) ?? from + 31 * DAY_MS)[0] ?? from;
}

function nextPeriod({ frequency, interval, weekStart = "MO" }: ShiftRecurrence, start: number): number {
  if (frequency === "hourly") return start + HOUR_MS;
  if (frequency === "daily") return start + DAY_MS;
  const date = new Date(start);
  if (frequency === "weekly") {
    const passed = (date.getUTCDay() - WEEKDAYS.indexOf(weekStart) + 7) % 7;
    return start + (7 * interval - passed) * DAY_MS;
  }
  const first = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + interval, 1);
  return first + (start % DAY_MS);
}

/** Of weeks and months. */
function endOfPeriod({ frequency, weekStart = "MO" }: ShiftRecurrence, at: number): number | null {
  const date = new Date(at);
  if (frequency === "weekly") return at + ((WEEKDAYS.indexOf(weekStart) + 6 - date.getUTCDay() + 7) % 7) * DAY_MS;
  if (frequency !== "monthly") return null;
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0) + (at % DAY_MS);
}

function startsOf({ until: _, ...rule }: ShiftRecurrence, start: number, from: number, last: number): number[] {
  const times = { start, durationMs: 1000, timezone: "UTC", recurrence: rule };
  return [...occurrences(times, from, last + 1000)].map((each) => each.start).filter((at) => at >= from && at <= last);
}

/** The same shift as hours, whose ends are by the clock; turns without anyone are between. */
function byTheHour(shift: FileShift): FileShift {
  const { durationMs, recurrence: rule, turns } = shift;
  if (!rule || (rule.frequency !== "weekly" && rule.frequency !== "daily")) return shift;
  if (durationMs % DAY_MS === 0 || durationMs % HOUR_MS !== 0 || rule.byMonth || rule.byMonthDay) return shift;
  const interval = greatestDivisor(durationMs / HOUR_MS, 24);
  const days = (rule.frequency === "weekly" || rule.byDay ? 7 * rule.interval : rule.interval) * turns.length;
  const count = (days * 24) / interval;
  if (count > MAX_TURNS) return shift;
  const start = wallOf(shift.start);
  const { until, ...endless } = rule;
  const slots: (readonly string[])[] = Array.from({ length: count }, () => []);
  const slotMs = interval * HOUR_MS;
  const times = { start, durationMs, timezone: "UTC", recurrence: endless };
  for (const each of occurrences(times, start, start + days * DAY_MS))
    for (let at = each.start; at < each.end; at += slotMs) {
      const slot = ((at - start) / slotMs) % count;
      // Occurrences may overlap.
      slots[slot] = [...new Set([...(slots[slot] ?? []), ...(turns[each.period % turns.length] ?? [])])];
    }
  const hourly = { frequency: "hourly" as const, interval, ...(until !== undefined && { until }) };
  return { ...shift, durationMs: slotMs, turns: slots, recurrence: hourly };
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** Without what is before `rotation_start`; occurrences that it or `until` cut are shifts of their own. */
function trimmed(shift: FileShift, old: OldShift, { zone, isCut }: ShiftReading): FileShift[] {
  const { durationMs, recurrence = null } = shift;
  const begins = old.rotation_start === null || old.rotation_start === old.start ? null : wallOf(old.rotation_start);
  const until = old.until === null ? null : wallOf(old.until);
  const times = { start: wallOf(shift.start), durationMs, timezone: zone, recurrence };
  const turnOf = (period: number) => [shift.turns[period % shift.turns.length] ?? []];
  const localOf = (at: EpochMs) => wallText(at + zoneOffsetMs(zone, at));
  const pieces: FileShift[] = [];
  const piece = (start: EpochMs, end: EpochMs, period: number) => {
    const { recurrence: _, startTurn: _turn, ...single } = shift;
    const turns = turnOf(period);
    if (end - start >= 60_000 && turns[0]?.length !== 0)
      pieces.push({ ...single, start: localOf(start), durationMs: end - start, turns });
  };
  if (recurrence === null) {
    const [only] = occurrences(times, times.start - 2 * DAY_MS, times.start + 2 * DAY_MS);
    if (!isCut || !only || (begins === null && until === null)) return [shift];
    piece(Math.max(only.start, begins ?? only.start), Math.min(only.end, until ?? only.end), 0);
    return pieces;
  }
  let whole = shift;
  if (begins !== null && old.type === "rolling_users") {
    const later = occurrences(times, begins - DAY_MS, begins + REACH_MS);
    let first = later.next();
    while (!first.done && first.value.start < begins) {
      if (isCut && first.value.end > begins) piece(begins, first.value.end, first.value.period);
      first = later.next();
    }
    if (first.done) return pieces;
    const startTurn = first.value.period % shift.turns.length;
    whole = { ...shift, start: localOf(first.value.start), startTurn };
  }
  if (isCut && until !== null) {
    const cut = [...occurrences(times, until, until + 1000)].filter(({ start, end }) => start < until && end > until);
    for (const { start, period } of cut) piece(Math.max(start, begins ?? start), until, period);
    const last = Math.min(until, ...cut.map(({ start }) => start - 1000));
    whole = { ...whole, recurrence: { ...recurrence, until: last } };
  }
  return [...pieces, whole];
}

function isOver({ start, durationMs, timezone = "UTC", recurrence = null }: FileShift, now: EpochMs): boolean {
  const times = { start: wallOf(start), durationMs, timezone, recurrence };
  return occurrences(times, now, now + 40 * 366 * DAY_MS).next().done === true;
}

function wallOf(text: string): number {
  return Date.parse(`${text}Z`);
}

function wallText(wall: number): string {
  return new Date(wall).toISOString().slice(0, 19);
}
