import type { ArithmeticSymbol, ComparisonSymbol } from "../parse/tokens.ts";
import type { Types, ValueType } from "./value-types.ts";

/** Why two values give nothing together, and what to write instead. */
export interface Mismatch {
  readonly code:
    | "LIST_COMPARED"
    | "TEXT_AND_NUMBER"
    | "TYPES_DIFFER"
    | "NOT_ORDERED"
    | "TEXT_ADDED"
    | "DECIMAL_DIVISION"
    | "NO_ARITHMETIC"
    | "TEXT_SEARCHED"
    | "NOT_A_LIST";
  readonly message: string;
}

type Operator = ComparisonSymbol | ArithmeticSymbol | "in";

/** Why `left operator right` is never true, or null, for values of these types. @returns null where it can be something else */
export function mismatchOf(operator: Operator, left: ValueType, right: ValueType): Mismatch | null {
  if (left === "null" || right === "null") return null;
  switch (operator) {
    case "in":
      return inMismatch(left, right);
    case "+":
    case "-":
    case "*":
    case "/":
    case "%":
      return arithmeticMismatch(operator, left, right);
    default:
      return compareMismatch(operator, left, right);
  }
}

/** The mismatch that all possible pairs have; null where some pair has none, or nothing but null is possible. */
export function sureMismatch(operator: Operator, left: Types, right: Types): Mismatch | null {
  let first: Mismatch | null = null;
  for (const leftType of left) {
    for (const rightType of right) {
      if (leftType === "null" || rightType === "null") continue;
      const mismatch = mismatchOf(operator, leftType, rightType);
      if (mismatch === null) return null;
      // A text is what most authors meant; the rarer types come later.
      if (first === null || mismatch.code === "TEXT_AND_NUMBER" || mismatch.code === "TEXT_ADDED") first = mismatch;
    }
  }
  return first;
}

function compareMismatch(operator: ComparisonSymbol, left: ValueType, right: ValueType): Mismatch | null {
  if (isCompound(left) || isCompound(right))
    return {
      code: "LIST_COMPARED",
      message: "lists and objects equal nothing; write contains(list, x), or length(list) == 0",
    };
  const isOrdered = operator !== "==" && operator !== "!=";
  if (isNumeric(left) && isNumeric(right)) return null;
  if ((left === "text" && isNumeric(right)) || (right === "text" && isNumeric(left)))
    return {
      code: "TEXT_AND_NUMBER",
      message: "types are never converted: write number(x) or dec(x) around the text",
    };
  if (left !== right) return { code: "TYPES_DIFFER", message: `a ${left} and a ${right} never compare` };
  if (left === "boolean" && isOrdered) return { code: "NOT_ORDERED", message: "true and false have no order" };
  return null;
}

function arithmeticMismatch(operator: ArithmeticSymbol, left: ValueType, right: ValueType): Mismatch | null {
  if (isNumeric(left) && isNumeric(right)) {
    const isDivision = operator === "/" || operator === "%";
    if (!isDivision || (left === "number" && right === "number")) return null;
    return { code: "DECIMAL_DIVISION", message: `decimals have no ${operator}; write number(x) ${operator} y` };
  }
  if (operator === "+" && (left === "text" || right === "text"))
    return {
      code: "TEXT_ADDED",
      message: "+ adds numbers; join texts with concat(a, b), convert with number(x) or dec(x)",
    };
  const culprit = isNumeric(left) ? right : left;
  return { code: "NO_ARITHMETIC", message: `a ${culprit} has no ${operator}; convert with number(x) or dec(x)` };
}

function inMismatch(left: ValueType, right: ValueType): Mismatch | null {
  if (right === "text")
    return { code: "TEXT_SEARCHED", message: "in looks into lists; write contains(text, part) for a part of a text" };
  if (right !== "list") return { code: "NOT_A_LIST", message: `in looks into lists, not into a ${right}` };
  if (isCompound(left)) return { code: "LIST_COMPARED", message: "lists and objects equal nothing, also in a list" };
  return null;
}

function isCompound(type: ValueType): boolean {
  return type === "list" || type === "object";
}

function isNumeric(type: ValueType): boolean {
  return type === "number" || type === "decimal";
}
