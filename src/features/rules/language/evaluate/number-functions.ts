import { LIMITS } from "../limits.ts";
import type { ArithmeticSymbol } from "../parse/tokens.ts";
import { addDecimals, decimalText, multiplyDecimals, subtractDecimals } from "./decimal.ts";
import type { Value } from "./value.ts";

/** JSON's number, leading zeros allowed. Number() alone would also take "", " 1 ", "0x10" and "Infinity". */
const NUMBER = /^-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;

export const abs = ofNumber(Math.abs);
export const floor = ofNumber(Math.floor);
export const ceil = ofNumber(Math.ceil);
/** To the nearest whole number, halves upwards: 2.5 gives 3, -2.5 gives -2. */
export const round = ofNumber(Math.round);
export const min = ofNumbers(Math.min);
export const max = ofNumbers(Math.max);

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

/** `number(x)`: a number from a string that is one, or the double nearest to a decimal. */
export function number(value: Value): Value {
  return numberOf(value);
}

export function numberOf(value: Value): number | null {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(decimalText(value));
  if (typeof value !== "string" || value.length > LIMITS.convertedUnits || !NUMBER.test(value)) return null;
  return finite(Number(value));
}

/** `string(x)` of a string, number, boolean or decimal; numbers as JSON writes them. Null for all else. */
export function string(value: Value): Value {
  return scalarText(value);
}

/** The text of a scalar other than null; null for null, lists and objects. */
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
 * `+ - * / %` of two numbers, `+ - *` of decimals and numbers too. Null for every other pair of types, for a divisor 0, for a result
 * that is not finite and for one that is no decimal of four places.
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
  // A divisor 0 needs no test of its own: the result is infinite or NaN.
  "/": (left, right) => (typeof left === "number" && typeof right === "number" ? finite(left / right) : null),
  "%": (left, right) => (typeof left === "number" && typeof right === "number" ? finite(left % right) : null),
};

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
