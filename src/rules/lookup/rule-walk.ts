import type { Condition } from "../condition.ts";
import { ConditionTooCostly, evaluationBudget } from "../evaluate/evaluation-budget.ts";
import type { RuleEvent } from "../event.ts";
import { LIMITS } from "../limits.ts";
import type { RulePosition } from "./rule-order.ts";

/** A rule that is asked about an event. */
export interface AskedRule<R> extends RulePosition {
  readonly condition: Condition;
  readonly rule: R;
}

/**
 * One turn of asking rules about an event in rule order; iterating gives those that match. It ends when what a turn may do is used up:
 * a condition that has too little left is asked first in the next turn, and only one that exceeds a whole turn by itself is an error.
 */
export class RuleWalk<R> implements Iterable<R> {
  /** The last rule that was asked; while a rule is given to the caller, the one before it. */
  last: RulePosition | null = null;
  /** Whether all rules have been asked. */
  isComplete = false;
  readonly #rules: readonly AskedRule<R>[];
  readonly #event: RuleEvent;
  readonly #onError: (rule: R, error: unknown) => void;

  constructor(rules: readonly AskedRule<R>[], event: RuleEvent, onError: (rule: R, error: unknown) => void) {
    this.#rules = rules;
    this.#event = event;
    this.#onError = onError;
  }

  *[Symbol.iterator](): Generator<R> {
    // Kept here: what the caller does between two rules may evaluate conditions too.
    let leftSteps: number = LIMITS.evaluationSteps;
    for (const asked of this.#rules) {
      if (leftSteps <= 0) return;
      const answer = this.#ask(asked, leftSteps);
      leftSteps = evaluationBudget.leftSteps;
      if (answer === "later") return;
      if (answer === "matches") yield asked.rule;
      this.last = asked;
    }
    this.isComplete = true;
  }

  #ask({ condition, rule }: AskedRule<R>, leftSteps: number): "matches" | "differs" | "later" {
    evaluationBudget.begin(leftSteps - condition.fixedSteps);
    try {
      return condition.testWithin(this.#event) ? "matches" : "differs";
    } catch (error) {
      if (isForNextTurn(error, leftSteps)) return "later";
      this.#onError(rule, error);
      return "differs";
    }
  }
}

/** Whether a condition failed only because others had used up the turn before it. @param leftSteps when it began */
export function isForNextTurn(error: unknown, leftSteps: number): boolean {
  return error instanceof ConditionTooCostly && leftSteps < LIMITS.evaluationSteps;
}
