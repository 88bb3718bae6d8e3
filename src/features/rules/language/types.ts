import { isList, type Value } from "./evaluate/values.ts";
import type { Path } from "./event.ts";
import type { ArithmeticSymbol, ComparisonSymbol } from "./parse/tokens.ts";
import { type Node, type NodeOf, signatureOf, type ValueType } from "./parse/tree.ts";

type Types = ReadonlySet<ValueType>;

const ANY: Types = new Set(["null", "boolean", "number", "text", "list", "object"]);
const NUMBERS: Types = new Set(["number", "null"]);
const DECIMALS: Types = new Set(["number", "decimal", "null"]);
const NUMBER: Types = new Set(["number"]);
const BOOLEAN: Types = new Set(["boolean"]);
const OBJECT: Types = new Set(["object"]);
const TEXT: Types = new Set(["text"]);
const TEXT_OR_NULL: Types = new Set(["text", "null"]);

export function typeOf(value: Value): ValueType {
  switch (typeof value) {
    case "bigint":
      return "decimal";
    case "string":
      return "text";
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    default:
      return value === null ? "null" : isList(value) ? "list" : "object";
  }
}

/** Whether `node` can have a value of `type` for some event. */
export function mayBe(type: ValueType, node: Node): boolean {
  return node.kind === "literal" ? typeOf(node.value) === type : typesOf(node).has(type);
}

/** The possible types of `node` for any event: a member of the payload can have any JSON type. */
export function typesOf(node: Node): Types {
  switch (node.kind) {
    case "literal":
      return new Set([typeOf(node.value)]);
    case "path":
      return typesOfPath(node.path);
    case "item":
      return ANY;
    case "quantifier":
      return node.name === "count" ? NUMBERS : BOOLEAN;
    case "clock":
      return NUMBER;
    case "list":
      return new Set(["list"]);
    case "call":
      return typesOfCall(node);
    case "coalesce":
      return union(node.args);
    case "choice":
      return union([node.chosen, node.otherwise]);
    case "negate":
      return typesOf(node.operand).has("decimal") ? DECIMALS : NUMBERS;
    case "arithmetic":
      return typesOf(node.left).has("decimal") || typesOf(node.right).has("decimal") ? DECIMALS : NUMBERS;
    default:
      return BOOLEAN;
  }
}

function typesOfPath(path: Path): Types {
  const [member, ...rest] = path;
  if (member === undefined) return OBJECT;
  if (member === "payload" && rest.length > 0) return ANY;
  if (rest.length > 0) return rest[0] === "length" ? NUMBERS : new Set(["null"]);
  if (member === "payload") return OBJECT;
  return member === "source" ? TEXT_OR_NULL : TEXT;
}

function typesOfCall({ name }: NodeOf<"call">): Types {
  const { result } = signatureOf(name);
  return result === "argument" ? ANY : new Set([result, "null"]);
}

function union(nodes: readonly Node[]): Types {
  return new Set(nodes.flatMap((node) => [...typesOf(node)]));
}

/** Why two values give no result together, and what to write instead. */
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

/**
 * Why `left operator right` is never true, or is null, for values of these types. @returns null if
 * it can be something else
 */
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

/** The mismatch shared by all possible pairs; null if a pair has none, or only null is possible. */
export function sureMismatch(operator: Operator, left: Types, right: Types): Mismatch | null {
  let first: Mismatch | null = null;
  for (const leftType of left) {
    for (const rightType of right) {
      if (leftType === "null" || rightType === "null") continue;
      const mismatch = mismatchOf(operator, leftType, rightType);
      if (mismatch === null) return null;
      // Most authors mean a text; the rarer types come later.
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
