import { DAY_MS, type EpochMs, offsetChange, toRfc3339, zoneOffsetMs } from "../../core/time/clock.ts";
import { finalShifts, type Layer, OVERRIDE_LEVEL, type Roster, type Span } from "../../features/oncall/model/layers.ts";
import { occurrences, type ShiftRecurrence } from "../../features/oncall/model/recurrence.ts";
import { durationText } from "../../http/api/file-form.ts";
import type { ScheduleDifference } from "./report.ts";

/* Whether a schedule of a file has the same people on call as the old system's own rendering of it. */

/** A shift of a configuration file; people by their names. */
export interface FileShift {
  readonly name: string;
  readonly level?: number;
  /** By the clocks of `timezone`, without an offset: `2026-11-23T09:00:00`. */
  readonly start: string;
  readonly durationMs: number;
  /** Default: that of the schedule. */
  readonly timezone?: string;
  readonly recurrence?: ShiftRecurrence | null;
  readonly turns: readonly (readonly string[])[];
  readonly startTurn?: number;
}

export interface FileSchedule {
  readonly name: string;
  readonly timezone: string;
  readonly shifts: readonly FileShift[];
}

/** An override of a runtime file: these people are on call; `replaces`: in place of one person only. */
export interface FileOverride extends Span {
  readonly replaces?: string;
  /** Someone took this time of the one who is replaced. */
  readonly isSwap?: true;
}

/** The old system's rendering: spans may overlap, and all people of an instant count. */
export type OldRendering = readonly Span[];

export interface ScheduleComparison {
  readonly boundaries: number;
  readonly differences: readonly ScheduleDifference[];
}

/** The roster that a schedule and its overrides are stored as. */
export function rosterOfFile(schedule: FileSchedule, overrides: readonly FileOverride[] = []): Roster {
  const layers = schedule.shifts.map((shift): Layer => layerOf(shift, schedule.timezone));
  const substitutions = overrides.flatMap(({ start, end, users, replaces }, i) =>
    replaces === undefined ? [] : [{ id: `swap-${i}`, start, end, user: replaces, by: users }],
  );
  const whole = overrides.filter(({ replaces }) => replaces === undefined);
  const spansIn = (from: EpochMs, to: EpochMs) => whole.filter(({ start, end }) => start < to && end > from);
  return { layers: [...layers, { id: "overrides", level: OVERRIDE_LEVEL, spans: spansIn }], substitutions };
}

function layerOf(
  { name, level = 0, start, durationMs, timezone, recurrence = null, turns, startTurn = 0 }: FileShift,
  zone: string,
): Layer {
  const times = { start: Date.parse(`${start}Z`), durationMs, timezone: timezone ?? zone, recurrence };
  return {
    id: name,
    level,
    spans: (from, to) =>
      [...occurrences(times, from, to)].map(({ start: begin, end, period }) => ({
        start: begin,
        end,
        users: turns[(startTurn + period) % turns.length] ?? [],
      })),
  };
}

/**
 * Compares at each start and end of either side in `[from, to)`: nobody changes between two of them.
 */
export function compareSchedule(
  old: OldRendering,
  roster: Roster,
  { from, to, timezone }: { readonly from: EpochMs; readonly to: EpochMs; readonly timezone: string },
): ScheduleComparison {
  const before = old.filter(({ start, end, users }) => start < to && end > from && end > start && users.length > 0);
  const after = finalShifts(roster, from, to);
  const edges = [from, to, ...[...before, ...after].flatMap(({ start, end }) => [start, end])];
  const boundaries = [...new Set(edges)].filter((at) => at >= from && at <= to).sort((a, b) => a - b);
  const [oldAt, newAt] = [peopleAt(before), peopleAt(after)];
  const found: (Span & { readonly now: readonly string[] })[] = [];
  for (const [i, start] of boundaries.slice(0, -1).entries()) {
    const end = boundaries[i + 1] ?? to;
    const [users, now] = [oldAt(start), newAt(start)];
    if (isSame(users, now)) continue;
    const last = found.at(-1);
    if (last && last.end === start && isSame(last.users, users) && isSame(last.now, now))
      found[found.length - 1] = { ...last, end };
    else found.push({ start, end, users, now });
  }
  const causeOf = causes(timezone, roster);
  const differences = found.map((each) => ({
    start: toRfc3339(each.start),
    end: toRfc3339(each.end),
    old: each.users,
    prism: each.now,
    cause: causeOf(each),
  }));
  return { boundaries: boundaries.length - 1, differences };
}

