import { LIMITS } from "../limits.ts";
import type { ArithmeticSymbol } from "../parse/tokens.ts";
import type { PlainFunctionName } from "../parse/tree.ts";
import { holds } from "./compare.ts";
import { evaluationBudget, FREE_UNITS } from "./evaluation-budget.ts";
import {
  addDecimals,
  decimalText,
  isList,
  multiplyDecimals,
  subtractDecimals,
  toDecimal,
  toEpochMs,
  type Value,
} from "./values.ts";

/** A function of the language. It never throws: a wrong type gives null or false. */
export type LanguageFunction = (...args: Value[]) => Value;

/** JSON's number, with leading zeros allowed; Number() also accepts "", " 1 ", "0x10". */
const NUMBER = /^-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

const abs = ofNumber(Math.abs);
const floor = ofNumber(Math.floor);
const ceil = ofNumber(Math.ceil);
/** To the nearest whole number, halves upwards: 2.5 gives 3, -2.5 gives -2. */
const round = ofNumber(Math.round);
const min = ofNumbers(Math.min);
const max = ofNumbers(Math.max);

type NumberFunction = (...args: readonly Value[]) => Value;

function ofNumber(apply: (value: number) => number): NumberFunction {
  return (value) => (typeof value === "number" ? apply(value) : null);
}

function ofNumbers(choose: (left: number, right: number) => number): NumberFunction {
  return (...values) => {
    let chosen: number | undefined;
    for (const value of values) {
      if (typeof value !== "number") return null;
      chosen = chosen === undefined ? value : choose(chosen, value);
    }
    return chosen ?? null;
  };
}

/** `number(x)`: a number from a numeric string, or the double nearest to a decimal. */
export function numberOf(value: Value): number | null {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(decimalText(value));
  if (typeof value !== "string" || value.length > LIMITS.convertedUnits || !NUMBER.test(value)) return null;
  return finite(Number(value));
}

/** `string(x)` of a string, number (as in JSON), boolean or decimal; null for other values. */
export function scalarText(value: Value): string | null {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
    case "boolean":
      return String(value);
    case "bigint":
      return decimalText(value);
    default:
      return null;
  }
}

type Arithmetic = (left: Value, right: Value) => Value;

/**
 * `+ - * / %` of two numbers, and `+ - *` of decimals and numbers. Null for other types, for a
 * divisor of 0, for a result that is not finite, and for one that does not fit a decimal of four
 * places.
 */
export const ARITHMETIC: Readonly<Record<ArithmeticSymbol, Arithmetic>> = {
  "+": (left, right) => {
    if (typeof left === "number" && typeof right === "number") return finite(left + right);
    return addDecimals(left, right);
  },
  "-": (left, right) => {
    if (typeof left === "number" && typeof right === "number") return finite(left - right);
    return subtractDecimals(left, right);
  },
  "*": (left, right) => {
    if (typeof left === "number" && typeof right === "number") return finite(left * right);
    return multiplyDecimals(left, right);
  },
  // A divisor of 0 gives infinity or NaN.
  "/": (left, right) => (typeof left === "number" && typeof right === "number" ? finite(left / right) : null),
  "%": (left, right) => (typeof left === "number" && typeof right === "number" ? finite(left % right) : null),
};

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

// String lengths and positions are UTF-16 units, as in JavaScript and in `.length`.

function lower(text: Value): Value {
  if (!isInspected(text)) return null;
  if (text.length > FREE_UNITS) evaluationBudget.charge(text.length);
  return text.toLowerCase();
}

function upper(text: Value): Value {
  if (!isInspected(text)) return null;
  const made = text.toUpperCase();
  // Charged by result: ß, ﬃ and others become longer.
  if (made.length > FREE_UNITS) evaluationBudget.charge(made.length);
  return made;
}

function trim(text: Value): Value {
  if (typeof text !== "string") return null;
  // The result is a view of the text: no unit is copied.
  if (text.length > FREE_UNITS) evaluationBudget.charge(text.length >>> 3);
  return text.trim();
}

function length(value: Value): Value {
  return typeof value === "string" || isList(value) ? value.length : null;
}

/** Whether a string contains a part, or a list an element. */
function contains(whole: Value, part: Value): Value {
  if (isList(whole)) return holds(whole, part);
  if (!isInspected(whole) || !isInspected(part)) return false;
  if (whole.length > FREE_UNITS) evaluationBudget.charge(searchSteps(whole.length, part.length));
  return whole.includes(part);
}

/** `aaaa…` is compared nearly whole at each position of many `a`: 11 ms for 8000 in 16 384. */
function searchSteps(wholeUnits: number, partUnits: number): number {
  return (wholeUnits >>> 2) + ((Math.max(0, wholeUnits - partUnits) * partUnits) >>> 6);
}

function startsWith(text: Value, start: Value): Value {
  if (typeof text !== "string" || typeof start !== "string") return false;
  if (start.length > FREE_UNITS) evaluationBudget.charge(start.length >>> 2);
  return text.startsWith(start);
}

function endsWith(text: Value, end: Value): Value {
  if (typeof text !== "string" || typeof end !== "string") return false;
  if (end.length > FREE_UNITS) evaluationBudget.charge(end.length >>> 2);
  return text.endsWith(end);
}

/** Null counts as "". Another value that is no string makes the result null; use `string(x)`. */
function concat(...parts: readonly Value[]): Value {
  let made = "";
  for (const part of parts) {
    const text = part ?? "";
    if (typeof text !== "string") return null;
    if (text.length > FREE_UNITS) evaluationBudget.charge(text.length);
    made += text;
  }
  return made;
}

/** Up to `count` units from `start`. A negative number counts as 0, a fraction is truncated. */
function substr(text: Value, start: Value, count: Value): Value {
  const whole = text ?? "";
  if (typeof whole !== "string" || typeof start !== "number" || typeof count !== "number") return null;
  const from = Math.max(0, Math.trunc(start));
  const made = whole.slice(from, from + Math.max(0, Math.trunc(count)));
  if (made.length > FREE_UNITS) evaluationBudget.charge(made.length);
  return made;
}

/** The first 256 parts; the rest is dropped. */
function split(text: Value, separator: Value): Value {
  const whole = text ?? "";
  const between = separator ?? "";
  if (!isInspected(whole) || !isInspected(between)) return null;
  if (whole.length > FREE_UNITS) evaluationBudget.charge(whole.length);
  return whole.split(between, LIMITS.splitParts);
}

/** Whether a function that reads every unit accepts this value. */
export function isInspected(value: Value): value is string {
  return typeof value === "string" && value.length <= LIMITS.inspectedUnits;
}

/** The functions of the language, except `now`, which reads the event. */
export const FUNCTIONS: Readonly<Record<Exclude<PlainFunctionName, "now">, LanguageFunction>> = {
  lower,
  upper,
  trim,
  length,
  contains,
  startsWith,
  endsWith,
  concat,
  substr,
  split,
  abs,
  min,
  max,
  round,
  floor,
  ceil,
  number: numberOf,
  string: scalarText,
  dec: toDecimal,
  time: toEpochMs,
};
