import { RE2JSException } from "re2js";
import { LIMITS } from "../limits.ts";
import { Refusal } from "../refusal.ts";
import { type Node, type NodeOf, nodesOf } from "./tree.ts";

/**
 * Compiles the patterns of a condition.
 *
 * @returns their size together, equal patterns once. @throws Refusal REGEX, LIMIT
 */
export function checkPatterns(root: Node): number {
  const sizes = new Map<string, number>();
  let total = 0;
  for (const node of nodesOf(root)) {
    if (node.kind !== "matches" || sizes.has(node.pattern.source)) continue;
    const size = sizeOf(node);
    sizes.set(node.pattern.source, size);
    total += size;
    if (total > LIMITS.conditionPatternSize) throw tooLarge(node, total);
  }
  return total;
}

function sizeOf({ pattern, patternAt }: NodeOf<"matches">): number {
  try {
    return pattern.measure();
  } catch (error) {
    if (error instanceof Refusal) throw new Refusal(error.code, patternAt, error.message);
    if (!(error instanceof RE2JSException)) throw error;
    throw new Refusal("REGEX", patternAt, `${error.message} (RE2 syntax: no look-around, no back-references)`);
  }
}

function tooLarge({ patternAt }: NodeOf<"matches">, total: number): Refusal {
  const most = LIMITS.conditionPatternSize;
  return new Refusal(
    "LIMIT",
    patternAt,
    `the patterns of a condition compile to ${total}; at most ${most} are allowed`,
  );
}
