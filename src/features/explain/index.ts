/** The part of `explain` that other features may use. */

export { type AlertOutcome, type OutcomeChange, outcomeChanges, outcomeOf } from "./compare.ts";
