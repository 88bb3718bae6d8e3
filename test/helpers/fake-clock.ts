import type { Clock } from "../../src/core/clock.ts";

/**
 * A clock that only moves on request. It starts at the real time, because tokens and ids are
 * checked against it.
 */
export class FakeClock implements Clock {
  #now: number;
  #elapsed = 0;

  constructor(now = Date.now()) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  elapsed(): number {
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
