import { InvalidCondition } from "./errors.ts";
import { compileTree, fixedSteps } from "./evaluate/compile.ts";
import { evaluationBudget } from "./evaluate/evaluation-budget.ts";
import type { Read, RuleEvent } from "./event.ts";
import { type Fact, factsOf } from "./lookup/path-index.ts";
import { measurePatterns, parseCondition } from "./parse/parse-condition.ts";
import { type ConditionTrace, traceCondition } from "./trace.ts";
import { type ConditionWarning, warningsOf } from "./warnings.ts";

/** @throws InvalidCondition for every string that is no condition. */
export function compileCondition(source: string): Condition {
  const condition = readCondition(source);
  condition.measure();
  return condition;
}

/**
 * A condition whose patterns were checked when it was stored: they are compiled when they are
 * needed. @throws InvalidCondition
 */
export function readCondition(source: string): Condition {
  return new Condition(source);
}

/** What an author should know of a condition; nothing of one that cannot be read. */
export function conditionWarnings(source: string): ConditionWarning[] {
  try {
    return [...warningsOf(source, parseCondition(source))];
  } catch (error) {
    if (error instanceof InvalidCondition) return [];
    throw error;
  }
}

/** A condition that is ready to decide. */
export class Condition {
  readonly source: string;
  /** What must hold of an event for the condition to be true of it; for an index. */
  readonly facts: readonly Fact[];
  /** What an evaluation costs on an event of short texts and lists, in steps. */
  readonly fixedSteps: number;
  readonly #evaluate: Read;
  readonly #hasPatterns: boolean;

  constructor(source: string) {
    // The tree is not kept: ten thousand of them are memory, and a trace can afford to read the
    // source again.
    const root = parseCondition(source);
    this.source = source;
    this.facts = factsOf(root);
    this.fixedSteps = fixedSteps(root);
    this.#evaluate = compileTree(root);
    this.#hasPatterns = source.includes("matches");
  }

  /**
   * @throws ConditionTooCostly where the event makes the condition do too much, InvalidCondition
   * for a pattern of {@link readCondition}.
   */
  test(event: RuleEvent): boolean {
    evaluationBudget.begin();
    return this.#evaluate(event) === true;
  }

  /**
   * {@link test} with what `evaluationBudget` has left, for several conditions that share one
   * budget.
   */
  testWithin(event: RuleEvent): boolean {
    return this.#evaluate(event) === true;
  }

  /**
   * Compiles the patterns. @returns their size together, equal patterns once. @throws
   * InvalidCondition
   */
  measure(): number {
    return this.#hasPatterns ? measurePatterns(this.source, parseCondition(this.source)) : 0;
  }

  /** Decides again and tells how, for people: 1000 times the price of `test`. */
  trace(event: RuleEvent): ConditionTrace {
    return traceCondition(this.source, event);
  }
}
