import type { Clock, EpochMs } from "../../../../core/time/clock.ts";

/** Smaller differences are clock drift and timer inaccuracy. */
export const CLOCK_TOLERANCE_MS = 1000;

/** A backward step of the wall clock: its size, and the time the clock would show without it. */
export interface SetBack {
  readonly byMs: number;
  readonly wouldBe: EpochMs;
  /** Rows created after this instant, by the new clock, may have been made after the step. */
  readonly madeFrom: EpochMs;
}

/**
 * The wall clock. It detects backward steps by comparing it with elapsed time, for owners whose
 * tables have due times by it. Forward steps and sleep need no correction.
 */
export class StepsBack {
  readonly #clock: Clock;
  readonly #onStep: (byMs: number) => void;
  /** Last reading of both clocks. */
  #wall: EpochMs;
  #elapsed: number;
  /** A step that the owner has not taken yet. */
  #setBack: SetBack | null = null;

  /** @param onStep called with the size of each step */
  constructor(clock: Clock, onStep: (byMs: number) => void) {
    this.#clock = clock;
    this.#onStep = onStep;
    this.#wall = clock.now();
    this.#elapsed = clock.elapsed();
  }

  now(): EpochMs {
    const wall = this.#clock.now();
    const elapsed = this.#clock.elapsed();
    const sinceMs = elapsed - this.#elapsed;
    const byMs = Math.round(this.#wall + sinceMs - wall);
    this.#wall = wall;
    this.#elapsed = elapsed;
    if (byMs > CLOCK_TOLERANCE_MS) {
      this.giveBack({ byMs, wouldBe: wall + byMs, madeFrom: Math.floor(wall - sinceMs) });
      this.#onStep(byMs);
    }
    return wall;
  }

  /** @returns the sum of backward steps since the last call; null for none */
  take(): SetBack | null {
    this.now();
    const setBack = this.#setBack;
    this.#setBack = null;
    return setBack;
  }

  /** Returns a step that could not be handled, or adds one that the caller detected. */
  giveBack(step: SetBack): void {
    const earlier = this.#setBack ?? { byMs: 0, wouldBe: 0, madeFrom: step.madeFrom };
    this.#setBack = {
      byMs: step.byMs + earlier.byMs,
      wouldBe: Math.max(step.wouldBe, earlier.wouldBe),
      madeFrom: Math.min(step.madeFrom, earlier.madeFrom),
    };
  }
}
