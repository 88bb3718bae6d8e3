import type { Path } from "../event.ts";
import type { Pattern } from "../patterns.ts";
import type { ArithmeticSymbol, ComparisonSymbol } from "./tokens.ts";

/** Types of values, as named in messages. */
export type ValueType = "null" | "boolean" | "number" | "decimal" | "text" | "list" | "object";

interface Signature {
  /** Minimum and maximum number of arguments. */
  readonly min: number;
  readonly max: number;
  /** Types of each argument; the last entry is for all further ones. Undefined for any type. */
  readonly takes?: readonly (readonly ValueType[])[];
  /** `argument`: the type of the selected argument. */
  readonly result: ValueType | "argument";
}

const TEXT = ["text"] as const;
const NUMBER = ["number"] as const;
const TEXT_OR_LIST = ["text", "list"] as const;
const SCALAR = ["text", "number", "boolean", "decimal"] as const;
const NUMERIC = ["text", "number", "decimal"] as const;

/** Every function of the language. Other names are refused. */
const SIGNATURES = {
  exists: { min: 1, max: 1, result: "boolean" },
  lower: { min: 1, max: 1, takes: [TEXT], result: "text" },
  upper: { min: 1, max: 1, takes: [TEXT], result: "text" },
  trim: { min: 1, max: 1, takes: [TEXT], result: "text" },
  length: { min: 1, max: 1, takes: [TEXT_OR_LIST], result: "number" },
  contains: { min: 2, max: 2, takes: [TEXT_OR_LIST, SCALAR], result: "boolean" },
  startsWith: { min: 2, max: 2, takes: [TEXT], result: "boolean" },
  endsWith: { min: 2, max: 2, takes: [TEXT], result: "boolean" },
  matches: { min: 2, max: 2, result: "boolean" },
  concat: { min: 1, max: 8, takes: [TEXT], result: "text" },
  substr: { min: 3, max: 3, takes: [TEXT, NUMBER], result: "text" },
  split: { min: 2, max: 2, takes: [TEXT], result: "list" },
  abs: { min: 1, max: 1, takes: [NUMBER], result: "number" },
  min: { min: 1, max: 8, takes: [NUMBER], result: "number" },
  max: { min: 1, max: 8, takes: [NUMBER], result: "number" },
  round: { min: 1, max: 1, takes: [NUMBER], result: "number" },
  floor: { min: 1, max: 1, takes: [NUMBER], result: "number" },
  ceil: { min: 1, max: 1, takes: [NUMBER], result: "number" },
  number: { min: 1, max: 1, takes: [NUMERIC], result: "number" },
  string: { min: 1, max: 1, takes: [SCALAR], result: "text" },
  dec: { min: 1, max: 1, takes: [NUMERIC], result: "decimal" },
  time: { min: 1, max: 1, takes: [TEXT], result: "number" },
  now: { min: 0, max: 0, result: "number" },
  hour: { min: 0, max: 1, result: "number" },
  weekday: { min: 0, max: 1, result: "number" },
  any: { min: 2, max: 2, result: "boolean" },
  all: { min: 2, max: 2, result: "boolean" },
  count: { min: 2, max: 2, result: "number" },
  replace: { min: 3, max: 3, takes: [TEXT], result: "text" },
  join: { min: 2, max: 2, takes: [["list"], TEXT], result: "text" },
  firstLine: { min: 1, max: 1, takes: [TEXT], result: "text" },
  stripHtml: { min: 1, max: 1, takes: [TEXT], result: "text" },
  parseJson: { min: 1, max: 1, takes: [TEXT], result: "argument" },
  at: {
    min: 2,
    max: 2,
    takes: [
      ["list", "object"],
      ["number", "text"],
    ],
    result: "argument",
  },
  pluck: { min: 2, max: 2, takes: [["list"], TEXT], result: "list" },
  pairs: { min: 1, max: 3, takes: [["list"], TEXT], result: "object" },
  first: { min: 1, max: 16, result: "argument" },
  firstText: { min: 1, max: 16, result: "text" },
  lookup: { min: 3, max: 64, result: "argument" },
  coalesce: { min: 1, max: 8, result: "argument" },
  if: { min: 3, max: 3, result: "argument" },
} as const satisfies Record<string, Signature>;

export type FunctionName = keyof typeof SIGNATURES;

export const FUNCTION_NAMES = Object.keys(SIGNATURES) as readonly FunctionName[];

/** Names of functions in other languages, in lower case. */
export const OTHER_NAMES: ReadonlyMap<string, FunctionName> = new Map([
  ["len", "length"],
  ["size", "length"],
  ["includes", "contains"],
  ["has", "exists"],
  ["match", "matches"],
  ["regex", "matches"],
  ["tolower", "lower"],
  ["toupper", "upper"],
  ["decimal", "dec"],
  ["int", "number"],
  ["str", "string"],
  ["date", "time"],
  ["substring", "substr"],
  ["some", "any"],
  ["every", "all"],
  ["filter", "count"],
  ["dayofweek", "weekday"],
]);

