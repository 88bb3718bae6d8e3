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

/** Is called for each evaluation that took more than {@link COSTLY_STEPS}. */
export type OnCost<R> = (rule: R, steps: number) => void;

/** 10 us: a condition on short texts and lists takes less. */
export const COSTLY_STEPS = 1024;

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
  readonly #onCost: OnCost<R>;

  constructor(
    rules: readonly AskedRule<R>[],
    event: RuleEvent,
    onError: (rule: R, error: unknown) => void,
    onCost: OnCost<R>,
  ) {
    this.#rules = rules;
    this.#event = event;
    this.#onError = onError;
    this.#onCost = onCost;
  }

  *[Symbol.iterator](): Generator<R> {
    // Kept here: what the caller does between two rules may evaluate conditions too.
    let leftSteps: number = LIMITS.evaluationSteps;
    for (const asked of this.#rules) {
      if (leftSteps <= 0) return;
      const answer = this.#ask(asked, leftSteps);
      const steps = takenSteps(leftSteps);
      leftSteps = evaluationBudget.leftSteps;
      if (steps > COSTLY_STEPS) this.#onCost(asked.rule, steps);
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

/** What an evaluation has taken; work that was refused was not done. @param leftSteps when it began */
export function takenSteps(leftSteps: number): number {
  return leftSteps - Math.max(evaluationBudget.leftSteps, 0);
}

/** Whether a condition failed only because others had used up the turn before it. @param leftSteps when it began */
export function isForNextTurn(error: unknown, leftSteps: number): boolean {
  return error instanceof ConditionTooCostly && leftSteps < LIMITS.evaluationSteps;
}
