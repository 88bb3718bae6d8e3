import { compileTree, fixedSteps } from "./evaluate/compile.ts";
import { evaluationBudget, FREE_UNITS, type Value } from "./evaluate/values.ts";
import type { Read, RuleEvent } from "./event.ts";
import { compileTemplate } from "./event-template.ts";
import { LIMITS } from "./limits.ts";
import { measurePatterns, parseCondition, parseExpression } from "./parse/parse-condition.ts";
import type { NameSet } from "./parse/path.ts";
import { hasPlaceholders } from "./template.ts";

/** Values by the names that expressions read. */
type NamedValues = Readonly<Record<string, unknown>>;

/** An expression, a template or a constant over named values. */
export type CompiledText = (values: RuleEvent) => Value;

type OnPatterns = (size: number) => void;

const MAX_TEMPLATE_CHARACTERS = 65_536;

/**
 * Compiles a text: an expression after `=`, a template with `{{ }}`, or a constant. @param names
 * that it may read; unlike a condition it reads no event. @param onPatterns called with the size
 * of its patterns. @throws INVALID_CONDITION, INVALID_TEMPLATE
 */
export function compileText(source: string, field: string, names: NameSet, onPatterns?: OnPatterns): CompiledText {
  const trimmed = source.trimStart();
  if (trimmed.startsWith("=")) return compileExpression(trimmed.slice(1), names, "any", onPatterns);
  if (!hasPlaceholders(source)) return () => source;
  const template = compileTemplate(source, field, names);
  return (values) => {
    const made = template.render(values, MAX_TEMPLATE_CHARACTERS);
    chargeText(made);
    return made;
  };
}

/** Compiles a condition over named values, with or without `=`. @throws INVALID_CONDITION */
export function compileTest(source: string, names: NameSet, onPatterns?: OnPatterns): CompiledText {
  const trimmed = source.trimStart();
  const isMarked = trimmed.startsWith("=") && !trimmed.startsWith("==");
  return compileExpression(isMarked ? trimmed.slice(1) : source, names, "condition", onPatterns);
}

function compileExpression(
  source: string,
  names: NameSet,
  kind: "any" | "condition",
  onPatterns?: OnPatterns,
): CompiledText {
  const root = kind === "any" ? parseExpression(source, names) : parseCondition(source, names);
  if (source.includes("matches")) {
    const size = measurePatterns(source, root);
    onPatterns?.(size);
  }
  const read: Read = compileTree(root);
  const steps = fixedSteps(root);
  return (values) => {
    evaluationBudget.charge(steps);
    return read(values);
  };
}

/** Work of all expressions over one input, in steps: about 50 ms at worst. */
const STEPS_OF_ONE_INPUT = 4 * LIMITS.evaluationSteps;

let lastSteps = 0;

/** Runs evaluations with a limit of their work. @throws ConditionTooCostly */
export function withinBudget<T>(evaluate: () => T, steps = STEPS_OF_ONE_INPUT): T {
  evaluationBudget.begin(steps);
  try {
    return evaluate();
  } finally {
    lastSteps = Math.min(steps, steps - evaluationBudget.leftSteps);
    evaluationBudget.begin();
  }
}

/** The steps of the last evaluations of {@link withinBudget}. */
export function stepsTaken(): number {
  return lastSteps;
}

/** Charges reading or making a text to the budget of the running evaluations. @throws ConditionTooCostly */
export function chargeText({ length }: { readonly length: number }): void {
  if (length > FREE_UNITS) evaluationBudget.charge(length >>> 1);
}

/** Named values as the language reads them. @param now epoch ms, for `now()` and `hour()` */
export function valuesOf(values: NamedValues, now: number): RuleEvent {
  return {
    id: "",
    type: "",
    source: null,
    level: "info",
    projectId: "",
    occurredAt: now,
    receivedAt: now,
    payload: values,
    correlationId: "",
  };
}
