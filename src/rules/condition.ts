import { compileTree } from "./evaluate/compile.ts";
import type { Read } from "./evaluate/read-path.ts";
import type { RuleEvent } from "./event.ts";
import { type Fact, factsOf } from "./lookup/facts.ts";
import { parseCondition } from "./parse/parse-condition.ts";
import { type ConditionTrace, traceCondition } from "./trace.ts";

/** A condition that is ready to decide. */
export interface Condition {
  readonly source: string;
  /** What must hold of an event for the condition to be true of it; for an index. */
  readonly facts: readonly Fact[];
  /** @throws PrismError INTERNAL where the event makes the condition build more than 1 MiB of strings. */
  test(event: RuleEvent): boolean;
  /** Decides again and tells how, for people: 1000 times the price of `test`. */
  trace(event: RuleEvent): ConditionTrace;
}

/**
 * Reads, checks and compiles a condition (contract 6).
 *
 * @throws InvalidCondition for every string that is no condition.
 */
export function compileCondition(source: string): Condition {
  return new CompiledCondition(source);
}

class CompiledCondition implements Condition {
  readonly source: string;
  readonly facts: readonly Fact[];
  readonly #evaluate: Read;

  constructor(source: string) {
    // The tree is not kept: ten thousand of them are memory, and a trace can afford to read the source again.
    const root = parseCondition(source);
    this.source = source;
    this.facts = factsOf(root);
    this.#evaluate = compileTree(root);
  }

  test(event: RuleEvent): boolean {
    return this.#evaluate(event) === true;
  }

  trace(event: RuleEvent): ConditionTrace {
    return traceCondition(this.source, event);
  }
}
