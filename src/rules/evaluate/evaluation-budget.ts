import { PrismError } from "../../base/errors.ts";
import { LIMITS } from "../limits.ts";

/** What all conditions together may still do about one event, in steps. */
export class EventWork {
  leftSteps: number = LIMITS.eventSteps;
}

/** A condition that did more than one evaluation, or all evaluations of one event, may do. */
export class ConditionTooCostly extends PrismError {
  /** `event`: other conditions had used up what the event allows. */
  readonly scope: "condition" | "event";

  constructor(scope: "condition" | "event", message: string) {
    super("INTERNAL", message);
    this.scope = scope;
  }
}

/**
 * Counts what one evaluation does: the strings that it makes, and the steps of everything whose price grows with the event. A rule of
 * 4096 characters can ask for gigabytes (`concat` within `concat`) or minutes (`matches`); only the evaluation can tell which.
 */
export class EvaluationBudget {
  #leftUnits: number = LIMITS.madeUnits;
  #leftSteps: number = LIMITS.evaluationSteps;
  #event = new EventWork();

  /** Begins a new evaluation. */
  reset(event: EventWork): void {
    this.#leftUnits = LIMITS.madeUnits;
    this.#leftSteps = LIMITS.evaluationSteps;
    this.#event = event;
  }

  /** Charges a string. @throws ConditionTooCostly. Called before the string is made where its length is known. */
  charge(units: number): void {
    this.#leftUnits -= units;
    if (this.#leftUnits < 0) {
      throw new ConditionTooCostly("condition", "the condition made more than 1 MiB of strings from one event");
    }
    this.work(units);
  }

  /** Charges work before it is done. @param steps of about 10 ns. @throws ConditionTooCostly */
  work(steps: number): void {
    this.#leftSteps -= steps;
    if (this.#leftSteps < 0) {
      throw new ConditionTooCostly("condition", "the condition takes too long on this event; use smaller patterns");
    }
    this.#event.leftSteps -= steps;
    if (this.#event.leftSteps < 0) {
      throw new ConditionTooCostly("event", "the conditions of this event's rules take too long together");
    }
  }
}
