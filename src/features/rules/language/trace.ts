import { hintOf } from "./check/hints.ts";
import { cutText, wellFormed } from "./code-points.ts";
import { compileTree } from "./evaluate/compile.ts";
import { evaluationBudget } from "./evaluate/evaluation-budget.ts";
import type { Value } from "./evaluate/value.ts";
import type { RuleEvent } from "./event.ts";
import { parseCondition } from "./parse/parse-condition.ts";
import type { Node } from "./parse/tree.ts";
import { type ShownValue, ValueDisplay } from "./shown-value.ts";

/** What one part of a condition was worth. */
export interface TraceEntry {
  /** 0-based index of the part in the condition, in UTF-16 units. */
  readonly pos: number;
  /** The part as written, cut to 200 characters. */
  readonly text: string;
  readonly value: ShownValue;
  /** Of a decimal, whose value is shown as text. */
  readonly type?: "decimal";
  /** What is wrong where values of these types give nothing, and what to write instead. */
  readonly hint?: string;
}

/** Why a condition decided as it did. JSON-safe, and some hundred KiB at most whatever the event holds. */
export interface ConditionTrace {
  readonly matched: boolean;
  /** Of the whole condition; only `true` matches. */
  readonly value: ShownValue;
  /** Paths, calls, arithmetic and comparisons in the order of evaluation; what was short-circuited is absent. */
  readonly trace: readonly TraceEntry[];
  /** Why the evaluation stopped, where it did; then `matched` is false and `trace` ends there. */
  readonly error?: string;
}

const TEXT_CHARACTERS = 200;

const TRACED: ReadonlySet<Node["kind"]> = new Set([
  "path",
  "compare",
  "in",
  "arithmetic",
  "negate",
  "call",
  "exists",
  "matches",
  "coalesce",
  "choice",
]);

/** Evaluates `source` for `event` by the same closures as ever, writing down what they give. @throws InvalidCondition */
export function traceCondition(source: string, event: RuleEvent): ConditionTrace {
  const display = new ValueDisplay();
  const trace: TraceEntry[] = [];
  const values = new Map<Node, Value>();
  const evaluate = compileTree(parseCondition(source), (node, value) => {
    values.set(node, value);
    if (!TRACED.has(node.kind)) return;
    const text = cutText(wellFormed(source.slice(node.start, node.end)), TEXT_CHARACTERS);
    const hint = hintOf(node, value, values);
    trace.push({
      ...{ pos: node.start, text, value: display.show(value) },
      ...(typeof value === "bigint" ? { type: "decimal" as const } : {}),
      ...(hint === null ? {} : { hint }),
    });
  });
  evaluationBudget.begin();
  try {
    const value = evaluate(event);
    return { matched: value === true, value: display.show(value), trace };
  } catch (error) {
    return { matched: false, value: null, trace, error: error instanceof Error ? error.message : String(error) };
  }
}
