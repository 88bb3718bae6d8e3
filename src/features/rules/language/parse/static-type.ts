import { signatureOf } from "./signatures.ts";
import type { Node } from "./tree.ts";

/**
 * Whether some event could give `node` a value of `type`. Only what is sure is ruled out: a member of the payload can be anything
 * that JSON has.
 */
export function mayBe(type: "boolean" | "decimal", node: Node): boolean {
  switch (node.kind) {
    case "literal":
      return typeof node.value === type;
    case "path":
      return type === "boolean" && node.path[0] === "payload" && node.path.length > 1;
    case "call":
      return signatureOf(node.name).result === type;
    case "coalesce":
      return node.args.some((arg) => mayBe(type, arg));
    case "choice":
      return mayBe(type, node.chosen) || mayBe(type, node.otherwise);
    case "list":
      return false;
    case "negate":
      return type === "decimal" && mayBe(type, node.operand);
    case "arithmetic":
      return type === "decimal" && (mayBe(type, node.left) || mayBe(type, node.right));
    case "exists":
    case "matches":
    case "not":
    case "and":
    case "or":
    case "compare":
    case "in":
      return type === "boolean";
  }
}
