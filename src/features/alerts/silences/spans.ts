import { DAY_MS, type EpochMs, HOUR_MS } from "../../../core/clock.ts";
import { invalidField, type PrismError } from "../../../core/errors.ts";
import { Recurrence, recurrenceOf } from "../../time/schedules/index.ts";

/** A time in which a silence is active; the end is exclusive. */
export interface SilenceSpan {
  readonly startsAt: EpochMs;
  readonly endsAt: EpochMs;
}

/** Windows by the wall clock of a zone. Each lasts `durationMs` of elapsed time. */
export interface WindowRule {
  readonly cron: string;
  readonly durationMs: number;
  readonly timezone: string;
}

/** With `recurrence`, `startsAt` and `endsAt` bound its windows; otherwise they are the only one. */
export interface SilenceTimes extends SilenceSpan {
  readonly recurrence: WindowRule | null;
}

export type SilenceState = "pending" | "active" | "expired";

/** `endsAt` of a recurring silence without an end: the last instant that RFC 3339 can write. */
export const NO_END = Date.UTC(9999, 11, 31, 23, 59, 59);

/** Windows that touch are one; a rule of touching windows only is cut after this many. */
const MAX_MERGED = 100;
const MAX_SKIPPED = 10_000;
/** Windows that are compared with their duration when a rule is created. */
const CHECKED_WINDOWS = 60;

/** The current span, otherwise the next one; null after the last. */
export function spanAt(times: SilenceTimes, now: EpochMs): SilenceSpan | null {
  if (now >= times.endsAt) return null;
  if (times.recurrence === null) return times;
  const { recurrence, endsAt } = times;
  const from = Math.max(times.startsAt - 1, now - recurrence.durationMs);
  let first: EpochMs | null = null;
  let end = Number.POSITIVE_INFINITY;
  let merged = 0;
  for (const at of starts(recurrence, from)) {
    if (at >= endsAt || at > end || merged++ === MAX_MERGED) break;
    first ??= at;
    end = Math.min(at + recurrence.durationMs, endsAt);
  }
  return first === null ? null : { startsAt: first, endsAt: end };
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

/** @throws INVALID_CRON; VALIDATION_FAILED for windows that leave no time between them. */
export function requireWindows(rule: WindowRule, now: EpochMs): void {
  const { cron, timezone, durationMs } = rule;
  recurrenceOf({ cron, timezone }, now);
  let last: EpochMs | null = null;
  let count = 0;
  for (const at of starts(rule, now)) {
    if (last !== null && at > last && at - last <= durationMs) throw overlapping();
    last = at;
    if (++count === CHECKED_WINDOWS) return;
  }
}

function overlapping(): PrismError {
  const message = "is not shorter than the time between two windows; use a silence without recurrence";
  return invalidField("silence", "recurrence.durationMs", message);
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
