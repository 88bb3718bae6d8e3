import { isEqual } from "./compare.ts";
import { evaluationBudget, FREE_UNITS } from "./evaluation-budget.ts";
import { toValue, type Value } from "./value.ts";

const FREE_ELEMENTS = 16;
/** Comparing a decimal with a number that is not whole takes about half a microsecond. */
const DECIMAL_STEPS = 50;

/** Whether an element of `list` equals `value`. @throws ConditionTooCostly */
export function holds(list: readonly unknown[], value: Value): boolean {
  if (typeof value === "bigint") evaluationBudget.charge(list.length * DECIMAL_STEPS);
  else if (list.length > FREE_ELEMENTS) evaluationBudget.charge(list.length);
  if (typeof value === "string") return list.some((element) => isSameText(element, value));
  return list.some((element) => isEqual(toValue(element), value));
}

/** Whether `other` is the same text as `text`. @throws ConditionTooCostly */
export function isSameText(other: unknown, text: string): boolean {
  if (text.length <= FREE_UNITS) return other === text;
  if (typeof other !== "string" || other.length !== text.length) return false;
  evaluationBudget.charge(text.length >>> 4);
  return other === text;
}
