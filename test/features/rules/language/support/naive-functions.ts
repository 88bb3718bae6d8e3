import { Decimal, equals, isNumber, type NaiveValue } from "./naive-values.ts";

type Text = (text: string) => NaiveValue;

/**
 * The functions of contract 6.2, but for `if`, `exists` and `now`, which are not about values
 * alone.
 */
export function callFunction(name: string, args: readonly NaiveValue[]): NaiveValue {
  const [a = null, b = null, c = null] = args;
  switch (name) {
    case "lower":
      return ofText(a, (text) => text.toLowerCase());
    case "upper":
      return ofText(a, (text) => text.toUpperCase());
    case "trim":
      return ofText(a, (text) => text.trim());
    case "length":
      return typeof a === "string" || Array.isArray(a) ? a.length : null;
    case "contains":
      if (Array.isArray(a)) return a.some((element) => equals(element, b));
      return typeof a === "string" && typeof b === "string" && a.indexOf(b) !== -1;
    case "startsWith":
      return typeof a === "string" && typeof b === "string" && a.slice(0, b.length) === b;
    case "endsWith":
      return (
        typeof a === "string" && typeof b === "string" && a.length >= b.length && a.slice(a.length - b.length) === b
      );
    case "matches":
      return typeof a === "string" && typeof b === "string" && asRegExp(b).test(a);
    case "concat":
      return args.every((part) => part === null || typeof part === "string")
        ? args.map((part) => part ?? "").join("")
        : null;
    case "substr":
      return substr(a ?? "", b, c);
    case "split": {
      const [text, separator] = [a ?? "", b ?? ""];
      return typeof text === "string" && typeof separator === "string" ? text.split(separator).slice(0, 256) : null;
    }
    case "coalesce":
      return args.find((arg) => arg !== null) ?? null;
    default:
      return callNumberFunction(name, args);
  }
}

function callNumberFunction(name: string, args: readonly NaiveValue[]): NaiveValue {
  const [value = null] = args;
  switch (name) {
    case "number":
      if (value instanceof Decimal) return Number(value.toString());
      return isNumber(value)
        ? value
        : ofText(value, (text) => (isNumberText(text) ? finite(Number.parseFloat(text)) : null));
    case "string":
      return value === null || (typeof value === "object" && !(value instanceof Decimal)) ? null : String(value);
    case "dec":
      return decimal(value);
    case "time":
      return ofText(value, (text) =>
        /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(text) ? finite(Date.parse(text)) : null,
      );
  }
  if (!args.every(isNumber)) return null;
  const math: Record<string, (...numbers: number[]) => number> = {
    abs: Math.abs,
    min: Math.min,
    max: Math.max,
    round: (number) => Math.floor(number) + (number - Math.floor(number) >= 0.5 ? 1 : 0),
    floor: Math.floor,
    ceil: Math.ceil,
  };
  return math[name]?.(...args) ?? null;
}

function ofText(value: NaiveValue, apply: Text): NaiveValue {
  return typeof value === "string" ? apply(value) : null;
}

function isNumberText(text: string): boolean {
  return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text);
}

function finite(value: number): NaiveValue {
  return Number.isFinite(value) ? value : null;
}

function decimal(value: NaiveValue): NaiveValue {
  if (value instanceof Decimal) return value;
  if (!isNumber(value) && !(typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value))) return null;
  const made = Decimal.parse(String(value));
  return made.fits() ? made : null;
}

function substr(text: NaiveValue, start: NaiveValue, count: NaiveValue): NaiveValue {
  if (typeof text !== "string" || !isNumber(start) || !isNumber(count)) return null;
  const units = text.split("").slice(Math.max(0, Math.trunc(start)));
  return units.slice(0, Math.max(0, Math.trunc(count))).join("");
}

/**
 * The patterns of the tests mean the same to JavaScript, but for an inline flag and for characters
 * beyond U+FFFF.
 */
function asRegExp(pattern: string): RegExp {
  return pattern.startsWith("(?i)") ? new RegExp(pattern.slice(4), "iu") : new RegExp(pattern, "u");
}
