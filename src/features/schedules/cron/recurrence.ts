import { CronPattern } from "croner";
import { DAY_MS, type EpochMs, offsetChange, zoneOffsetMs } from "../../../core/clock.ts";
import { type CronFields, nextWallTime } from "./cron-calendar.ts";
import { checkCronText, invalidCron } from "./cron-text.ts";

/**
 * What becomes of a pattern's times when clocks are set (contract 8.5). `once`: one hour, one minute, one second; in a gap it runs when the gap
 * ends, in an overlap the first time. `each`: some hours; in a gap it does not run, in an overlap in both passes. `interval`: every hour; it
 * runs by elapsed time.
 */
type DstRule = "once" | "each" | "interval";

/** A pattern that has been read. */
export interface Cron extends CronFields {
  readonly rule: DstRule;
}

/** What is special about a time: `moved` runs at the end of a gap, `skipped` does not run, `repeated` is the second pass of an overlap. */
export type DstMark = "moved" | "skipped" | "repeated";

/** A time that a pattern names. */
export interface Occurrence {
  /** When it runs; of one that is skipped when the gap ends in which it would have been. */
  readonly at: EpochMs;
  /** The wall clock at that time, as if it showed UTC; of one that is skipped the time that no clock shows. */
  readonly local: EpochMs;
  readonly dst: DstMark | null;
}

/** No zone is set by more than a day: a jump in the search stays so far before its goal. */
const MARGIN_MS = 1.5 * DAY_MS;

/** Leap days on a certain weekday come within this. */
const SOME_LEAP_CYCLE = Date.UTC(2000, 0, 1);

/** Patterns that are kept: to read one takes a tenth of a millisecond, and schedules that are due together often have the same. */
const MAX_KEPT = 500;
const kept = new Map<string, Cron>();

/** Reads a pattern of five or six fields, or a name such as `@daily`. @throws INVALID_CRON */
export function readCron(text: string): Cron {
  const known = kept.get(text);
  if (known) return known;
  const cron = fieldsOf(checkCronText(text));
  if (nextWallTime(cron, SOME_LEAP_CYCLE) === undefined) throw invalidCron("no day of the calendar fits it");
  if (kept.size >= MAX_KEPT) kept.clear();
  kept.set(text, cron);
  return cron;
}

function fieldsOf(text: string): Cron {
  const pattern = parsed(text);
  const hours = positions(pattern.hour);
  return {
    seconds: positions(pattern.second),
    minutes: positions(pattern.minute),
    hours,
    months: new Set(positions(pattern.month)),
    days: new Set(positions(pattern.day).map((index) => index + 1)),
    nearestWeekdays: positions(pattern.nearestWeekdays).map((index) => index + 1),
    lastDay: pattern.lastDayOfMonth,
    lastWeekday: pattern.lastWeekday,
    weekdays: [...pattern.dayOfWeek],
    anyDay: pattern.starDOM,
    anyWeekday: pattern.starDOW,
    needsBoth: pattern.useAndLogic,
    rule: pattern.isFixedTime ? "once" : hours.length === 24 ? "interval" : "each",
  };
}

function parsed(text: string): CronPattern {
  try {
    return new CronPattern(text, undefined, { mode: "5-or-6-parts" });
  } catch (error) {
    const message = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : String(error);
    throw invalidCron(message, { cause: error });
  }
}

function positions(flags: readonly number[]): number[] {
  return flags.flatMap((flag, index) => (flag ? [index] : []));
}

/** A pattern in a time zone: croner reads the pattern, the calendar finds its wall times, and this class says when each of them is. */
export class ZonedCron {
  readonly #cron: Cron;
  readonly #timezone: string;

  constructor(cron: Cron, timezone: string) {
    this.#cron = cron;
    this.#timezone = timezone;
  }

