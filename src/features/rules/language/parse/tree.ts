import type { Pattern } from "../patterns/pattern.ts";
import type { Path } from "./path.ts";
import type { Literal } from "./sequence.ts";
import type { FunctionName } from "./signatures.ts";
import type { ArithmeticSymbol, ComparisonSymbol } from "./tokens.ts";

/** Where an expression stands in the source, without parentheses around it; in UTF-16 units. */
export interface Extent {
  readonly start: number;
  readonly end: number;
}

/** Functions whose arguments are values, all of them wanted; the others are nodes of their own. */
export type PlainFunctionName = Exclude<FunctionName, "exists" | "matches" | "if" | "coalesce">;

/** A condition that has passed every check. `a and b and c` is one node; arithmetic leans to the left. */
export type Node = Extent &
  (
    | { readonly kind: "literal"; readonly value: Literal }
    | { readonly kind: "path"; readonly path: Path }
    | { readonly kind: "list"; readonly items: readonly Node[] }
    | { readonly kind: "call"; readonly name: PlainFunctionName; readonly args: readonly Node[] }
    | { readonly kind: "exists"; readonly path: Path }
    | {
        readonly kind: "matches";
        readonly subject: Node;
        readonly pattern: Pattern;
        /** Of the literal, in the source. */
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

/**
 * What `node` is worth for every event, where that stands in the source: a literal, a negated number, a list of such.
 * `undefined` for everything else.
 */
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

/** The nodes directly below `node`, in source order. */
export function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case "literal":
    case "path":
    case "exists":
      return [];
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

/** `node` and all nodes below it, each before its children. */
export function* nodesOf(node: Node): Generator<Node> {
  yield node;
  for (const child of childrenOf(node)) yield* nodesOf(child);
}