export function isFunctionName(name: string): name is FunctionName {
  return Object.hasOwn(SIGNATURES, name);
}

export function signatureOf(name: FunctionName): Signature {
  return SIGNATURES[name];
}

/** Extent of an expression in the source, without its parentheses; in UTF-16 units. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

/** A value written in the source. */
/** A bigint is an integer that a double cannot hold, as a decimal. */
export type Literal = null | boolean | number | string | bigint;

/** Functions that evaluate a condition for each element of a list, bound to the name {@link ITEM}. */
export type QuantifierName = "any" | "all" | "count";

/** Functions that read the time of the event in a zone. */
export type ClockFunctionName = "hour" | "weekday";

/** Functions that evaluate all their arguments; the others have their own nodes. */
export type PlainFunctionName = Exclude<
  FunctionName,
  QuantifierName | ClockFunctionName | "exists" | "matches" | "if" | "coalesce"
>;

/** The element of a list within the second argument of a quantifier. */
export const ITEM = "item";

export function isQuantifier(name: string): name is QuantifierName {
  return name === "any" || name === "all" || name === "count";
}

/** A condition that passed every check. `a and b and c` is one node; `a - b - c` is two. */
export type Node = Extent &
  (
    | { readonly kind: "literal"; readonly value: Literal }
    | { readonly kind: "path"; readonly path: Path }
    | { readonly kind: "list"; readonly items: readonly Node[] }
    | { readonly kind: "call"; readonly name: PlainFunctionName; readonly args: readonly Node[] }
    | { readonly kind: "exists"; readonly path: Path }
    /** A member of the element of the innermost quantifier; the element itself for no segments. */
    | { readonly kind: "item"; readonly segments: Path }
    | { readonly kind: "itemExists"; readonly segments: Path }
    | { readonly kind: "quantifier"; readonly name: QuantifierName; readonly list: Node; readonly each: Node }
    | { readonly kind: "clock"; readonly name: ClockFunctionName; readonly zone: string }
    | {
        readonly kind: "matches";
        readonly subject: Node;
        readonly pattern: Pattern;
        /** Position of the literal in the source. */
        readonly patternAt: number;
      }
    | { readonly kind: "coalesce"; readonly args: readonly Node[] }
    | { readonly kind: "choice"; readonly condition: Node; readonly chosen: Node; readonly otherwise: Node }
    | { readonly kind: "not"; readonly operand: Node }
    | { readonly kind: "negate"; readonly operand: Node }
    | { readonly kind: "arithmetic"; readonly operator: ArithmeticSymbol; readonly left: Node; readonly right: Node }
    | { readonly kind: "compare"; readonly operator: ComparisonSymbol; readonly left: Node; readonly right: Node }
    | { readonly kind: "in"; readonly left: Node; readonly right: Node }
    | { readonly kind: "and"; readonly operands: readonly Node[] }
    | { readonly kind: "or"; readonly operands: readonly Node[] }
  );

export type NodeOf<Kind extends Node["kind"]> = Extract<Node, { readonly kind: Kind }>;

/** The constant value of `node`: a literal, a negated number, a list of such; or `undefined`. */
export function constantOf(node: Node): Literal | readonly Literal[] | undefined {
  switch (node.kind) {
    case "literal":
      return node.value;
    case "negate": {
      const operand = constantOf(node.operand);
      return typeof operand === "number" ? -operand : undefined;
    }
    case "list": {
      const items = node.items.map(scalarOf);
      return items.every((item) => item !== undefined) ? items : undefined;
    }
    default:
      return undefined;
  }
}

/** As `constantOf`, without lists. */
export function scalarOf(node: Node): Literal | undefined {
  const constant = constantOf(node);
  return typeof constant === "object" && constant !== null ? undefined : constant;
}

function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case "literal":
    case "path":
    case "exists":
    case "item":
    case "itemExists":
    case "clock":
      return [];
    case "quantifier":
      return [node.list, node.each];
    case "list":
      return node.items;
    case "call":
    case "coalesce":
      return node.args;
    case "matches":
      return [node.subject];
    case "choice":
      return [node.condition, node.chosen, node.otherwise];
    case "not":
    case "negate":
      return [node.operand];
    case "arithmetic":
    case "compare":
    case "in":
      return [node.left, node.right];
    case "and":
    case "or":
      return node.operands;
  }
}

/** `node` and all nodes below it, parents first. */
export function* nodesOf(node: Node): Generator<Node> {
  yield node;
  for (const child of childrenOf(node)) yield* nodesOf(child);
}
