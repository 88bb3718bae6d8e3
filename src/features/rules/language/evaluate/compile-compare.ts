import type { Literal } from "../parse/sequence.ts";
import { mayBe } from "../parse/static-type.ts";
import type { ComparisonSymbol } from "../parse/tokens.ts";
import { constantOf, type Node, type NodeOf, scalarOf } from "../parse/tree.ts";
import { COMPARISONS, type Comparison, MIRRORED } from "./compare.ts";
import { evaluationBudget, FREE_UNITS } from "./evaluation-budget.ts";
import { holds, isSameText } from "./list-search.ts";
import type { Read } from "./read-path.ts";
import { isList } from "./value.ts";

/** @param left, right the compiled sides of `node`. */
export function compileCompare(node: NodeOf<"compare">, left: Read, right: Read): Read {
  // Before other constants: in `null != 5` it is the null that makes the comparison a test for null.
  if (isNullLiteral(node.right)) return nullTest(node.operator, left);
  if (isNullLiteral(node.left)) return nullTest(node.operator, right);
  const rightConstant = scalarOf(node.right);
  if (rightConstant !== undefined) return compareWith(node.operator, left, rightConstant, node.left);
  const leftConstant = scalarOf(node.left);
  if (leftConstant !== undefined) return compareWith(MIRRORED[node.operator], right, leftConstant, node.right);
  return compareTwo(node.operator, left, right);
}

/** Of two values of the event, which can be long texts. */
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
 * `read operator constant`. Nearly every comparison of every rule has a constant side, whose type decides here, once, what would
 * otherwise be asked for each event.
 */
function compareWith(operator: ComparisonSymbol, read: Read, constant: Literal, other: Node): Read {
  const mayBeMixed = typeof constant === "number" && mayBe("decimal", other);
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

/** Only a written `null` asks for null; a value that happens to be null makes every comparison false (D26). */
function nullTest(operator: ComparisonSymbol, read: Read): Read {
  if (operator === "==") return (event) => read(event) === null;
  if (operator === "!=") return (event) => read(event) !== null;
  return () => false;
}

function orderNumber(operator: Exclude<ComparisonSymbol, "==" | "!=">, read: Read, bound: number): Read {
  switch (operator) {
    case "<":
      return (event) => {
        const value = read(event);
        return typeof value === "number" && value < bound;
      };
    case "<=":
      return (event) => {
        const value = read(event);
        return typeof value === "number" && value <= bound;
      };
    case ">":
      return (event) => {
        const value = read(event);
        return typeof value === "number" && value > bound;
      };
    case ">=":
      return (event) => {
        const value = read(event);
        return typeof value === "number" && value >= bound;
      };
  }
}

/** @param left, right the compiled sides of `node`. */
export function compileIn(node: NodeOf<"in">, left: Read, right: Read): Read {
  const constants = constantOf(node.right);
  if (Array.isArray(constants) && !mayBe("decimal", node.left)) {
    const values: ReadonlySet<unknown> = new Set(constants.filter((constant) => constant !== null));
    return (event) => values.has(left(event));
  }
  return (event) => {
    const value = left(event);
    const list = right(event);
    return isList(list) && holds(list, value);
  };
}
