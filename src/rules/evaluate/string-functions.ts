import { LIMITS } from "../limits.ts";
import { isEqual } from "./compare.ts";
import type { StringBudget } from "./string-budget.ts";
import { isList, toValue, type Value } from "./value.ts";

// Lengths and positions inside strings are UTF-16 units, as everywhere in JavaScript and in `.length`.

export function lower(budget: StringBudget, text: Value): Value {
  if (!isInspected(text)) return null;
  budget.charge(text.length);
  return text.toLowerCase();
}

export function upper(budget: StringBudget, text: Value): Value {
  if (!isInspected(text)) return null;
  const made = text.toUpperCase();
  // Charged by result: ß, ﬃ and others become longer.
  budget.charge(made.length);
  return made;
}

export function trim(budget: StringBudget, text: Value): Value {
  if (typeof text !== "string") return null;
  const made = text.trim();
  budget.charge(made.length);
  return made;
}

export function length(_budget: StringBudget, value: Value): Value {
  return typeof value === "string" || isList(value) ? value.length : null;
}

/** A part of a string, or an element of a list. */
export function contains(_budget: StringBudget, whole: Value, part: Value): Value {
  if (isList(whole)) return whole.some((element) => isEqual(toValue(element), part));
  return isInspected(whole) && isInspected(part) && whole.includes(part);
}

export function startsWith(_budget: StringBudget, text: Value, start: Value): Value {
  return typeof text === "string" && typeof start === "string" && text.startsWith(start);
}

export function endsWith(_budget: StringBudget, text: Value, end: Value): Value {
  return typeof text === "string" && typeof end === "string" && text.endsWith(end);
}

/** Null counts as ""; any other value that is no string makes the whole null: `string(x)` says what is meant. */
export function concat(budget: StringBudget, ...parts: readonly Value[]): Value {
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
export function substr(budget: StringBudget, text: Value, start: Value, count: Value): Value {
  const whole = text ?? "";
  if (typeof whole !== "string" || typeof start !== "number" || typeof count !== "number") return null;
  const from = Math.max(0, Math.trunc(start));
  const made = whole.slice(from, from + Math.max(0, Math.trunc(count)));
  budget.charge(made.length);
  return made;
}

/** The first 256 parts; the rest is left out. */
export function split(budget: StringBudget, text: Value, separator: Value): Value {
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
