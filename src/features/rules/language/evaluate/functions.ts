import { decimalText } from "../../../../core/text/decimal.ts";
import { parseJsonWithin } from "../../../../core/text/json-text.ts";
import { plainText } from "../../../../core/text/plain-text.ts";
import { LIMITS } from "../limits.ts";
import type { ArithmeticSymbol } from "../parse/tokens.ts";
import type { PlainFunctionName } from "../parse/tree.ts";
import { holds } from "./compare.ts";
import {
  addDecimals,
  evaluationBudget,
  FREE_UNITS,
  isList,
  type JsonObject,
  multiplyDecimals,
  subtractDecimals,
  toDecimal,
  toEpochMs,
  toValue,
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

/** With every `part` replaced by `other`, also by a shorter or empty one. */
function replace(text: Value, part: Value, other: Value): Value {
  if (!isInspected(text) || !isInspected(part) || typeof other !== "string" || part === "") return null;
  evaluationBudget.charge(text.length);
  const pieces = text.split(part);
  evaluationBudget.charge(Math.ceil((pieces.length - 1) * other.length));
  return pieces.join(other);
}

/** The texts, numbers and booleans of a list; other elements are left out. */
function join(list: Value, separator: Value): Value {
  if (!isElements(list) || typeof separator !== "string") return null;
  let made = "";
  for (const element of list) {
    const text = scalarText(toValue(element));
    if (text === null) continue;
    evaluationBudget.charge(1 + text.length + separator.length);
    made = made === "" ? text : made + separator + text;
  }
  return made;
}

/** The first line that is not empty, trimmed. */
function firstLine(text: Value): Value {
  if (typeof text !== "string") return null;
  const [line = ""] = text
    .slice(0, LIMITS.inspectedUnits)
    .trimStart()
    .split(/[\r\n]/, 1);
  evaluationBudget.charge(line.length);
  return line.trimEnd();
}

/** Text of HTML: without tags, with line breaks for blocks, and the common character references. */
function stripHtml(text: Value): Value {
  if (typeof text !== "string") return null;
  const read = text.slice(0, LIMITS.inspectedUnits);
  evaluationBudget.charge(4 * read.length);
  return plainText(read);
}

/** Longest text that `parseJson` reads. */
const JSON_UNITS = 262_144;
const JSON_DEPTH = 32;
/** Parsing a member or an element, however short it is. */
const MEMBER_STEPS = 40;

/** A value of JSON text; null for any other text, and for one that nests deeper than a payload may. */
function parseJson(text: Value): Value {
  if (typeof text !== "string" || text.length > JSON_UNITS) return null;
  evaluationBudget.charge(text.length);
  return toValue(
    parseJsonWithin(text, JSON_DEPTH, (members) => evaluationBudget.charge(members * MEMBER_STEPS)) ?? null,
  );
}

/** An element of a list by its index, from the end for a negative one, or a member of an object. */
function at(value: Value, key: Value): Value {
  if (isElements(value)) return typeof key === "number" ? toValue(value.at(Math.trunc(key))) : null;
  if (!isMembers(value) || typeof key !== "string") return null;
  return Object.hasOwn(value, key) ? toValue(value[key]) : null;
}

/** The member of each object of a list; objects without it are left out. */
function pluck(list: Value, name: Value): Value {
  if (!isElements(list)) return null;
  evaluationBudget.charge(list.length);
  return list.map((element) => at(toValue(element), name)).filter((value) => value !== null);
}

/** An object of `[{name, value}]` or `[[name, value]]`; `pairs(list, 'key', 'text')` names members. */
function pairs(list: Value, name: Value = "name", value: Value = "value"): Value {
  if (!isElements(list)) return null;
  evaluationBudget.charge(2 * list.length);
  const entries = list.flatMap((given): [string, Value][] => {
    const element = toValue(given);
    const isPair = isElements(element);
    const text = scalarText(at(element, isPair ? 0 : name));
    return text === null ? [] : [[text, at(element, isPair ? 1 : value)]];
  });
  return Object.fromEntries(entries);
}

/** The first argument that is neither null nor empty text. */
function first(...values: readonly Value[]): Value {
  return values.find((value) => value !== null && value !== "") ?? null;
}

/** Names of the text of an object, best first. */
const TEXT_MEMBERS = ["text", "value", "en"];
const MOST_LINES = 20;

/**
 * The text of the first argument that has one: of a text or number itself, of a list its texts as
 * lines, of an object its member `text`, `value` or `en`, else its first text.
 */
function firstText(...values: readonly Value[]): Value {
  for (const value of values) {
    const text = textWithin(value);
    if (text !== null) return text;
  }
  return null;
}

function textWithin(value: Value): string | null {
  if (typeof value === "string") return value.trim() === "" ? null : value;
  if (typeof value === "number" || typeof value === "bigint") return scalarText(value);
  if (typeof value !== "object" || value === null) return null;
  if (isElements(value)) {
    const lines = value.slice(0, MOST_LINES).flatMap((each) => scalarOf(toValue(each)) ?? []);
    return lines.length === 0 ? null : lines.join("\n");
  }
  const own = Object.values(value).slice(0, MOST_LINES);
  evaluationBudget.charge(own.length);
  for (const each of [...TEXT_MEMBERS.map((name) => at(value, name)), ...own.map(toValue)])
    if (typeof each === "string" && each.trim() !== "") return each;
  return null;
}

function scalarOf(value: Value): string | null {
  if (typeof value === "boolean") return null;
  const text = scalarText(value);
  if (text !== null) evaluationBudget.charge(text.length);
  return text === null || text.trim() === "" ? null : text;
}

/** `lookup(x, 'a', 1, 'b', 2, 3)`: 1 if x is 'a', 2 if it is 'b', else 3 (null without a default). */
function lookup(value: Value, ...cases: readonly Value[]): Value {
  for (let i = 0; i + 1 < cases.length; i += 2) if (cases[i] === value) return cases[i + 1] ?? null;
  return cases.length % 2 === 1 ? (cases.at(-1) ?? null) : null;
}

function isElements(value: Value): value is readonly unknown[] {
  return typeof value === "object" && value !== null && isList(value);
}

function isMembers(value: Value): value is JsonObject {
  return typeof value === "object" && value !== null && !isList(value);
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
  replace,
  join,
  firstLine,
  stripHtml,
  parseJson,
  at,
  pluck,
  pairs,
  first,
  firstText,
  lookup,
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
