import { Cron as Croner, CronPattern } from "croner";
import { DAY_MS, type EpochMs, offsetChange, zoneOffsetMs } from "../../../../core/time/clock.ts";
import { checkCronText, invalidCron } from "./cron-text.ts";

/**
 * Handling of clock changes (docs/schedules.md). `once`: one hour, minute and second; in a gap it
 * runs when the gap ends, in an overlap the first time. `each`: several hours; in a gap it does not
 * run, in an overlap it runs twice. `interval`: every hour; it runs by elapsed time.
 */
type DstRule = "once" | "each" | "interval";

/** A pattern of croner's, on a calendar without time zones, and what it found last. */
interface Part {
  readonly croner: Croner;
  after: EpochMs;
  next: EpochMs | null;
}

/** A parsed pattern. */
interface Cron {
  /** The times of all together are those of the pattern. */
  readonly parts: readonly Part[];
  readonly rule: DstRule;
}

/**
 * Marks of a time: `moved` runs at the end of a gap, `skipped` does not run, `repeated` is the
 * second pass of an overlap.
 */
export type DstMark = "moved" | "skipped" | "repeated";

/** One time of a pattern. */
export interface Occurrence {
  /** Time of the run; for a skipped one the end of the gap. */
  readonly at: EpochMs;
  /** Wall clock time, as if it showed UTC; for a skipped one the time that no clock shows. */
  readonly local: EpochMs;
  readonly dst: DstMark | null;
}

/** No zone changes by more than a day: a jump in the search stops this far before its goal. */
const MARGIN_MS = 1.5 * DAY_MS;

/** As an offset: a zone by its name costs five times as much. */
const UTC = { utcOffset: 0, mode: "5-or-6-parts" } as const;
const FEBRUARY = 1;

/** Contains leap days on each weekday. */
const SOME_LEAP_CYCLE = Date.UTC(2000, 0, 1);

/** Limit of cached patterns: parsing takes 0.1 ms, and schedules due together often share one. */
const MAX_KEPT = 500;
const kept = new Map<string, Cron>();

/** Parses a pattern of five or six fields, or a name such as `@daily`. @throws INVALID_CRON */
export function readCron(text: string): Cron {
  const known = kept.get(text);
  if (known) return known;
  const cron = cronOf(checkCronText(text));
  if (nextWallTime(cron, SOME_LEAP_CYCLE) === undefined) throw invalidCron("no day of the calendar fits it");
  if (kept.size >= MAX_KEPT) kept.clear();
  kept.set(text, cron);
  return cron;
}

function cronOf(text: string): Cron {
  const whole = parsed(text);
  const { hour, isFixedTime, starDOM, starDOW } = whole;
  const rule = isFixedTime ? "once" : hour.every(Boolean) ? "interval" : "each";
  const texts = starDOM && starDOW ? [text] : monthsApart(text, whole.month);
  const parts = texts.map((each) => ({ croner: new Croner(each, UTC), after: 0, next: 0 }));
  return { parts, rule };
}

function parsed(text: string): CronPattern {
  try {
    return new CronPattern(text, undefined, UTC);
  } catch (error) {
    const message = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : String(error);
    throw invalidCron(message, { cause: error });
  }
}

/**
 * The pattern for February and for the other months. Croner takes a day that February does not have
 * for one of the first days of March, and goes on behind it: `0 9 30,1 * *` would leave out 1 March.
 * Apart, no walk leads from February to March; one day too many, as in April, is the 1st of the next.
 */
function monthsApart(text: string, months: readonly number[]): string[] {
  const fields = text.split(" ");
  const others = months.flatMap((isIn, month) => (isIn && month !== FEBRUARY ? [month + 1] : []));
  if (fields.length === 1 || !months[FEBRUARY] || others.length === 0) return [text];
  return [[FEBRUARY + 1], others].map((each) => fields.with(-2, each.join()).join(" "));
}

/**
 * The next wall clock time of a pattern, strictly after another. Such times are written as if the
 * clock showed UTC.
 * @returns undefined if there is none.
 */
export function nextWallTime({ parts }: Cron, after: EpochMs): EpochMs | undefined {
  let first: EpochMs | undefined;
  for (const part of parts) {
    const at = nextOf(part, after);
    if (at !== null && !(first !== undefined && first <= at)) first = at;
  }
  return first;
}

/** Searches only where the last search does not tell: the other part's times lie before this one's next. */
function nextOf(part: Part, after: EpochMs): EpochMs | null {
  const isKnown = part.after <= after && (part.next === null || after < part.next);
  if (!isKnown) {
    part.after = after;
    part.next = part.croner.nextRun(new Date(after))?.getTime() ?? null;
  }
  return part.next;
}

/**
 * All times of a pattern in a time zone strictly after an instant, ascending: croner finds its wall times,
 * and this maps them to instants. Gaps and overlaps are searched only near times of the pattern, so
 * a pattern that is due in years costs no more than one due in days.
 */
