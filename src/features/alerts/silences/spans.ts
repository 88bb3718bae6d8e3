import { invalidField, type PrismError } from "../../../core/errors.ts";
import { DAY_MS, type EpochMs, HOUR_MS, instantOf, zoneOffsetMs } from "../../../core/time/clock.ts";
import { Recurrence, recurrenceOf } from "../../time/schedules/index.ts";

/** A time in which a silence is active; the end is exclusive. */
export interface SilenceSpan {
  readonly startsAt: EpochMs;
  readonly endsAt: EpochMs;
}

/** Windows by the wall clock of a zone, with one of the two ends. */
export interface WindowRule {
  readonly cron: string;
  readonly timezone: string;
  /** A multiple of 24 hours means days of the calendar, as in on-call shifts; else elapsed time. */
  readonly durationMs?: number | undefined;
  /** When the clock shows this time next, such as `06:00`; `24:00` is midnight. */
  readonly until?: string | undefined;
}

/** With `recurrence`, `startsAt` and `endsAt` bound its windows; otherwise they are the only one. */
export interface SilenceTimes extends SilenceSpan {
  readonly recurrence: WindowRule | null;
}

export type SilenceState = "pending" | "active" | "expired";

/** `endsAt` of a recurring silence without an end: the last instant that RFC 3339 can write. */
export const NO_END = Date.UTC(9999, 11, 31, 23, 59, 59);

/** Windows that touch are one. Longer rows of them are refused when a rule is created. */
const MAX_ROW_MS = 31 * DAY_MS;
const MAX_ROW = 1000;
/** Clocks change by less. */
const SHIFT_MS = 3 * HOUR_MS;
const MAX_SKIPPED = 10_000;
/** Windows that are looked at when a rule is created. */
const CHECKED_WINDOWS = 60;

/** The current span, otherwise the next one; null after the last. */
export function spanAt(times: SilenceTimes, now: EpochMs): SilenceSpan | null {
  if (now >= times.endsAt) return null;
  if (times.recurrence === null) return times;
  const { recurrence, startsAt, endsAt } = times;
  const longestMs = (recurrence.durationMs ?? DAY_MS) + SHIFT_MS;
  // Looks further back until no earlier window can touch the first one.
  for (let backMs = 2 * longestMs; ; backMs *= 2) {
    const from = Math.max(startsAt - 1, now - backMs);
    const span = firstRow(recurrence, { from, now, endsAt });
    const isWhole = span === null || from < startsAt || span.startsAt > from + longestMs;
    if (isWhole || backMs > 2 * MAX_ROW_MS) return span;
  }
}

/** The first row of touching windows that has not ended at `now`, of those that start after `from`. */
function firstRow(
  rule: WindowRule,
  { from, now, endsAt }: { readonly from: EpochMs; readonly now: EpochMs; readonly endsAt: EpochMs },
): SilenceSpan | null {
  let row = null as SilenceSpan | null;
  let count = 0;
  for (const at of starts(rule, from)) {
    if (at >= endsAt) break;
    const touched = row !== null && at <= row.endsAt ? row : null;
    if (touched === null && row !== null && row.endsAt > now) return row;
    count = touched === null ? 1 : count + 1;
    if (count > MAX_ROW) return row;
    const end = Math.min(endOf(rule, at), endsAt);
    row = { startsAt: touched?.startsAt ?? at, endsAt: Math.max(touched?.endsAt ?? end, end) };
  }
  return row !== null && row.endsAt > now ? row : null;
}

/** The end of a window. A gap of the clock moves `until` as it moves starts. */
function endOf({ durationMs, until, timezone }: WindowRule, at: EpochMs): EpochMs {
  if (until === undefined && (durationMs ?? 0) % DAY_MS !== 0) return at + (durationMs ?? 0);
  const wall = at + zoneOffsetMs(timezone, at);
  if (until === undefined) return instantOf(wall + (durationMs ?? 0), timezone);
  const [hours = 0, minutes = 0] = until.split(":").map(Number);
  const midnight = Math.floor(wall / DAY_MS) * DAY_MS;
  const ends = [0, 1, 2].map((days) => instantOf(midnight + days * DAY_MS + (hours * 60 + minutes) * 60_000, timezone));
  return ends.find((end) => end > at) ?? at;
}

