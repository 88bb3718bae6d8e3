import { isList, type Value } from "../evaluate/value.ts";
import type { EnvelopeMember } from "../event.ts";
import type { Path } from "../parse/path.ts";
import { signatureOf } from "../parse/signatures.ts";
import type { Node, NodeOf } from "../parse/tree.ts";

/** What a value is called in messages. */
export type ValueType = "null" | "boolean" | "number" | "decimal" | "text" | "list" | "object";

export type Types = ReadonlySet<ValueType>;

const ANY: Types = new Set(["null", "boolean", "number", "text", "list", "object"]);
const NUMBERS: Types = new Set(["number", "null"]);
const DECIMALS: Types = new Set(["number", "decimal", "null"]);
const BOOLEAN: Types = new Set(["boolean"]);

const ENVELOPE: Readonly<Record<EnvelopeMember, Types>> = {
  id: new Set(["text"]),
  type: new Set(["text"]),
  source: new Set(["text", "null"]),
  level: new Set(["text"]),
  projectId: new Set(["text"]),
  occurredAt: new Set(["text"]),
  receivedAt: new Set(["text"]),
  payload: new Set(["object"]),
  correlationId: new Set(["text"]),
};

export function typeOf(value: Value): ValueType {
  switch (typeof value) {
    case "bigint":
      return "decimal";
    case "string":
      return "text";
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    default:
      return value === null ? "null" : isList(value) ? "list" : "object";
  }
}

/** The types that `node` can have, whatever the event holds. */
export function typesOf(node: Node): Types {
  switch (node.kind) {
    case "literal":
      return new Set([typeOf(node.value)]);
    case "path":
      return typesOfPath(node.path);
    case "list":
      return new Set(["list"]);
    case "call":
      return typesOfCall(node);
    case "coalesce":
      return union(node.args);
    case "choice":
      return union([node.chosen, node.otherwise]);
    case "negate":
      return typesOf(node.operand).has("decimal") ? DECIMALS : NUMBERS;
    case "arithmetic":
      return typesOf(node.left).has("decimal") || typesOf(node.right).has("decimal") ? DECIMALS : NUMBERS;
    default:
      return BOOLEAN;
  }
}

function typesOfPath(path: Path): Types {
  const [member, ...rest] = path;
  if (member === undefined) return ENVELOPE.payload;
  if (member === "payload" && rest.length > 0) return ANY;
  if (rest.length > 0) return rest[0] === "length" ? NUMBERS : new Set(["null"]);
  return ENVELOPE[member as EnvelopeMember] ?? ANY;
}

function typesOfCall({ name }: NodeOf<"call">): Types {
  const { result } = signatureOf(name);
  switch (result) {
    case "string":
      return new Set(["text", "null"]);
    case "argument":
      return ANY;
    default:
      return new Set([result, "null"]);
  }
}

function union(nodes: readonly Node[]): Types {
  return new Set(nodes.flatMap((node) => [...typesOf(node)]));
}
