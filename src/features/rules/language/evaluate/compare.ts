import type { Read } from "../event.ts";
import type { ComparisonSymbol } from "../parse/tokens.ts";
import { constantOf, type Literal, type Node, type NodeOf, scalarOf } from "../parse/tree.ts";
import { mayBe } from "../types.ts";
import { compareToNumber, evaluationBudget, FREE_UNITS, isList, toValue, type Value } from "./values.ts";

/** @param left, right the compiled sides of `node`. */
export function compileCompare(node: NodeOf<"compare">, left: Read, right: Read): Read {
  // Before other constants: in `null != 5` the null makes it a test for null.
  if (isNullLiteral(node.right)) return nullTest(node.operator, left);
  if (isNullLiteral(node.left)) return nullTest(node.operator, right);
  const rightConstant = scalarOf(node.right);
  if (rightConstant !== undefined) return compareWith(node.operator, left, rightConstant, node.left);
  const leftConstant = scalarOf(node.left);
  if (leftConstant !== undefined) return compareWith(MIRRORED[node.operator], right, leftConstant, node.right);
  return compareTwo(node.operator, left, right);
}

/** Compares two values of the event, which can be long texts. */
function compareTwo(operator: ComparisonSymbol, left: Read, right: Read): Read {
  const compare = COMPARISONS[operator];
  if (operator === "==" || operator === "!=") return equalTwo(compare, operator === "==", left, right);
  return (event) => {
    const first = left(event);
    const second = right(event);
    if (typeof first === "string" && first.length > FREE_UNITS && typeof second === "string")
      evaluationBudget.charge(Math.min(first.length, second.length) >>> 2);
    return compare(first, second);
  };
}

function equalTwo(compare: Comparison, isWanted: boolean, left: Read, right: Read): Read {
  return (event) => {
    const first = left(event);
    const second = right(event);
    if (typeof first !== "string" || typeof second !== "string") return compare(first, second);
    return isSameText(first, second) === isWanted;
  };
}

/**
 * `read operator constant`. Nearly every comparison has a constant side. Its type is decided once
 * here instead of for each event.
 */
function compareWith(operator: ComparisonSymbol, read: Read, constant: Literal, other: Node): Read {
  const isLongConstant = typeof constant === "bigint";
  const mayBeMixed = isLongConstant || (typeof constant === "number" && mayBe("decimal", other));
  if (operator === "==" && !mayBeMixed) return (event) => read(event) === constant;
  if (operator === "!=" && !mayBeMixed) return differs(read, constant);
  if (operator !== "==" && operator !== "!=" && typeof constant === "number" && !mayBeMixed) {
    return orderNumber(operator, read, constant);
  }
  const compare = COMPARISONS[operator];
  return (event) => compare(read(event), constant);
}

function differs(read: Read, constant: Literal): Read {
  return (event) => {
    const value = read(event);
    return value !== null && value !== constant;
  };
}

function isNullLiteral(node: Node): boolean {
  return node.kind === "literal" && node.value === null;
}

/** Only a literal `null` tests for null; any other null makes every comparison false. */
function nullTest(operator: ComparisonSymbol, read: Read): Read {
  if (operator === "==") return (event) => read(event) === null;
  if (operator === "!=") return (event) => read(event) !== null;
  return () => false;
}

/** An integer of an event that a double cannot hold. */
function isLong(value: Value): value is bigint {
  return typeof value === "bigint";
}

function orderNumber(operator: Exclude<ComparisonSymbol, "==" | "!=">, read: Read, bound: number): Read {
  switch (operator) {
    case "<":
      return (event) => {
        const value = read(event);
        return typeof value === "number" ? value < bound : isLong(value) && compareToNumber(value, bound) < 0;
      };
    case "<=":
      return (event) => {
        const value = read(event);
        return typeof value === "number" ? value <= bound : isLong(value) && compareToNumber(value, bound) <= 0;
      };
    case ">":
      return (event) => {
        const value = read(event);
        return typeof value === "number" ? value > bound : isLong(value) && compareToNumber(value, bound) > 0;
      };
    case ">=":
      return (event) => {
        const value = read(event);
        return typeof value === "number" ? value >= bound : isLong(value) && compareToNumber(value, bound) >= 0;
      };
  }
}

/** @param left, right the compiled sides of `node`. */
export function compileIn(node: NodeOf<"in">, left: Read, right: Read): Read {
  const constants = constantOf(node.right);
  if (Array.isArray(constants) && !constants.some(isLong) && !mayBe("decimal", node.left)) {
    const values: ReadonlySet<unknown> = new Set(constants.filter((constant) => constant !== null));
    return (event) => values.has(left(event));
  }
  return (event) => {
    const value = left(event);
    const list = right(event);
    return isList(list) && holds(list, value);
  };
}

type Comparison = (left: Value, right: Value) => boolean;

/**
 * The six comparisons. A null on either side makes each of them false. Types are never converted,
 * except that a decimal and a number compare exactly. Lists and objects equal nothing.
 */
const COMPARISONS: Readonly<Record<ComparisonSymbol, Comparison>> = {
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

function isEqual(left: Value, right: Value): boolean {
  if (left === null || right === null || typeof left === "object") return false;
  if (typeof left === typeof right) return left === right;
  return typeof left === "bigint" || typeof right === "bigint" ? order(left, right) === 0 : false;
}

/** Negative, 0 or positive for ordered values; NaN otherwise. */
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
 * Orders by code point. JavaScript's `<` compares UTF-16 units, which puts characters above U+FFFF
 * before U+E000, so other implementations would disagree.
 */
function compareCodePoints(left: string, right: string): number {
  const shared = Math.min(left.length, right.length);
  let at = 0;
  while (at < shared && left.charCodeAt(at) === right.charCodeAt(at)) at += 1;
  if (at === shared) return left.length - right.length;
  // If the second halves of two pairs differ, the code points differ from the first half on.
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

const FREE_ELEMENTS = 16;
/** Comparing a decimal with a fractional number takes about half a microsecond. */
const DECIMAL_STEPS = 50;

/** Whether an element of `list` equals `value`. @throws ConditionTooCostly */
export function holds(list: readonly unknown[], value: Value): boolean {
  if (typeof value === "bigint") evaluationBudget.charge(list.length * DECIMAL_STEPS);
  else if (list.length > FREE_ELEMENTS) evaluationBudget.charge(list.length);
  if (typeof value === "string") return list.some((element) => isSameText(element, value));
  return list.some((element) => isEqual(toValue(element), value));
}

/** Whether `other` is the same text as `text`. @throws ConditionTooCostly */
function isSameText(other: unknown, text: string): boolean {
  if (text.length <= FREE_UNITS) return other === text;
  if (typeof other !== "string" || other.length !== text.length) return false;
  evaluationBudget.charge(text.length >>> 4);
  return other === text;
}