export function* cronTimes(cron: Cron, zone: string, from: EpochMs): Generator<Occurrence, undefined> {
  let offset = zoneOffsetMs(zone, from);
  /** The offset is constant up to here; then it changes, if that is known. */
  let steadyUntil = from;
  let isSetThen = false;
  /** Wall times up to here are done. */
  let done = from + offset;
  let repeatedUntil = overlapEnd(zone, from);
  if (cron.rule === "once") done = Math.max(done, repeatedUntil - 1);
  for (;;) {
    const wall = nextWallTime(cron, done);
    if (wall === undefined) return;
    const at = wall - offset;
    if (at <= steadyUntil) {
      yield { at, local: wall, dst: wall < repeatedUntil ? "repeated" : null };
      done = wall;
    } else if (isSetThen) {
      const change = steadyUntil + 1;
      const next = zoneOffsetMs(zone, change);
      if (next > offset) yield* timesInGap(cron, change, offset, next, done);
      repeatedUntil = change + offset;
      // Wall times in the gap, or served by the first pass, are done.
      done = change + (cron.rule === "once" ? Math.max(offset, next) : next) - 1;
      offset = next;
      steadyUntil = change;
      isSetThen = false;
    } else {
      const change = offsetChange(zone, steadyUntil, steadyUntil + DAY_MS);
      isSetThen = change !== undefined;
      steadyUntil = change === undefined ? steadyUntil + DAY_MS : change - 1;
      if (!isSetThen && at - MARGIN_MS > steadyUntil) {
        // The pattern has no time in between, whatever the clocks do.
        steadyUntil = at - MARGIN_MS;
        offset = zoneOffsetMs(zone, steadyUntil);
        done = steadyUntil + offset;
        repeatedUntil = Number.NEGATIVE_INFINITY;
      }
    }
  }
}

/** The wall times skipped by a gap. */
function* timesInGap(
  cron: Cron,
  change: EpochMs,
  before: number,
  behind: number,
  done: EpochMs,
): Generator<Occurrence, undefined> {
  const { rule } = cron;
  if (rule === "interval") return;
  const end = change + behind;
  let wall = nextWallTime(cron, Math.max(done, change + before - 1));
  if (rule === "once") {
    // A wall time exactly at the end of the gap runs by itself.
    if (wall !== undefined && wall < end && nextWallTime(cron, end - 1) !== end)
      yield { at: change, local: end, dst: "moved" };
    return;
  }
  for (; wall !== undefined && wall < end; wall = nextWallTime(cron, wall))
    yield { at: change, local: wall, dst: "skipped" };
}

/** End of the wall times that an instant sees for the second time; none otherwise. */
function overlapEnd(zone: string, at: EpochMs): EpochMs {
  const change = offsetChange(zone, at - DAY_MS, at);
  if (change === undefined) return Number.NEGATIVE_INFINITY;
  return change + zoneOffsetMs(zone, change - 1);
}

/** Recurrence by the wall clock of a zone, or by elapsed time from an instant. */
type RecurrenceRule =
  | { readonly cron: string; readonly timezone: string }
  | { readonly everyMs: number; readonly timezone: string; readonly from: EpochMs };

/** Limit of the search: a pattern with all its times in gaps never runs. */
const MAX_SKIPPED = 10_000;

export class Recurrence {
  readonly #rule: RecurrenceRule;
  readonly #cron: Cron | null;

  /** @throws INVALID_CRON */
  constructor(rule: RecurrenceRule) {
    this.#rule = rule;
    this.#cron = "cron" in rule ? readCron(rule.cron) : null;
  }

  /** All times strictly after an instant, including skipped ones; usually endless. */
  after(from: EpochMs): Generator<Occurrence, undefined> {
    return this.#cron ? cronTimes(this.#cron, this.#rule.timezone, from) : this.#intervals(from);
  }

  /** The next time strictly after an instant, including a skipped one, which is reported. */
  next(from: EpochMs): EpochMs | null {
    return this.after(from).next().value?.at ?? null;
  }

  /** The next run strictly after an instant. */
  nextRun(from: EpochMs): EpochMs | null {
    let skipped = 0;
    for (const { at, dst } of this.after(from)) {
      if (dst !== "skipped") return at;
      if (++skipped === MAX_SKIPPED) return null;
    }
    return null;
  }

  /** The next times, for display. */
  preview(from: EpochMs, count: number): Occurrence[] {
    const times: Occurrence[] = [];
    for (const occurrence of this.after(from)) {
      if (times.length === count) break;
      times.push(occurrence);
    }
    return times;
  }

  *#intervals(from: EpochMs): Generator<Occurrence, undefined> {
    if (!("everyMs" in this.#rule)) return;
    const { everyMs, timezone, from: anchor } = this.#rule;
    let at = anchor + Math.max(0, Math.floor((from - anchor) / everyMs) + 1) * everyMs;
    for (; Number.isSafeInteger(at); at += everyMs) yield { at, local: at + zoneOffsetMs(timezone, at), dst: null };
  }
}

/** The times of a requested pattern. @throws INVALID_CRON, also if it never runs in this zone */
export function recurrenceOf(rule: RecurrenceRule, now: EpochMs): Recurrence {
  const recurrence = new Recurrence(rule);
  if (recurrence.nextRun(now) === null) throw invalidCron(`in ${rule.timezone} none of its times ever comes`);
  return recurrence;
}
