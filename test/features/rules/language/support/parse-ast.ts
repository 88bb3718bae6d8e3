import { parseCondition } from "../../../../../src/features/rules/language/parse/parse-condition.ts";
import type { Node } from "../../../../../src/features/rules/language/parse/tree.ts";
import type { Ast, BinaryOperator } from "./ast.ts";

/** Parses with Prism's parser and returns the tree in the tests' own form, without positions. */
export function parseAst(source: string): Ast {
  return toAst(parseCondition(source));
}

function toAst(node: Node): Ast {
  switch (node.kind) {
    case "literal":
      // A long integer by its double: the tests' own form has no others.
      return { kind: "literal", value: typeof node.value === "bigint" ? Number(node.value / 10_000n) : node.value };
    case "path":
      return { kind: "path", segments: node.path };
    case "item":
      return { kind: "item", segments: node.segments };
    case "itemExists":
      return { kind: "call", name: "exists", args: [{ kind: "item", segments: node.segments }] };
    case "quantifier":
      return { kind: "call", name: node.name, args: [toAst(node.list), toAst(node.each)] };
    case "clock":
      return { kind: "call", name: node.name, args: [{ kind: "literal", value: node.zone }] };
    case "list":
      return { kind: "list", items: node.items.map(toAst) };
    case "call":
      return { kind: "call", name: node.name, args: node.args.map(toAst) };
    case "coalesce":
      return { kind: "call", name: "coalesce", args: node.args.map(toAst) };
    case "exists":
      return { kind: "call", name: "exists", args: [{ kind: "path", segments: node.path }] };
    case "matches": {
      const pattern: Ast = { kind: "literal", value: node.pattern.source };
      return { kind: "call", name: "matches", args: [toAst(node.subject), pattern] };
    }
    case "choice":
      return {
        kind: "choice",
        condition: toAst(node.condition),
        chosen: toAst(node.chosen),
        otherwise: toAst(node.otherwise),
      };
    case "not":
      return { kind: "unary", operator: "not", operand: toAst(node.operand) };
    case "negate":
      return { kind: "unary", operator: "-", operand: toAst(node.operand) };
    case "arithmetic":
    case "compare":
      return binary(node.operator, toAst(node.left), toAst(node.right));
    case "in":
      return binary("in", toAst(node.left), toAst(node.right));
    case "and":
    case "or":
      return node.operands.map(toAst).reduce((left, right) => binary(node.kind, left, right));
  }
}

function binary(operator: BinaryOperator, left: Ast, right: Ast): Ast {
  return { kind: "binary", operator, left, right };
}

/**
 * The one form of conditions that mean and read the same: a path begins with its envelope member,
 * and `if(c, a, b)` is `c ? a : b`.
 */
export function canonical(ast: Ast): Ast {
  switch (ast.kind) {
    case "literal":
    case "item":
      return ast;
    case "path":
      return { kind: "path", segments: canonicalPath(ast.segments) };
    case "list":
      return { ...ast, items: ast.items.map(canonical) };
    case "call": {
      const args = ast.args.map(canonical);
      const [condition, chosen, otherwise] = args;
      if (ast.name === "if" && condition && chosen && otherwise)
        return { kind: "choice", condition, chosen, otherwise };
      return { ...ast, args };
    }
    case "unary":
      return { ...ast, operand: canonical(ast.operand) };
    case "binary":
      return binary(ast.operator, canonical(ast.left), canonical(ast.right));
    case "choice":
      return {
        kind: "choice",
        condition: canonical(ast.condition),
        chosen: canonical(ast.chosen),
        otherwise: canonical(ast.otherwise),
      };
  }
}

const ENVELOPE = ["id", "type", "source", "level", "projectId", "occurredAt", "receivedAt", "payload", "correlationId"];

function canonicalPath(segments: readonly (string | number)[]): readonly (string | number)[] {
  const [first] = segments;
  return first === undefined || ENVELOPE.includes(String(first)) ? segments : ["payload", ...segments];
}
