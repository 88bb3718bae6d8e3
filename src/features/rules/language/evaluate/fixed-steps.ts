import { mayBe } from "../parse/static-type.ts";
import { type Node, nodesOf } from "../parse/tree.ts";

/** Slower than other functions on the longest texts that are not charged by length. */
const CALL_STEPS = {
  dec: 60,
  number: 30,
  time: 60,
  string: 20,
  lower: 40,
  upper: 40,
  split: 100,
} as const;
const SLOW_CALLS: ReadonlyMap<string, number> = new Map(Object.entries(CALL_STEPS));
const OTHER_CALL_STEPS = 10;
const MATCHES_STEPS = 50;
const DECIMAL_STEPS = 30;
/** `event` is made into an object, and an instant into text. */
const WHOLE_EVENT_STEPS = 200;
const INSTANT_STEPS = 40;

/** What evaluating a condition costs apart from long texts and lists, at most. @returns steps, a whole number */
export function fixedSteps(root: Node): number {
  let steps = 0;
  for (const node of nodesOf(root)) steps += stepsOf(node);
  return steps;
}

function stepsOf(node: Node): number {
  switch (node.kind) {
    case "path":
      return pathSteps(node.path);
    case "exists":
      return pathSteps(node.path.slice(0, -1));
    case "call":
      return SLOW_CALLS.get(node.name) ?? OTHER_CALL_STEPS;
    case "matches":
      return MATCHES_STEPS;
    case "in":
      return OTHER_CALL_STEPS;
    case "arithmetic":
    case "compare":
      return mayBe("decimal", node.left) || mayBe("decimal", node.right) ? DECIMAL_STEPS : 1;
    default:
      return 1;
  }
}

function pathSteps(path: readonly (string | number)[]): number {
  if (path.length === 0) return WHOLE_EVENT_STEPS;
  return path[0] === "occurredAt" || path[0] === "receivedAt" ? INSTANT_STEPS : Math.ceil(path.length / 2);
}