  /**
   * All times strictly after an instant, in the order of their instants. A gap or an overlap is looked for only near what the pattern names,
   * so a pattern that is due in years costs no more than one that is due in days.
   */
  *after(from: EpochMs): Generator<Occurrence, undefined> {
    const cron = this.#cron;
    const zone = this.#timezone;
    let offset = zoneOffsetMs(zone, from);
    /** The clock keeps this offset up to here, and is then set, if that is known. */
    let steadyUntil = from;
    let isSetThen = false;
    /** Wall times up to here have been dealt with. */
    let done = from + offset;
    let repeatedUntil = this.#overlapEnd(from);
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
        if (next > offset) yield* this.#inGap(change, offset, next, done);
        repeatedUntil = change + offset;
        // Wall times that the gap left out, or that the first pass has served, are dealt with.
        done = change + (cron.rule === "once" ? Math.max(offset, next) : next) - 1;
        offset = next;
        steadyUntil = change;
        isSetThen = false;
      } else {
        const change = offsetChange(zone, steadyUntil, steadyUntil + DAY_MS);
        isSetThen = change !== undefined;
        steadyUntil = change === undefined ? steadyUntil + DAY_MS : change - 1;
        if (!isSetThen && at - MARGIN_MS > steadyUntil) {
          // Between here and there the pattern names nothing, whatever the clocks do.
          steadyUntil = at - MARGIN_MS;
          offset = zoneOffsetMs(zone, steadyUntil);
          done = steadyUntil + offset;
          repeatedUntil = Number.NEGATIVE_INFINITY;
        }
      }
    }
  }

  /** What happens to the wall times that the clock leaves out when its offset grows. */
  *#inGap(change: EpochMs, before: number, behind: number, done: EpochMs): Generator<Occurrence, undefined> {
    const { rule } = this.#cron;
    if (rule === "interval") return;
    const end = change + behind;
    let wall = nextWallTime(this.#cron, Math.max(done, change + before - 1));
    if (rule === "once") {
      // A wall time at the very end of the gap runs then by itself.
      if (wall !== undefined && wall < end && nextWallTime(this.#cron, end - 1) !== end)
        yield { at: change, local: end, dst: "moved" };
      return;
    }
    for (; wall !== undefined && wall < end; wall = nextWallTime(this.#cron, wall))
      yield { at: change, local: wall, dst: "skipped" };
  }

  /** Where the wall times end that an instant sees for the second time; none if it does not. */
  #overlapEnd(at: EpochMs): EpochMs {
    const change = offsetChange(this.#timezone, at - DAY_MS, at);
    if (change === undefined) return Number.NEGATIVE_INFINITY;
    return change + zoneOffsetMs(this.#timezone, change - 1);
  }
}

/** When something recurs: by the wall clock of a zone, or by elapsed time from an instant on. */
export type RecurrenceRule =
  | { readonly cron: string; readonly timezone: string }
  | { readonly everyMs: number; readonly timezone: string; readonly from: EpochMs };

/**
 * A pattern all of whose times fall into the gaps of its zone runs never. Who looks for a run gives up behind so many, which is more than a
 * gap can hold.
 */
const MAX_SKIPPED = 10_000;

/** The times of a schedule. */
export class Recurrence {
  readonly #rule: RecurrenceRule;
  readonly #zoned: ZonedCron | null;

  /** @throws INVALID_CRON */
  constructor(rule: RecurrenceRule) {
    this.#rule = rule;
    this.#zoned = "cron" in rule ? new ZonedCron(readCron(rule.cron), rule.timezone) : null;
  }

  /** All times strictly after an instant, the skipped ones among them; there is no end to them, mostly. */
  after(from: EpochMs): Generator<Occurrence, undefined> {
    return this.#zoned ? this.#zoned.after(from) : this.#intervals(from);
  }

  /** The next time strictly after an instant, also one that is skipped: then somebody is to be told. */
  next(from: EpochMs): EpochMs | null {
    return this.after(from).next().value?.at ?? null;
  }

  /** The next time strictly after an instant that something runs. */
  nextRun(from: EpochMs): EpochMs | null {
    let skipped = 0;
    for (const { at, dst } of this.after(from)) {
      if (dst !== "skipped") return at;
      if (++skipped === MAX_SKIPPED) return null;
    }
    return null;
  }

  /** The next times, as people are shown them. */
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

/** The times of a pattern that somebody asks for. @throws INVALID_CRON, also for one that never runs in this zone */
export function recurrenceOf(rule: RecurrenceRule, now: EpochMs): Recurrence {
  const recurrence = new Recurrence(rule);
  if (recurrence.nextRun(now) === null) throw invalidCron(`in ${rule.timezone} none of its times ever comes`);
  return recurrence;
}
