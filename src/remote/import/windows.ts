import {
  DAY_MS,
  type EpochMs,
  HOUR_MS,
  instantOf,
  isTimezone,
  MINUTE_MS,
  offsetChange,
  type WallTime,
  zoneOffsetMs,
} from "../../core/time/clock.ts";
import { type ShiftRecurrence, WEEKDAYS } from "../../features/oncall/model/recurrence.ts";
import type { FileShift } from "./proof.ts";

/* Rotations with hand-overs inside of windows, as Opsgenie and PagerDuty have them, as shifts of a schedule. */

export const WEEK_MS = 7 * DAY_MS;
/** 1970-01-05. */
const MONDAY = 4 * DAY_MS;
const MAX_SHIFTS = 60;
const MAX_TURNS = 100;
const CHANGES_MS = 3 * 366 * DAY_MS;

/** A part of each day or week in which a rotation counts, by the clocks of its zone. */
export interface ClockWindow {
  /** 0 is Monday; null: each day. */
  readonly day: number | null;
  /** Time of the day. */
  readonly startMs: number;
  readonly durationMs: number;
}

export interface OldRotation {
  readonly name: string;
  readonly level?: number;
  /** Turns are counted from here. */
  readonly handover: EpochMs;
  readonly turnMs: number;
  readonly turns: readonly (readonly string[])[];
  /** None: it counts always. */
  readonly windows: readonly ClockWindow[];
  /** Default: the first hand-over. */
  readonly from?: EpochMs | undefined;
  readonly until?: EpochMs | undefined;
}

export interface WindowForm {
  readonly timezone: string;
  /** What is over by then is left out. */
  readonly now: EpochMs;
  /** Whether a hand-over inside of a window takes place at once; else the window's first person stays to its end. */
  readonly isCut: boolean;
}

/** A part of a turn or of a window, from the hand-over that its cycle begins with. */
interface Piece {
  readonly at: number;
  readonly ms: number;
}

/** Shifts with the same people on call at each instant; null: there are none. */
export function rotationShifts(rotation: OldRotation, form: WindowForm): FileShift[] | null {
  const { turnMs, turns, handover, until, from = handover } = rotation;
  if (turns.length === 0 || (until !== undefined && until <= Math.max(form.now, from))) return [];
  const start = wallOf(handover, form.timezone);
  const cycle = cycleOf(rotation, start, form.isCut);
  if (cycle === null) return null;
  const { cycleMs } = cycle;
  const count = lcm(cycleMs, turnMs * turns.length) / cycleMs;
  const rule = ruleOf(cycle.hasWindows ? Math.min(cycleMs, WEEK_MS) : turnMs, cycle.hasWindows);
  const changes = cycle.hasWindows ? clockChanges(form.timezone, form.now) : [];
  const pieces = cycle.pieces.flatMap((piece) => (cycle.hasWindows ? steady(piece, start, cycleMs, changes) : [piece]));
  if (rule === null || count > MAX_TURNS || pieces.length > MAX_SHIFTS) return null;
  const turnAt = (n: number, { at }: Piece) => turns[Math.floor((cycleMs * n + at) / turnMs) % turns.length] ?? [];
  const groups = new Map<string, Piece[]>();
  for (const piece of pieces) {
    const wall = start + piece.at;
    const ofTurns = Array.from({ length: count }, (_, n) => turnAt(n, piece));
    // Days of a week are one shift if their turns are the same, and if they are in the same week.
    const week = Math.floor((dayOf(wall) - dayOf(start)) / WEEK_MS);
    const key = JSON.stringify([wall - dayOf(wall), piece.ms, rule.frequency === "weekly" ? week : wall, ofTurns]);
    groups.set(key, [...(groups.get(key) ?? []), piece]);
  }
  const shifts = [...groups.values()].flatMap((group) => {
    const ofTurns = Array.from({ length: count }, (_, n) => turnAt(n, group[0] as Piece));
    return groupShifts(group, { rotation, start, cycleMs, turns: ofTurns, rule, form });
  });
  const named = shifts.map((shift, at) => ({ ...shift, name: nameOf(rotation.name, at) }));
  return named.length > MAX_SHIFTS ? null : named;
}

function nameOf(name: string, at: number): string {
  return at === 0 ? name.slice(0, 100) : `${name.slice(0, 90)} ${at + 1}`;
}

function cycleOf({ turnMs, windows }: OldRotation, start: WallTime, isCut: boolean) {
  const whole = { cycleMs: turnMs, pieces: [{ at: 0, ms: turnMs }], hasWindows: false };
  if (!Number.isInteger(turnMs) || turnMs < HOUR_MS || turnMs % HOUR_MS !== 0) return null;
  if (windows.length === 0) return whole;
  const isDaily = windows.every(({ day }) => day === null) && turnMs % WEEK_MS !== 0;
  const cycleMs = isDaily ? DAY_MS : WEEK_MS;
  const pieces = piecesOf(windows, start, cycleMs);
  if (pieces.length === 1 && pieces[0]?.ms === cycleMs) return whole;
  return { cycleMs, pieces: isCut ? cutAt(pieces, cycleMs, gcd(turnMs, cycleMs)) : pieces, hasWindows: true };
}

