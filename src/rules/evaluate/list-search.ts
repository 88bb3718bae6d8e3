import { isEqual } from "./compare.ts";
import type { EvaluationBudget } from "./evaluation-budget.ts";
import { toValue, type Value } from "./value.ts";

/** Comparing a decimal with a number that is not whole takes about half a microsecond. */
const DECIMAL_STEPS = 50;

/** Whether an element of `list` equals `value`. @throws ConditionTooCostly */
export function holds(budget: EvaluationBudget, list: readonly unknown[], value: Value): boolean {
  budget.work(list.length * (typeof value === "bigint" ? DECIMAL_STEPS : 1));
  return list.some((element) => isEqual(toValue(element), value));
}
