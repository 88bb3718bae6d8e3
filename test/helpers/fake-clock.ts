import type { Clock } from "../../src/core/time/clock.ts";

const HOUR_MS = 3_600_000;

/**
 * A clock that only moves on request. It starts at the real time, because some things are checked
 * against it, or some hours later if midnight (UTC) is near: no test depends on the hour at which it
 * runs.
 */
export class FakeClock implements Clock {
  #now: number;
  #elapsed = 0;
  readonly #tickMs: number;

  constructor(now = awayFromMidnight(), { tickMs = 0 }: { readonly tickMs?: number } = {}) {
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

function awayFromMidnight(): number {
  const now = Date.now();
  const hour = new Date(now).getUTCHours();
  return now + (hour >= 21 ? 5 : hour < 2 ? 2 : 0) * HOUR_MS;
}
