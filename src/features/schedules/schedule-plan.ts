import type { EpochMs } from "../../core/clock.ts";
import { type ScheduleRow, timesFrom } from "./schedule-definition.ts";

/** A run whose time passed longer ago than this has been missed (contract 8.4); until then it is late. */
export const LATE_MS = 30_000;

/** Jobs that one transaction makes for one schedule. */
const MAX_JOBS = 200;
/** Times that are looked at one by one; behind them nobody counts. */
const MAX_COUNTED = 1000;

/**
 * Why something did not run: its time passed while nobody could make it and the schedule makes up for nothing, or for no more; a job of the
 * schedule had not ended; the clock left its time out; too many jobs wait in the queue.
 */
export type SkipReason = "missed" | "catch-up" | "overlap" | "dst" | "overloaded";

/** Runs that did not happen, for one reason. */
export interface Skipped {
  readonly reason: SkipReason;
  /** Of the first of them. */
  readonly nominalAt: EpochMs;
  count: number;
}

/** What becomes of the times of a schedule that have come. */
export interface FiringPlan {
  /** Nominal times of the jobs to be made. */
  readonly runs: readonly EpochMs[];
  readonly skipped: readonly Skipped[];
  /** Not past, unless there is more to be done. */
  readonly nextRunAt: EpochMs | null;
  /** Missed runs that have been made up for, those of earlier plans of the same catching up included. */
  readonly caughtUp: number;
}

export interface Situation {
  readonly now: EpochMs;
  readonly maxCatchUp: number;
  /** Missed runs that a plan before has made up for, when this one goes on with its work. */
  readonly caughtUp: number;
  /** A job of the schedule has not ended. */
  readonly isBusy: boolean;
}

/** @throws INVALID_CRON, RangeError when what is stored cannot be read by this version */
export function planFiring(schedule: ScheduleRow & { readonly nextRunAt: EpochMs }, situation: Situation): FiringPlan {
  return new Planner(schedule, situation).plan();
}

class Planner {
  readonly #schedule: ScheduleRow & { readonly nextRunAt: EpochMs };
  readonly #situation: Situation;
  readonly #runs: EpochMs[] = [];
  readonly #skipped = new Map<string, Skipped>();
  #caughtUp: number;

  constructor(schedule: ScheduleRow & { readonly nextRunAt: EpochMs }, situation: Situation) {
    this.#schedule = schedule;
    this.#situation = situation;
    this.#caughtUp = situation.caughtUp;
  }

  plan(): FiringPlan {
    const { nextRunAt } = this.#schedule;
    const { now } = this.#situation;
    const times = timesFrom(this.#schedule, nextRunAt);
    let looked = 0;
    // The skipped are as many as the pattern has in a gap, or as have been missed.
    for (const { at, dst } of times.after(nextRunAt - 1)) {
      if (at > now) return this.#result(at);
      if (this.#runs.length === MAX_JOBS) return this.#result(at);
      if (++looked > MAX_COUNTED && at < now - LATE_MS)
        return this.#result(this.#canCatchUp() ? at : times.next(now - LATE_MS - 1));
      if (dst === "skipped") this.#skip("dst", at, at);
      else if (at < now - LATE_MS) this.#missed(at);
      else this.#due(at);
    }
    return this.#result(null);
  }

  #missed(at: EpochMs): void {
    const { missed } = this.#schedule;
    if (this.#canCatchUp()) {
      this.#caughtUp++;
      this.#runs.push(at);
    } else if (missed === "skip") this.#skip("missed", at);
    else if (this.#caughtUp === 0) this.#skip("overlap", at);
    // Else one run stands for all that were missed.
    else if (missed === "all") this.#skip("catch-up", at);
  }

  #due(at: EpochMs): void {
    const { overlap, missed } = this.#schedule;
    const { isBusy } = this.#situation;
    if (overlap === "allow" || (!isBusy && this.#runs.length === 0)) this.#runs.push(at);
    // Who is content with one run for all that were missed is content with it for the last seconds too.
    else if (missed !== "once" || this.#caughtUp === 0) this.#skip("overlap", at);
  }

  #canCatchUp(): boolean {
    const { missed, overlap } = this.#schedule;
    const { isBusy, maxCatchUp } = this.#situation;
    // What is made up for does not overlap with itself: each of them was asked for.
    if (isBusy && overlap === "skip" && this.#caughtUp === 0) return false;
    return this.#caughtUp < (missed === "all" ? maxCatchUp : missed === "once" ? 1 : 0);
  }

  /** @param gap names the gap of the clock, each of which is told of by itself. */
  #skip(reason: SkipReason, at: EpochMs, gap = 0): void {
    const entry = this.#skipped.get(`${reason} ${gap}`);
    if (entry) entry.count++;
    else this.#skipped.set(`${reason} ${gap}`, { reason, nominalAt: at, count: 1 });
  }

  #result(nextRunAt: EpochMs | null): FiringPlan {
    return { runs: this.#runs, skipped: [...this.#skipped.values()], nextRunAt, caughtUp: this.#caughtUp };
  }
}
