import { RE2JSException } from "re2js";
import { InvalidCondition, Refusal } from "../errors.ts";
import { unitsOfCodePoints } from "../evaluate/values.ts";
import { LIMITS } from "../limits.ts";
import { mayBe } from "../types.ts";
import { buildTree } from "./build-tree.ts";
import type { NameSet } from "./path.ts";
import { checkSequence } from "./sequence.ts";
import { type TokenList, tokenize } from "./tokens.ts";
import { type Node, type NodeOf, nodesOf } from "./tree.ts";

/**
 * Parses a condition in steps, each relying on the one before: characters to tokens, order of
 * tokens, precedence (expr-eval) and tree, type of the result. Patterns are not compiled: see
 * {@link measurePatterns}.
 * @throws InvalidCondition for an invalid condition, and nothing else. Takes linear time.
 */
export function parseCondition(source: string, names?: NameSet): Node {
  return refusing(source, () => {
    const { tokens, root } = parse(source, names);
    if (!mayBe("boolean", root)) {
      throw new Refusal("TYPE", tokens.at(0).start, "the result of a condition must be true or false", ["condition"]);
    }
    return root;
  });
}

/** Parses an expression whose value has any type. @throws InvalidCondition */
export function parseExpression(source: string, names: NameSet): Node {
  return refusing(source, () => parse(source, names).root);
}

function parse(source: string, names?: NameSet): { readonly tokens: TokenList; readonly root: Node } {
  const tooLong = unitsOfCodePoints(source, LIMITS.sourceCharacters);
  if (tooLong !== -1) {
    throw new Refusal("LIMIT", tooLong, `a condition has at most ${LIMITS.sourceCharacters} characters`);
  }
  const tokens = tokenize(source);
  return { tokens, root: buildTree(tokens, checkSequence(tokens, names)) };
}

/**
 * Compiles the patterns of a condition. @returns their total size; equal patterns count once.
 * @throws InvalidCondition
 */
export function measurePatterns(source: string, root: Node): number {
  return refusing(source, () => checkPatterns(root));
}

function refusing<T>(source: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof Refusal ? new InvalidCondition(source, error) : error;
  }
}

/** @throws Refusal REGEX, LIMIT */
function checkPatterns(root: Node): number {
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
