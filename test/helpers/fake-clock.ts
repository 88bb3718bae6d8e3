import type { Clock } from "../../src/base/clock.ts";

/** A clock that stands until it is told to move. It starts at a real instant: tokens and ids are judged by it. */
export class FakeClock implements Clock {
  #now: number;

  constructor(now = Date.now()) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  advance(ms: number): void {
    this.#now += ms;
  }
}