/** The windows of a cycle, joined where they overlap. One may go on in the next cycle. */
function piecesOf(windows: readonly ClockWindow[], start: WallTime, cycleMs: number): Piece[] {
  const found = windows.flatMap(({ day, startMs, durationMs }) => {
    const days = cycleMs === DAY_MS ? [0] : day === null ? [0, 1, 2, 3, 4, 5, 6] : [day];
    return days.map((each) => ({ at: mod(MONDAY + each * DAY_MS + startMs - start, cycleMs), ms: durationMs }));
  });
  const sorted = found.sort((a, b) => a.at - b.at);
  const joined: { at: number; ms: number }[] = [];
  // The second round joins the last one of a cycle with the first of the next.
  for (const { at, ms } of [...sorted, ...sorted.map((each) => ({ ...each, at: each.at + cycleMs }))]) {
    const last = joined.at(-1);
    if (last && at <= last.at + last.ms) last.ms = Math.max(last.ms, at + ms - last.at);
    else joined.push({ at, ms });
  }
  if (joined.some(({ ms }) => ms >= cycleMs)) return [{ at: 0, ms: cycleMs }];
  // What the last one of the cycle goes on into is no window of its own.
  const first = (joined.find(({ at }) => at >= cycleMs)?.at ?? cycleMs) - cycleMs;
  return joined.filter(({ at }) => at >= first && at < cycleMs);
}

/** Cut at each multiple of the grid, at which a turn may end. */
function cutAt(pieces: readonly Piece[], cycleMs: number, grid: number): Piece[] {
  const cut = pieces.flatMap(({ at, ms }) => {
    const edges = [at];
    for (let edge = (Math.floor(at / grid) + 1) * grid; edge < at + ms; edge += grid) edges.push(edge);
    return edges.map((edge, n) => ({ at: mod(edge, cycleMs), ms: (edges[n + 1] ?? at + ms) - edge }));
  });
  return cut.sort((a, b) => a.at - b.at);
}

/**
 * A shift lasts elapsed time, a window ends by the clocks: where those may change inside, two shifts overlap, of which
 * the second begins after the change.
 */
export function steady({ at, ms }: Piece, start: WallTime, cycleMs: number, changes: readonly ClockChange[]): Piece[] {
  if (ms % DAY_MS === 0) return [{ at, ms }];
  const inside = changes
    .map(({ after, byMs }) => {
      const first = mod(after - start - at, cycleMs);
      return { into: first + Math.floor((ms - 2 * byMs - first) / cycleMs) * cycleMs, byMs };
    })
    .filter(({ into }) => into > 0);
  // Where the clocks change at two times of the night, both are over.
  const last = inside.sort((a, b) => b.into - a.into)[0];
  if (!last) return [{ at, ms }];
  return [
    { at, ms: last.into + last.byMs },
    { at: at + last.into, ms: ms - last.into },
  ];
}

interface ClockChange {
  /** From this wall time on each is shown once. */
  readonly after: WallTime;
  readonly byMs: number;
}

/** Each time of the week once. */
export function clockChanges(timezone: string, now: EpochMs): ClockChange[] {
  const found = new Map<number, ClockChange>();
  for (let from = now; from < now + CHANGES_MS; from += WEEK_MS) {
    const at = offsetChange(timezone, from, from + WEEK_MS);
    if (at === undefined) continue;
    const [before, then] = [zoneOffsetMs(timezone, at - 1000), zoneOffsetMs(timezone, at)];
    const after = at + Math.max(before, then);
    found.set(mod(after, WEEK_MS), { after, byMs: Math.abs(then - before) });
  }
  return [...found.values()];
}

type Rule = Omit<ShiftRecurrence, "byDay" | "until" | "weekStart">;

function ruleOf(ms: number, hasWindows: boolean): Rule | null {
  const rule = ({ frequency, unit }: { frequency: Rule["frequency"]; unit: number }): Rule | null =>
    ms / unit > 1000 ? null : { frequency, interval: ms / unit };
  if (ms % WEEK_MS === 0) return rule({ frequency: "weekly", unit: WEEK_MS });
  if (ms % DAY_MS === 0) return rule({ frequency: "daily", unit: DAY_MS });
  return hasWindows ? null : rule({ frequency: "hourly", unit: HOUR_MS });
}

interface GroupParts {
  readonly rotation: OldRotation;
  readonly start: WallTime;
  readonly cycleMs: number;
  readonly turns: readonly (readonly string[])[];
  readonly rule: Rule;
  readonly form: WindowForm;
}

