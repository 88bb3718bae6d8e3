import { PrismError } from "../../../../core/errors.ts";
import { LIMITS } from "../limits.ts";

/** A condition exceeds the steps that were left. */
export class ConditionTooCostly extends PrismError {
  override readonly name = "ConditionTooCostly";
  constructor() {
    super(
      "INTERNAL",
      "the condition takes too long on this event: it searches or makes too much text; use fewer and smaller patterns",
    );
  }
}

/** Keeps a sum a small integer. */
const SMALL = 0x3fff_ffff;

/**
 * Counts, in steps of about 10 ns, the work that grows with the event: searching or building texts
 * and lists. Texts and lists up to {@link FREE_UNITS} are part of a condition's fixed cost.
 */
class EvaluationBudget {
  /** Always a small integer: V8 would allocate for other numbers. */
  leftSteps: number = LIMITS.evaluationSteps;
  #given: number = LIMITS.evaluationSteps;
  #taken = 0;

  /** Resets the budget. @param steps limit for the next evaluations together */
  begin(steps: number = LIMITS.evaluationSteps): void {
    this.#taken = (this.#taken + this.#given - this.leftSteps) & SMALL;
    this.#given = steps;
    this.leftSteps = steps;
  }

  /** Runs evaluations that begin budgets of their own. @returns also the steps of all of them */
  measure<T>(evaluate: () => T): { readonly result: T; readonly steps: number } {
    this.begin();
    const before = this.#taken;
    const result = evaluate();
    this.begin();
    return { result, steps: (this.#taken - before) & SMALL };
  }

  /** Call it before the work. @param steps a whole number @throws ConditionTooCostly */
  charge(steps: number): void {
    this.leftSteps -= steps;
    if (this.leftSteps < 0) throw new ConditionTooCostly();
  }
}

/** One per thread: evaluations are synchronous. */
export const evaluationBudget = new EvaluationBudget();

/** Length of a text in UTF-16 units up to which reading or building it is free. */
export const FREE_UNITS = 64;
