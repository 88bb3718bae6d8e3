import { LIMITS } from "../limits.ts";
import type { EvaluationBudget } from "./evaluation-budget.ts";
import { holds } from "./list-search.ts";
import { isList, type Value } from "./value.ts";

// Lengths and positions inside strings are UTF-16 units, as everywhere in JavaScript and in `.length`.

export function lower(budget: EvaluationBudget, text: Value): Value {
  if (!isInspected(text)) return null;
  budget.charge(text.length);
  return text.toLowerCase();
}

export function upper(budget: EvaluationBudget, text: Value): Value {
  if (!isInspected(text)) return null;
  const made = text.toUpperCase();
  // Charged by result: ß, ﬃ and others become longer.
  budget.charge(made.length);
  return made;
}

export function trim(budget: EvaluationBudget, text: Value): Value {
  if (typeof text !== "string") return null;
  budget.work(text.length / 8);
  const made = text.trim();
  budget.charge(made.length);
  return made;
}

export function length(_budget: EvaluationBudget, value: Value): Value {
  return typeof value === "string" || isList(value) ? value.length : null;
}

/** A part of a string, or an element of a list. */
export function contains(budget: EvaluationBudget, whole: Value, part: Value): Value {
  if (isList(whole)) return holds(budget, whole, part);
  if (!isInspected(whole) || !isInspected(part)) return false;
  // `aaaa…` is compared nearly whole at every position of a text of many `a`: 11 ms for 8000 in 16 384.
  budget.work(whole.length / 4 + (Math.max(0, whole.length - part.length) * part.length) / 64);
  return whole.includes(part);
}

export function startsWith(_budget: EvaluationBudget, text: Value, start: Value): Value {
  return typeof text === "string" && typeof start === "string" && text.startsWith(start);
}

export function endsWith(_budget: EvaluationBudget, text: Value, end: Value): Value {
  return typeof text === "string" && typeof end === "string" && text.endsWith(end);
}

/** Null counts as ""; any other value that is no string makes the whole null: `string(x)` says what is meant. */
export function concat(budget: EvaluationBudget, ...parts: readonly Value[]): Value {
  let made = "";
  for (const part of parts) {
    const text = part ?? "";
    if (typeof text !== "string") return null;
    budget.charge(text.length);
    made += text;
  }
  return made;
}

/** `count` units from `start` on, as many as there are. A negative number counts as 0, a broken one is cut. */
export function substr(budget: EvaluationBudget, text: Value, start: Value, count: Value): Value {
  const whole = text ?? "";
  if (typeof whole !== "string" || typeof start !== "number" || typeof count !== "number") return null;
  const from = Math.max(0, Math.trunc(start));
  const made = whole.slice(from, from + Math.max(0, Math.trunc(count)));
  budget.charge(made.length);
  return made;
}

/** The first 256 parts; the rest is left out. */
export function split(budget: EvaluationBudget, text: Value, separator: Value): Value {
  const whole = text ?? "";
  const between = separator ?? "";
  if (!isInspected(whole) || !isInspected(between)) return null;
  budget.charge(whole.length);
  return whole.split(between, LIMITS.splitParts);
}

/** Whether a function that looks at every unit may look at this value. */
export function isInspected(value: Value): value is string {
  return typeof value === "string" && value.length <= LIMITS.inspectedUnits;
}
