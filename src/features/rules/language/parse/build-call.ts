import { unitsOfCodePoints } from "../code-points.ts";
import { LIMITS } from "../limits.ts";
import { Pattern } from "../patterns/pattern.ts";
import { Refusal } from "../refusal.ts";
import type { Path } from "./path.ts";
import { type FunctionName, signatureOf } from "./signatures.ts";
import type { Extent, Node } from "./tree.ts";

interface Call extends Extent {
  readonly name: FunctionName;
  readonly args: readonly Node[];
}

/**
 * Makes the node of one call.
 *
 * @throws Refusal TYPE for a wrong number of arguments (at the first one too many, or at the closing parenthesis), for `exists` of
 * anything but a path and a `matches` whose pattern is no literal; LIMIT for the length of the pattern.
 */
export function buildCall({ name, args, start, end }: Call): Node {
  checkCount({ name, args, start, end });
  switch (name) {
    case "exists":
      return { kind: "exists", path: pathOf(argument(args, 0)), start, end };
    case "matches":
      return matchesOf(argument(args, 0), argument(args, 1), { start, end });
    case "coalesce":
      return { kind: "coalesce", args, start, end };
    case "if":
      return {
        kind: "choice",
        condition: argument(args, 0),
        chosen: argument(args, 1),
        otherwise: argument(args, 2),
        start,
        end,
      };
    default:
      return { kind: "call", name, args, start, end };
  }
}

function checkCount({ name, args, end }: Call): void {
  const { min, max } = signatureOf(name);
  if (args.length >= min && args.length <= max) return;
  const wanted = min === max ? `${min}` : `${min} to ${max}`;
  const message = `${name} takes ${wanted} argument${max === 1 ? "" : "s"}, not ${args.length}`;
  // Too few: the place is the parenthesis that closes the call.
  throw new Refusal("TYPE", args[max]?.start ?? end - 1, message);
}

function pathOf(node: Node): Path {
  if (node.kind !== "path") throw new Refusal("TYPE", node.start, "exists asks about a path", ["event"]);
  return node.path;
}

function matchesOf(subject: Node, literal: Node, extent: Extent): Node {
  return { kind: "matches", subject, pattern: patternOf(literal), patternAt: literal.start, ...extent };
}

/** The pattern is compiled later: `checkPatterns`. */
function patternOf({ start, ...node }: Node): Pattern {
  if (node.kind !== "literal" || typeof node.value !== "string") {
    throw new Refusal("TYPE", start, "the pattern of matches must be a string literal", ["string"]);
  }
  if (unitsOfCodePoints(node.value, LIMITS.patternCharacters) !== -1) {
    throw new Refusal("LIMIT", start, `a pattern has at most ${LIMITS.patternCharacters} characters`);
  }
  return new Pattern(node.value);
}

function argument(args: readonly Node[], index: number): Node {
  const node = args[index];
  if (node === undefined) throw new TypeError(`argument ${index} was counted but is not there`);
  return node;
}