/** The spans that have not ended at `now`, ascending. */
export function* spansFrom(times: SilenceTimes, now: EpochMs): Generator<SilenceSpan, undefined> {
  for (let span = spanAt(times, now); span !== null; span = spanAt(times, span.endsAt)) {
    yield span;
    if (times.recurrence === null) return;
  }
}

/** Alertmanager's states. A silence that recurs is pending between its windows. */
export function stateAt(times: SilenceTimes, now: EpochMs): SilenceState {
  const span = spanAt(times, now);
  if (span === null) return "expired";
  return span.startsAt <= now ? "active" : "pending";
}

function* starts({ cron, timezone }: WindowRule, from: EpochMs): Generator<EpochMs, undefined> {
  let skipped = 0;
  for (const { at, dst } of new Recurrence({ cron, timezone }).after(from)) {
    if (dst !== "skipped") yield at;
    else if (++skipped === MAX_SKIPPED) return;
  }
}

/** @throws INVALID_CRON; VALIDATION_FAILED without one of the two ends, and for windows without a break */
export function requireWindows(rule: WindowRule, now: EpochMs): void {
  const { cron, timezone, durationMs, until } = rule;
  if ((durationMs === undefined) === (until === undefined))
    throw invalidField("silence", "recurrence.durationMs", "give either this or until");
  recurrenceOf({ cron, timezone }, now);
  let row = null as SilenceSpan | null;
  let breaks = 0;
  let count = 0;
  for (const at of starts(rule, now)) {
    const touched = row !== null && at <= row.endsAt ? row : null;
    if (touched === null && row !== null) breaks++;
    row = { startsAt: touched?.startsAt ?? at, endsAt: endOf(rule, at) };
    if (touched !== null && row.endsAt - row.startsAt > MAX_ROW_MS + SHIFT_MS) throw endless(rule);
    count++;
    if (breaks > 0 && count >= CHECKED_WINDOWS) return;
    if (count === MAX_ROW) throw endless(rule);
  }
}

function endless({ until }: WindowRule): PrismError {
  const message = "leaves no break between windows for a month; use a silence without recurrence, which starts once";
  return invalidField("silence", until === undefined ? "recurrence.durationMs" : "recurrence.until", message);
}

/** An instant that is reported as an event. `expiring`: some time before the end of a long span. */
export interface Border {
  readonly kind: "started" | "expiring" | "ended";
  readonly at: EpochMs;
  readonly span: SilenceSpan;
}

/** A span that is longer than `longerMs` is reported this long before its end. */
const WARNINGS = [
  { beforeMs: DAY_MS, longerMs: 2 * DAY_MS },
  { beforeMs: HOUR_MS, longerMs: 4 * HOUR_MS },
] as const;

/** The borders of a span, ascending. Windows of a recurring silence end as planned: no warning. */
function bordersOf(span: SilenceSpan, isRecurring: boolean): Border[] {
  const lengthMs = span.endsAt - span.startsAt;
  const warnings = isRecurring ? [] : WARNINGS.filter(({ longerMs }) => lengthMs > longerMs);
  return [
    { kind: "started", at: span.startsAt, span },
    ...warnings.map(({ beforeMs }) => ({ kind: "expiring", at: span.endsAt - beforeMs, span }) as const),
    { kind: "ended", at: span.endsAt, span },
  ];
}

/** When the first border after an instant is due; null for none. */
export function nextBorderAt(times: SilenceTimes, after: EpochMs): EpochMs | null {
  for (const span of spansFrom(times, after))
    for (const { at } of bordersOf(span, times.recurrence !== null)) if (at > after) return at;
  return null;
}

/**
 * The borders in `(after, now]`. After a down time only the first window, if it was active before,
 * and the last one are reported.
 */
export function bordersBetween(times: SilenceTimes, after: EpochMs, now: EpochMs): Border[] {
  const first: Border[] = [];
  let last: Border[] = [];
  let count = 0;
  for (const span of spansFrom(times, after)) {
    if (span.startsAt > now || ++count > MAX_SKIPPED) break;
    const passed = bordersOf(span, times.recurrence !== null).filter(({ at }) => at > after && at <= now);
    if (span.startsAt <= after) first.push(...passed);
    else last = passed;
  }
  return [...first, ...last];
}
