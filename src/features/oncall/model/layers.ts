import { DAY_MS, type EpochMs } from "../../../core/time/clock.ts";

/** Overrides are above the levels 0 to 9 of shifts. */
export const OVERRIDE_LEVEL = 10;

/** A span of time with the users that a layer puts on call. */
export interface Span {
  readonly start: EpochMs;
  readonly end: EpochMs;
  readonly users: readonly string[];
}

/** One shift, or one event of an imported calendar. */
export interface Layer {
  /** Id of the shift. */
  readonly id: string;
  /** A higher level wins; it leaves what it does not fill to the lower ones. */
  readonly level: number;
  /** The spans that overlap `[from, to)`. */
  spans(from: EpochMs, to: EpochMs): Iterable<Span>;
}

/** A taken swap, or an override of one user: in that span others are on call for the user. */
export interface Substitution {
  readonly id: string;
  readonly start: EpochMs;
  readonly end: EpochMs;
  readonly user: string;
  readonly by: readonly string[];
}

/** Everything that decides who is on call. Substitutions apply in their order. */
export interface Roster {
  readonly layers: readonly Layer[];
  readonly substitutions: readonly Substitution[];
}

/** A span without a change of those on call. Users are sorted. */
export interface FinalShift extends Span {
  readonly level: number;
  /** The shifts, overrides and swaps that name these users. */
  readonly shiftIds: readonly string[];
}

/** Whether a user may be on call; those who may not leave their time to others. */
export type Counts = (userId: string) => boolean;

const everyUser: Counts = () => true;

/** Who is on call in `[from, to)`, in order; times without anyone are left out. */
export function finalShifts(roster: Roster, from: EpochMs, to: EpochMs, counts = everyUser): FinalShift[] {
  const shifts: FinalShift[] = [];
  for (const { start, end, active, substitutions } of segments(roster, from, to)) {
    const onCall = topOf(active, substitutions, counts);
    if (!onCall) continue;
    const last = shifts.at(-1);
    if (last && last.end === start && isSame(last, onCall)) shifts[shifts.length - 1] = { ...last, end };
    else shifts.push({ start, end, ...onCall });
  }
  return shifts;
}

/** When those whom a schedule names leave their time to others, or to no one, as they do not count. */
export function passedOver(roster: Roster, from: EpochMs, to: EpochMs, counts: Counts): FinalShift[] {
  const named = finalShifts(roster, from, to);
  return named.map((shift) => ({ ...shift, users: shift.users.filter((id) => !counts(id)) })).filter(hasUsers);
}

function hasUsers({ users }: FinalShift): boolean {
  return users.length > 0;
}

/** Final shifts joined where the same users go on, whichever shifts name them. */
export function stints(shifts: readonly FinalShift[]): FinalShift[] {
  const joined: { end: EpochMs; readonly first: FinalShift; readonly ids: Set<string> }[] = [];
  for (const shift of shifts) {
    const last = joined.at(-1);
    if (last && last.end === shift.start && isEqual(last.first.users, shift.users)) {
      last.end = shift.end;
      for (const id of shift.shiftIds) last.ids.add(id);
    } else joined.push({ end: shift.end, first: shift, ids: new Set(shift.shiftIds) });
  }
  return joined.map(({ end, first, ids }) => ({ ...first, end, shiftIds: [...ids] }));
}

/** The spans in which a user is on call, alone or with others. */
export function dutiesOf(shifts: readonly FinalShift[], userId: string): CoverageGap[] {
  const own = shifts.filter(({ users }) => users.includes(userId)).map((shift) => ({ ...shift, users: [userId] }));
  return stints(own).map(({ start, end }) => ({ start, end }));
}

export interface OnCall {
  /** From `at` on; null: a gap. `end` is null when no change is found within a year. */
  readonly current: (Omit<FinalShift, "end"> & { readonly end: EpochMs | null }) | null;
  /** The next stint of other users, or of the same ones after a gap. */
  readonly next: FinalShift | null;
}

/** Searched step by step, because most schedules change within a week. */
const HORIZONS_DAYS = [2, 15, 92, 400];

/** Who is on call at an instant, until when, and who is next. */
export function nextOnCall(roster: Roster, at: EpochMs, counts = everyUser): OnCall {
  let found: OnCall = { current: null, next: null };
  for (const days of HORIZONS_DAYS) {
    const to = at + days * DAY_MS;
    const joined = stints(finalShifts(roster, at, to, counts));
    const [first] = joined;
    const current = first?.start === at ? first : null;
    const next = (current ? joined[1] : first) ?? null;
    found = { current: current && { ...current, end: current.end === to ? null : current.end }, next };
    // The end of the next one must be known, too.
    if (next && next.end < to) return found;
  }
  return found;
}