/** People at an instant, by name; instants must come in order. */
function peopleAt(spans: readonly Span[]): (at: EpochMs) => readonly string[] {
  const waiting = [...spans].sort((a, b) => a.start - b.start);
  let next = 0;
  let active: Span[] = [];
  return (at) => {
    for (let span = waiting[next]; span && span.start <= at; span = waiting[++next]) active.push(span);
    active = active.filter(({ end }) => end > at);
    return [...new Set(active.flatMap(({ users }) => users))].sort();
  };
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((each, i) => each === b[i]);
}

/** Words for what a difference most likely is. */
function causes(timezone: string, { layers, substitutions }: Roster) {
  const overrides = layers.find(({ level }) => level === OVERRIDE_LEVEL);
  return ({ start, end, users, now }: Span & { readonly now: readonly string[] }): string => {
    const isOverridden =
      substitutions.some((each) => each.start < end && each.end > start) ||
      [...(overrides?.spans(start, end) ?? [])].length > 0;
    if (isOverridden) return "an override";
    if (isShift(timezone, start, end)) return "a change of the clocks";
    if (end - start < DAY_MS) return `the edge of a restriction or shift, ${durationText(end - start)}`;
    if (users.length === 0) return "nobody in the old system";
    return now.length === 0 ? "nobody in Prism" : "other people";
  };
}

/** As long as the clocks move, in a zone that moves them within half a year. */
function isShift(timezone: string, start: EpochMs, end: EpochMs): boolean {
  for (let day = start - 183 * DAY_MS; day < end + 183 * DAY_MS; day += DAY_MS) {
    const at = offsetChange(timezone, day, day + DAY_MS);
    if (at === undefined) continue;
    return Math.abs(zoneOffsetMs(timezone, at) - zoneOffsetMs(timezone, at - 1000)) === end - start;
  }
  return false;
}

/** A way in which a schedule can be written. */
export interface ScheduleForm {
  /** For the report, such as `in UTC`. */
  readonly form: string;
  readonly schedule: FileSchedule;
}

/** A form, as it compares with the old system. */
export type ComparedForm<F extends ScheduleForm> = F &
  ScheduleComparison & { readonly overrides: readonly FileOverride[] };

/**
 * The first form without a difference, else the one with the least time of differences.
 * @param overridesOf a form, as what is replaced may depend on it
 */
export function bestForm<F extends ScheduleForm>(
  old: OldRendering,
  forms: Iterable<F>,
  overridesOf: (form: F) => readonly FileOverride[],
  span: { readonly from: EpochMs; readonly to: EpochMs },
): ComparedForm<F> | null {
  let best: ComparedForm<F> | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const form of forms) {
    const overrides = overridesOf(form);
    const { timezone } = form.schedule;
    const compared = compareSchedule(old, rosterOfFile(form.schedule, overrides), { ...span, timezone });
    const lost = compared.differences.reduce((sum, { start, end }) => sum + Date.parse(end) - Date.parse(start), 0);
    if (lost < least) [best, least] = [{ ...form, ...compared, overrides }, lost];
    if (lost === 0) break;
  }
  return best;
}

/** A schedule as a member of `oncall` of a project. */
export function scheduleDocument({ name, timezone, shifts }: FileSchedule): object {
  return { name, timezone, shifts: shifts.map(shiftDocument) };
}

function shiftDocument({
  name,
  level = 0,
  start,
  durationMs,
  timezone,
  recurrence,
  turns,
  startTurn = 0,
}: FileShift): object {
  return {
    name,
    ...(level > 0 && { level }),
    start,
    duration: durationText(durationMs),
    ...(timezone !== undefined && { timezone }),
    ...(recurrence && { recurrence: recurrenceDocument(recurrence) }),
    turns,
    ...(startTurn > 0 && { startTurn }),
  };
}

function recurrenceDocument({ until, interval, ...rule }: ShiftRecurrence): object {
  return { ...rule, ...(interval !== 1 && { interval }), ...(until !== undefined && { until: toRfc3339(until) }) };
}
