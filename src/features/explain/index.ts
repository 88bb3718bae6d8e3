/** The part of `explain` that other features may use. */

export { type ForecastOutcome, type OutcomeChange, outcomeChanges, outcomeOf } from "./compare.ts";