export interface CoverageGap {
  readonly start: EpochMs;
  readonly end: EpochMs;
}

/** The times in `[from, to)` without anyone on call. */
export function gapsOf(roster: Roster, from: EpochMs, to: EpochMs, counts = everyUser): CoverageGap[] {
  const gaps: CoverageGap[] = [];
  let covered = from;
  for (const { start, end } of finalShifts(roster, from, to, counts)) {
    if (start > covered) gaps.push({ start: covered, end: start });
    covered = end;
  }
  if (covered < to) gaps.push({ start: covered, end: to });
  return gaps;
}

interface LayerSpan extends Span {
  /** The same for spans of a layer with the same users. */
  readonly key: string;
  readonly id: string;
  readonly level: number;
}

interface Segment {
  readonly start: EpochMs;
  readonly end: EpochMs;
  /** By level: one span of each key. */
  readonly active: readonly ReadonlyMap<string, LayerSpan>[];
  readonly substitutions: readonly Substitution[];
}

/**
 * Cuts `[from, to)` at every start and end of a span. Of overlapping spans of a layer with the same users one counts: a
 * rotation has at most one for each turn.
 */
function* segments(roster: Roster, from: EpochMs, to: EpochMs): Generator<Segment, undefined> {
  const spans = roster.layers.flatMap(({ id, level, spans: of }, at) =>
    Array.from(of(from, to), (span): LayerSpan => ({ ...span, id, level, key: `${at} ${span.users.join(" ")}` })),
  );
  const isInside = ({ start, end }: { start: EpochMs; end: EpochMs }): boolean => start < to && end > from;
  const substitutions = roster.substitutions.filter(isInside);
  const borders = new Set([from, to]);
  for (const { start, end } of [...spans, ...substitutions]) borders.add(Math.max(start, from)).add(Math.min(end, to));
  const waiting = spans.filter(isInside).sort((a, b) => b.start - a.start);
  const ending = [...waiting].sort((a, b) => b.end - a.end);
  const active = Array.from({ length: OVERRIDE_LEVEL + 1 }, () => new Map<string, LayerSpan>());
  const counts = new Map<string, number>();
  const sorted = [...borders].sort((a, b) => a - b);
  for (const [index, start] of sorted.entries()) {
    const end = sorted[index + 1];
    if (end === undefined) return;
    for (let next = waiting.at(-1); next && next.start <= start; next = waiting.at(-1)) {
      waiting.pop();
      active[next.level]?.set(next.key, next);
      counts.set(next.key, (counts.get(next.key) ?? 0) + 1);
    }
    for (let next = ending.at(-1); next && next.end <= start; next = ending.at(-1)) {
      ending.pop();
      const left = (counts.get(next.key) ?? 0) - 1;
      counts.set(next.key, left);
      if (left === 0) active[next.level]?.delete(next.key);
    }
    yield {
      start,
      end,
      active,
      substitutions: substitutions.filter((each) => each.start <= start && each.end > start),
    };
  }
}

/** Shifts of a level at a time; further ones do not count. */
const MAX_AT_A_TIME = 100;

/** The users of the highest level that has any. */
function topOf(active: Segment["active"], substitutions: readonly Substitution[], counts: Counts) {
  for (let level = OVERRIDE_LEVEL; level >= 0; level--) {
    const users = new Set<string>();
    const ids = new Set<string>();
    let left = MAX_AT_A_TIME;
    for (const span of active[level]?.values() ?? []) {
      const present = presentUsers(span, substitutions, counts);
      if (present.users.length === 0) continue;
      for (const user of present.users) users.add(user);
      for (const id of present.ids) ids.add(id);
      if (--left === 0) break;
    }
    if (users.size > 0) return { level, users: [...users].sort(), shiftIds: [...ids].sort() };
  }
  return null;
}

function presentUsers({ id, users }: LayerSpan, substitutions: readonly Substitution[], counts: Counts) {
  let present = users;
  const ids = [id];
  for (const { id: substitution, user, by } of substitutions) {
    const takers = by.filter(counts);
    // Without a taker who counts, the user stays on call.
    if (!present.includes(user) || takers.length === 0) continue;
    present = present.flatMap((each) => (each === user ? takers : [each]));
    ids.push(substitution);
  }
  return { users: present.filter(counts), ids };
}

function isSame(left: Pick<FinalShift, "users" | "level" | "shiftIds">, right: typeof left): boolean {
  return left.level === right.level && isEqual(left.users, right.users) && isEqual(left.shiftIds, right.shiftIds);
}

function isEqual(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((each, index) => each === right[index]);
}
