import type { EpochMs } from "../../../core/clock.ts";
import { zoneOffsetMs } from "../../../core/zone-offset.ts";
import { type Occurrence, readCron, ZonedCron } from "./cron.ts";
import { invalidCron } from "./cron-text.ts";

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
