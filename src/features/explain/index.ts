/** The part of `explain` that other features may use. */

export { type ForecastOutcome, outcomeChanges, outcomeOf } from "./compare.ts";
