import { locationOf } from "./errors.ts";
import { numberOf } from "./evaluate/functions.ts";
import { toDecimal, toEpochMs } from "./evaluate/values.ts";
import { envelopeMemberLike } from "./event.ts";
import { type Node, type NodeOf, nodesOf, signatureOf } from "./parse/tree.ts";
import { type Mismatch, sureMismatch, typesOf } from "./types.ts";

/** A valid part of a condition that cannot do what it appears to. */
export interface ConditionWarning {
  readonly code: Mismatch["code"] | "TEXT_ORDER" | "UNREADABLE" | "WRONG_ARGUMENT" | "SIMILAR_NAME" | "OWN_EVENT";
  readonly message: string;
  /** 0-based index in the condition, in UTF-16 units. */
  readonly position: number;
  readonly line: number;
  readonly column: number;
}

type Found = Pick<ConditionWarning, "code" | "message">;

const MOST = 20;

/** Warnings for the author of `source`, in source order, at most 20. @param root its tree */
export function warningsOf(source: string, root: Node): readonly ConditionWarning[] {
  const found: ConditionWarning[] = [];
  for (const node of nodesOf(root)) {
    const warning = warningOf(node, source);
    if (warning) found.push({ ...warning, position: node.start, ...locationOf(source, node.start) });
  }
  return found.sort((left, right) => left.position - right.position).slice(0, MOST);
}

function warningOf(node: Node, source: string): Found | null {
  switch (node.kind) {
    case "compare":
      return sureMismatch(node.operator, typesOf(node.left), typesOf(node.right)) ?? textOrder(node);
    case "arithmetic":
      return sureMismatch(node.operator, typesOf(node.left), typesOf(node.right));
    case "in":
      return sureMismatch("in", typesOf(node.left), typesOf(node.right));
    case "call":
      return unreadableLiteral(node) ?? wrongArgument(node);
    case "matches":
      return wrongType("matches", node.subject, ["text"]);
    case "quantifier":
      return wrongType(node.name, node.list, ["list"]);
    case "path":
      return similarName(node, source);
    default:
      return null;
  }
}

/** `event.amount > '1000'` */
function textOrder({ operator, left, right }: NodeOf<"compare">): Found | null {
  if (operator === "==" || operator === "!=") return null;
  const isNumber = [left, right].some(
    (node) => node.kind === "literal" && typeof node.value === "string" && numberOf(node.value) !== null,
  );
  if (!isNumber) return null;
  return {
    code: "TEXT_ORDER",
    message: "texts are ordered by character: '9' comes after '1000'; write dec(x) on both sides",
  };
}

const READERS = {
  time: { read: toEpochMs, wanted: "a time such as '2026-01-31T08:15:00Z'" },
  dec: { read: toDecimal, wanted: "a decimal of up to four places such as '12.50'" },
  number: { read: numberOf, wanted: "a number such as '12.5'" },
} as const;

function unreadableLiteral({ name, args }: NodeOf<"call">): Found | null {
  const [arg] = args;
  if ((name !== "time" && name !== "dec" && name !== "number") || arg?.kind !== "literal") return null;
  const { read, wanted } = READERS[name];
  if (arg.value === null || read(arg.value) !== null) return null;
  return { code: "UNREADABLE", message: `${name}(…) of this is always null; write ${wanted}` };
}

function wrongArgument({ name, args }: NodeOf<"call">): Found | null {
  const wanted = signatureOf(name).takes;
  for (const [at, arg] of args.entries()) {
    const types = wanted?.[Math.min(at, wanted.length - 1)];
    const found = types ? wrongType(name, arg, types) : null;
    if (found) return found;
  }
  return null;
}

function wrongType(name: string, arg: Node, wanted: readonly string[]): Found | null {
  const types = [...typesOf(arg)].filter((type) => type !== "null");
  if (types.length === 0 || types.some((type) => wanted.includes(type))) return null;
  return {
    code: "WRONG_ARGUMENT",
    message: `${name} takes a ${wanted.join(" or a ")}, and this is a ${types.join(" or a ")}`,
  };
}

/** `event.Type`; who writes `event.payload.Type` means it. */
function similarName({ path, start, end }: NodeOf<"path">, source: string): Found | null {
  const [envelope, member] = path;
  const isShort = envelope === "payload" && !/^event\s*\W+payload\b/.test(source.slice(start, end));
  if (!isShort || typeof member !== "string") return null;
  const similar = envelopeMemberLike(member);
  if (similar === undefined || similar === member) return null;
  return {
    code: "SIMILAR_NAME",
    message: `event.${member} is read from the payload; write event.${similar} for that of the event`,
  };
}
