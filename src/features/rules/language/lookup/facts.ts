import { MIRRORED } from "../evaluate/compare.ts";
import { type Path, pathKey } from "../parse/path.ts";
import type { ComparisonSymbol } from "../parse/tokens.ts";
import { constantOf, type Node, type NodeOf, scalarOf } from "../parse/tree.ts";

export type Scalar = string | number | boolean;

/**
 * Something that must hold of an event for a condition to be true. It need not be enough: the condition still decides. Facts exist so
 * that an index can leave a rule out without asking it.
 */
export type Fact =
  | { readonly kind: "equals"; readonly path: Path; readonly values: readonly Scalar[] }
  | { readonly kind: "prefix"; readonly path: Path; readonly prefix: string }
  /** The value is a number, and ≥ or ≤ the bound. */
  | { readonly kind: "atLeast" | "atMost"; readonly path: Path; readonly bound: number };

/** The facts `node` being true implies, in source order: those of all sides of an `and`, and what all sides of an `or` agree on. */
export function factsOf(node: Node): readonly Fact[] {
  switch (node.kind) {
    case "path":
      return [{ kind: "equals", path: node.path, values: [true] }];
    case "compare":
      return ofCompare(node);
    case "in":
      return ofIn(node);
    case "call":
      return ofCall(node);
    case "and":
      return node.operands.flatMap(factsOf);
    case "or":
      return ofOr(node);
    default:
      return [];
  }
}

function ofCompare({ operator, left, right }: NodeOf<"compare">): readonly Fact[] {
  if (left.kind === "path") return ofPathCompare(left.path, operator, right);
  return right.kind === "path" ? ofPathCompare(right.path, MIRRORED[operator], left) : [];
}

function ofPathCompare(path: Path, operator: ComparisonSymbol, other: Node): readonly Fact[] {
  const constant = scalarOf(other);
  if (constant === undefined || constant === null) return [];
  if (operator === "==") return [{ kind: "equals", path, values: [constant] }];
  if (operator === "!=" || typeof constant !== "number") return [];
  return [{ kind: operator.startsWith(">") ? "atLeast" : "atMost", path, bound: constant }];
}

function ofIn({ left, right }: NodeOf<"in">): readonly Fact[] {
  const constants = constantOf(right);
  if (left.kind !== "path" || !Array.isArray(constants)) return [];
  // Nothing equals null, so that a list of nulls alone gives a fact that never holds: as the condition never does.
  // Each once, -0 being 0: an entry that is filed twice would be found twice.
  const values = new Set<Scalar>(constants.filter((constant) => constant !== null));
  return [{ kind: "equals", path: left.path, values: [...values] }];
}

function ofCall({ name, args }: NodeOf<"call">): readonly Fact[] {
  const [text, start] = args;
  if (name !== "startsWith" || text?.kind !== "path" || start === undefined) return [];
  const prefix = scalarOf(start);
  return typeof prefix === "string" ? [{ kind: "prefix", path: text.path, prefix }] : [];
}

/** `a == 1 or a == 2` says what `a in [1, 2]` says. Facts of other kinds are not united: a range over two bounds finds little. */
function ofOr({ operands }: NodeOf<"or">): readonly Fact[] {
  const [first, ...others] = operands.map(equalsByPath);
  if (first === undefined) return [];
  const shared: Fact[] = [];
  for (const [key, { path, values }] of first) {
    const inOthers = others.map((facts) => facts.get(key));
    if (inOthers.every((fact) => fact !== undefined)) {
      shared.push({
        kind: "equals",
        path,
        values: [...new Set([...values, ...inOthers.flatMap((fact) => fact.values)])],
      });
    }
  }
  return shared;
}

function equalsByPath(node: Node): ReadonlyMap<string, Extract<Fact, { kind: "equals" }>> {
  const byPath = new Map<string, Extract<Fact, { kind: "equals" }>>();
  for (const fact of factsOf(node)) {
    if (fact.kind === "equals") byPath.set(pathKey(fact.path), fact);
  }
  return byPath;
}
