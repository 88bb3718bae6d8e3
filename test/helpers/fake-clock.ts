import type { Clock } from "../../src/core/clock.ts";

/**
 * A clock that only moves on request. It starts at noon (UTC) of the real day: close enough for
 * what is checked against the real time, and no test depends on the hour at which it runs.
 * @param tickMs passes between two looks at the elapsed time: a fraction, as on a real machine
 */
export class FakeClock implements Clock {
  #now: number;
  #elapsed = 0;
  readonly #tickMs: number;

  constructor(now = noon(), { tickMs = 0 }: { readonly tickMs?: number } = {}) {
    this.#now = now;
    this.#tickMs = tickMs;
  }

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    this.#elapsed += this.#tickMs;
    return this.#elapsed;
  }

  /** Time passes. */
  advance(ms: number): void {
    this.#now += ms;
    this.#elapsed += Math.max(0, ms);
  }

  /** Sets the clock, forward or back; no time passes. */
  set(byMs: number): void {
    this.#now += byMs;
  }
}

/** Noon (UTC) of today, in milliseconds. */
function noon(): number {
  return new Date().setUTCHours(12, 0, 0, 0);
}
