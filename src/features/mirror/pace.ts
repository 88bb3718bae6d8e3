import { setImmediate } from "node:timers/promises";

/** Steps between two turns of others: some milliseconds. */
const STEPS_OF_A_TURN = 50_000;
/** Of one report: some seconds. */
const MOST_STEPS = 20_000_000;

/** Counts the steps of a report, which lets others have their turn and ends some day. */
export class Pace {
  steps = 0;
  #next = STEPS_OF_A_TURN;

  get isOver(): boolean {
    return this.steps >= MOST_STEPS;
  }

  /** Resolves once others have had their turn; null: it is not time for it. */
  turn(): Promise<void> | null {
    if (this.steps < this.#next) return null;
    this.#next = this.steps + STEPS_OF_A_TURN;
    return setImmediate();
  }
}
