import { PrismError } from "../../base/errors.ts";
import { LIMITS } from "../limits.ts";

/**
 * Counts the strings that one evaluation makes. A rule of 4096 characters can ask for gigabytes (`concat` within `concat`); the
 * events it is asked about come from elsewhere, so only the evaluation can tell.
 */
export class StringBudget {
  #leftUnits: number = LIMITS.madeUnits;

  /** Begins a new evaluation. */
  reset(): void {
    this.#leftUnits = LIMITS.madeUnits;
  }

  /** @throws PrismError INTERNAL when this string passes the total. Called before the string is made where its length is known. */
  charge(units: number): void {
    this.#leftUnits -= units;
    if (this.#leftUnits < 0) {
      throw new PrismError("INTERNAL", "the condition made more than 1 MiB of strings from one event");
    }
  }
}