/** A shift that repeats, and single ones where the rotation begins or ends inside of a piece. */
function groupShifts(group: readonly Piece[], parts: GroupParts): FileShift[] {
  const { rotation, start, cycleMs, turns, rule, form } = parts;
  const { level = 0, name } = rotation;
  const from = wallOf(Math.max(rotation.from ?? rotation.handover, rotation.handover), form.timezone);
  const end = rotation.until === undefined ? Number.POSITIVE_INFINITY : wallOf(rotation.until, form.timezone);
  const ms = group[0]?.ms ?? 0;
  const firsts = group.map(({ at }) => ({ at, n: Math.max(0, Math.ceil((from - start - at) / cycleMs)) }));
  const walls = firsts.map(({ at, n }) => ({ n, wall: start + at + n * cycleMs }));
  const { n, wall } = walls.reduce((a, b) => (b.wall < a.wall ? b : a));
  const shifts: FileShift[] = [];
  if (wall + ms <= end)
    shifts.push({
      ...{ name, level, start: localText(wall), durationMs: ms, startTurn: n % turns.length, turns },
      recurrence: {
        ...rule,
        ...(rule.frequency === "weekly" && weekly(group, start, ms === cycleMs || rule.interval > 1)),
        ...(end !== Number.POSITIVE_INFINITY && { until: instantOf(end - ms, form.timezone) }),
      },
    });
  for (const { at } of group) {
    const parts = new Map<number, readonly [WallTime, WallTime]>();
    for (const edge of [from, end])
      if (edge !== Number.POSITIVE_INFINITY) {
        const n = Math.ceil((edge - start - at) / cycleMs) - 1;
        const begin = start + at + n * cycleMs;
        const [first, last] = [Math.max(begin, from), Math.min(begin + ms, end)];
        if (n >= 0 && first < last && (begin < from || begin + ms > end)) parts.set(n, [first, last]);
      }
    for (const [n, [first, last]] of parts) {
      const single = singleShift(first, last, form);
      if (single) shifts.push({ ...single, name, level, turns: [turns[n % turns.length] ?? []] });
    }
  }
  return shifts;
}

function weekly(group: readonly Piece[], start: WallTime, isWhole: boolean) {
  const weekStart = weekdayOf(start);
  const days = new Set(group.map(({ at }) => weekdayOf(start + at)));
  return isWhole ? { weekStart } : { weekStart, byDay: WEEKDAYS.filter((day) => days.has(day)) };
}

/** In UTC, where a time is never ambiguous; null: it is over, or too short. */
export function singleShift(first: WallTime, last: WallTime, { timezone, now }: Omit<WindowForm, "isCut">) {
  const [begin, end] = [instantOf(first, timezone), instantOf(last, timezone)];
  if (end <= now || end - begin < MINUTE_MS) return null;
  return { start: localText(begin), durationMs: end - begin, timezone: "UTC", recurrence: null };
}

/** Items of a time interval as Alertmanager spells them. */
export function intervalsOf(windows: readonly ClockWindow[], location: string): object[] {
  const byTimes = new Map<string, { times: object[]; days: Set<number> }>();
  const add = (day: number, from: number, to: number) => {
    const times = [{ start_time: clockText(from), end_time: clockText(to) }];
    const key = JSON.stringify(times);
    const found = byTimes.get(key) ?? { times, days: new Set<number>() };
    found.days.add(day % 7);
    byTimes.set(key, found);
  };
  for (const { day, startMs, durationMs } of windows)
    for (const first of day === null ? [0, 1, 2, 3, 4, 5, 6] : [day]) {
      const end = startMs + durationMs;
      for (let from = startMs, n = 0; from < end; n++) {
        const to = Math.min(end, (n + 1) * DAY_MS);
        if (to > from) add(first + n, from - n * DAY_MS, to - n * DAY_MS);
        from = Math.max(from, to);
      }
    }
  return [...byTimes.values()].map(({ times, days }) => ({
    ...(days.size < 7 && { weekdays: [...days].sort((a, b) => a - b).map((day) => NAMES[day]) }),
    ...{ times, location },
  }));
}

const NAMES = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/** Whether windows contain an instant; none contain all. */
export function isInWindows(windows: readonly ClockWindow[], timezone: string, at: EpochMs): boolean {
  const wall = wallOf(at, timezone);
  return (
    windows.length === 0 ||
    windows.some(({ day, startMs, durationMs }) => {
      const cycle = day === null ? DAY_MS : WEEK_MS;
      return mod(wall - MONDAY - (day ?? 0) * DAY_MS - startMs, cycle) < durationMs;
    })
  );
}

function clockText(ms: number): string {
  const minutes = Math.floor(ms / MINUTE_MS);
  return `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`;
}

function weekdayOf(wall: WallTime): (typeof WEEKDAYS)[number] {
  return WEEKDAYS[new Date(wall).getUTCDay()] ?? "MO";
}

/** A zone of the old system; UTC in place of one that is not known here. */
export function zoneOf(name: string | null | undefined): string {
  return isTimezone(name ?? "") ? (name ?? "") : "UTC";
}

export function wallOf(at: EpochMs, timezone: string): WallTime {
  return at + zoneOffsetMs(timezone, at);
}

export function localText(wall: WallTime): string {
  return new Date(wall).toISOString().slice(0, 19);
}

function dayOf(wall: WallTime): WallTime {
  return Math.floor(wall / DAY_MS) * DAY_MS;
}

function mod(value: number, by: number): number {
  return ((value % by) + by) % by;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function lcm(a: number, b: number): number {
  return (a / gcd(a, b)) * b;
}
