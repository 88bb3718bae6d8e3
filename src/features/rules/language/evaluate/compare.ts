import type { ComparisonSymbol } from "../parse/tokens.ts";
import { compareToNumber } from "./decimal.ts";
import type { Value } from "./value.ts";

export type Comparison = (left: Value, right: Value) => boolean;

/**
 * The six comparisons (contract 6.3). A null on either side makes each of them false (D26); types are never converted, except that a
 * decimal and a number compare exactly; lists and objects equal nothing.
 */
export const COMPARISONS: Readonly<Record<ComparisonSymbol, Comparison>> = {
  "==": isEqual,
  "!=": (left, right) => left !== null && right !== null && !isEqual(left, right),
  "<": (left, right) => order(left, right) < 0,
  "<=": (left, right) => order(left, right) <= 0,
  ">": (left, right) => order(left, right) > 0,
  ">=": (left, right) => order(left, right) >= 0,
};

/** `5 < x` is `x > 5`. */
export const MIRRORED: Readonly<Record<ComparisonSymbol, ComparisonSymbol>> = {
  "==": "==",
  "!=": "!=",
  "<": ">",
  "<=": ">=",
  ">": "<",
  ">=": "<=",
};

/** `left == right`. */
export function isEqual(left: Value, right: Value): boolean {
  if (left === null || right === null || typeof left === "object") return false;
  if (typeof left === typeof right) return left === right;
  return typeof left === "bigint" || typeof right === "bigint" ? order(left, right) === 0 : false;
}

/** Negative, 0 or positive where the values have an order; NaN, which is none of these, where they have not. */
function order(left: Value, right: Value): number {
  switch (typeof left) {
    case "number":
      if (typeof right === "number") return left - right;
      return typeof right === "bigint" ? -compareToNumber(right, left) : Number.NaN;
    case "bigint":
      if (typeof right === "bigint") return left < right ? -1 : left > right ? 1 : 0;
      return typeof right === "number" ? compareToNumber(left, right) : Number.NaN;
    case "string":
      return typeof right === "string" ? compareCodePoints(left, right) : Number.NaN;
    default:
      return Number.NaN;
  }
}

/**
 * Order by code point. JavaScript's own `<` compares UTF-16 units, by which every character above U+FFFF comes before U+E000: two
 * programs reading the same rule would not agree.
 */
function compareCodePoints(left: string, right: string): number {
  const shared = Math.min(left.length, right.length);
  let at = 0;
  while (at < shared && left.charCodeAt(at) === right.charCodeAt(at)) at += 1;
  if (at === shared) return left.length - right.length;
  // Where the units differ in the second half of a pair, the code points differ from its first half on.
  const from = at > 0 && isHighSurrogate(left.charCodeAt(at - 1)) ? at - 1 : at;
  const difference = codePointAt(left, from) - codePointAt(right, from);
  return difference === 0 ? codePointAt(left, at) - codePointAt(right, at) : difference;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function codePointAt(text: string, at: number): number {
  return text.codePointAt(at) ?? 0;
}
