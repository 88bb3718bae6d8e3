import { unitsOfCodePoints } from "../code-points.ts";
import { InvalidCondition } from "../errors.ts";
import { LIMITS } from "../limits.ts";
import { Refusal } from "../refusal.ts";
import { buildTree } from "./build-tree.ts";
import { checkPatterns } from "./check-patterns.ts";
import { tokenize } from "./lexer.ts";
import { checkSequence } from "./sequence.ts";
import { mayBe } from "./static-type.ts";
import type { Node } from "./tree.ts";

/**
 * Reads a condition (contract 6.1). The steps, each of which may assume what the one before has checked: characters to tokens,
 * order of tokens, precedence (expr-eval) and tree, type of the whole. Patterns are not compiled: see {@link measurePatterns}.
 *
 * @throws InvalidCondition for every string that is no condition; nothing else, and in time linear in the source's length.
 */
export function parseCondition(source: string): Node {
  return refusing(source, () => {
    const tooLong = unitsOfCodePoints(source, LIMITS.sourceCharacters);
    if (tooLong !== -1) {
      throw new Refusal("LIMIT", tooLong, `a condition has at most ${LIMITS.sourceCharacters} characters`);
    }
    const tokens = tokenize(source);
    const root = buildTree(tokens, checkSequence(tokens));
    if (!mayBe("boolean", root)) {
      throw new Refusal("TYPE", tokens.at(0).start, "this is not a condition: it can never be true or false", [
        "condition",
      ]);
    }
    return root;
  });
}

/** Compiles the patterns of a condition. @returns their size together. @throws InvalidCondition */
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
