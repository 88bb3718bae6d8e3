import { numberOf } from "../evaluate/number-functions.ts";
import type { Value } from "../evaluate/value.ts";
import { constantOf, type Node, type NodeOf } from "../parse/tree.ts";
import { mismatchOf } from "./mismatch.ts";
import { typeOf } from "./value-types.ts";

/**
 * Why a comparison or an arithmetic step gave nothing, where its values say so.
 *
 * @param values of the nodes that were evaluated before it.
 */
export function hintOf(node: Node, value: Value, values: ReadonlyMap<Node, Value>): string | null {
  if (node.kind !== "compare" && node.kind !== "in" && node.kind !== "arithmetic") return null;
  const left = knownValue(node.left, values);
  const right = knownValue(node.right, values);
  const operator = node.kind === "in" ? "in" : node.operator;
  const mismatch = mismatchOf(operator, typeOf(left), typeOf(right));
  if (mismatch) return mismatch.message;
  if (node.kind === "arithmetic") return value === null ? whyNothing(node, left, right) : null;
  return node.kind === "compare" ? textOrder(node, left, right) : null;
}

/** Comparisons with a constant never evaluate it. */
function knownValue(node: Node, values: ReadonlyMap<Node, Value>): Value {
  return values.get(node) ?? constantOf(node) ?? null;
}

function whyNothing({ operator }: NodeOf<"arithmetic">, left: Value, right: Value): string | null {
  if (left === null || right === null) return null;
  if (operator === "/" || operator === "%") return "the divisor is 0";
  const isDecimal = typeof left === "bigint" || typeof right === "bigint";
  return isDecimal
    ? "the exact result has more than four decimal places or 15 digits before the point"
    : "the result is too large";
}

/** `"9" < "1000"` is false, and so is what the author meant, or not: by chance. */
function textOrder({ operator }: NodeOf<"compare">, left: Value, right: Value): string | null {
  if (operator === "==" || operator === "!=" || typeof left !== "string" || typeof right !== "string") return null;
  if (numberOf(left) === null || numberOf(right) === null) return null;
  return "these texts are ordered by character, not as numbers; write dec(x) on both sides";
}
