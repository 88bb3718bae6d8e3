import { randomInt } from "node:crypto";
import type { TestContext } from "node:test";

/**
 * What chance decides in this process follows from this number; with the same one in the
 * environment it decides the same.
 */
export const TEST_SEED = Number(process.env["TEST_SEED"] ?? randomInt(1, 2 ** 31));

const MIN_RUNS = 200;

/**
 * How often a property that deserves `all` runs is tried: a tenth of that, unless the environment
 * has TEST_ALL_RUNS.
 */
export function runs(all: number): number {
  return process.env["TEST_ALL_RUNS"] ? all : Math.max(MIN_RUNS, Math.round(all / 10));
}

/** Random numbers of a test, which says how to get the same ones again. */
export function chanceOf(t: TestContext): Random {
  t.diagnostic(`TEST_SEED=${TEST_SEED} repeats what chance decided`);
  return new Random(TEST_SEED);
}

/** Numbers that look random and are the same for the same seed (mulberry32). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** Both ends included. */
  integer(low: number, high: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return low + (((t ^ (t >>> 14)) >>> 0) % (high - low + 1));
  }
}
