import { PrismError } from "../../../../core/errors.ts";
import { LIMITS } from "../limits.ts";

/** A condition that needs more steps than were left. */
export class ConditionTooCostly extends PrismError {
  constructor() {
    super(
      "INTERNAL",
      "the condition takes too long on this event: it searches or makes too much text; use fewer and smaller patterns",
    );
  }
}

/**
 * Counts, in steps of about 10 ns, what evaluations do whose price grows with the event: texts that
 * are searched or made, lists. Texts and lists up to {@link FREE_UNITS} are part of a condition's
 * fixed price, which costs nothing to count.
 */
class EvaluationBudget {
  /** A small integer at all times: V8 would allocate for anything else. */
  leftSteps: number = LIMITS.evaluationSteps;

  /** Begins to count again. @param steps that the next evaluations may take together */
  begin(steps: number = LIMITS.evaluationSteps): void {
    this.leftSteps = steps;
  }

  /**
   * To be called before the work is done. @param steps a whole number @throws ConditionTooCostly
   */
  charge(steps: number): void {
    this.leftSteps -= steps;
    if (this.leftSteps < 0) throw new ConditionTooCostly();
  }
}

/** Of this thread: evaluations are synchronous, so there is one at a time. */
export const evaluationBudget = new EvaluationBudget();

/** Length of a text, in UTF-16 units, up to which looking at it or making it is not charged. */
export const FREE_UNITS = 64;
