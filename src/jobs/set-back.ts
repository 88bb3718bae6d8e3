import type { Clock, EpochMs } from "../base/clock.ts";

/** Less than this is the drift that is corrected all the time, and the inaccuracy of timers. */
export const TOLERANCE_MS = 1000;

/** What happened to the wall clock: by how much it was set back, and what it would say had it not been. */
export interface SetBack {
  readonly byMs: number;
  readonly wouldBe: EpochMs;
  /** What was made from this instant on, by the clock as it is, may have been made after the step. */
  readonly madeFrom: EpochMs;
}

/** Notices when the wall clock is set back, by comparing it with the time that has passed. */
export class SetBackWatch {
  readonly #clock: Clock;
  #wall: EpochMs;
  #elapsed: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#wall = clock.now();
    this.#elapsed = clock.elapsed();
  }

  /** @returns what has happened since the last reading; null mostly. A clock that is set forward, or a sleep of the machine, is no matter. */
  read(): SetBack | null {
    const wall = this.#clock.now();
    const elapsed = this.#clock.elapsed();
    const sinceMs = elapsed - this.#elapsed;
    const wouldBe = this.#wall + sinceMs;
    this.#wall = wall;
    this.#elapsed = elapsed;
    const byMs = Math.round(wouldBe - wall);
    return byMs > TOLERANCE_MS ? { byMs, wouldBe: wall + byMs, madeFrom: Math.floor(wall - sinceMs) } : null;
  }
}
