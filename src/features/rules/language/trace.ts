import { decimalText } from "../../../core/text/decimal.ts";
import { compileTree } from "./evaluate/compile.ts";
import { numberOf } from "./evaluate/functions.ts";
import {
  cutText,
  evaluationBudget,
  isList,
  type JsonObject,
  toValue,
  type Value,
  wellFormed,
} from "./evaluate/values.ts";
import type { RuleEvent } from "./event.ts";
import { parseCondition } from "./parse/parse-condition.ts";
import { constantOf, type Node, type NodeOf } from "./parse/tree.ts";
import { mismatchOf, typeOf } from "./types.ts";

interface TraceEntry {
  /** 0-based index of the part in the condition, in UTF-16 units. */
  readonly pos: number;
  /** The part as written, truncated to 200 characters. */
  readonly text: string;
  readonly value: ShownValue;
  /** Set for a decimal, whose value is shown as text. */
  readonly type?: "decimal";
  /** Why values of these types give no result, and what to write instead. */
  readonly hint?: string;
  /** Index of the element, for a part that `any`, `all` or `count` evaluates for each one. */
  readonly item?: number;
}

/** An explanation of a condition's result. JSON-safe, at most some hundred KiB for any event. */
export interface ConditionTrace {
  readonly matched: boolean;
  /** Value of the whole condition; only `true` matches. */
  readonly value: ShownValue;
  /** Paths, calls, arithmetic and comparisons as evaluated, without short-circuited ones. */
  readonly trace: readonly TraceEntry[];
  /** Why the evaluation stopped; then `matched` is false and `trace` ends there. */
  readonly error?: string;
}

const TEXT_CHARACTERS = 200;
/** Parts are shown for the first elements of a list only. */
const SHOWN_ITEMS = 3;
const MAX_ITEM_ENTRIES = 200;

const TRACED: ReadonlySet<Node["kind"]> = new Set([
  "path",
  "compare",
  "in",
  "arithmetic",
  "negate",
  "call",
  "exists",
  "matches",
  "coalesce",
  "choice",
  "item",
  "itemExists",
  "quantifier",
  "clock",
]);

/** Evaluates `source` for `event` and records the values. @throws InvalidCondition */
export function traceCondition(source: string, event: RuleEvent): ConditionTrace {
  const display = new ValueDisplay();
  const trace: TraceEntry[] = [];
  const values = new Map<Node, Value>();
  let itemEntries = 0;
  const evaluate = compileTree(parseCondition(source), (node, value, item) => {
    values.set(node, value);
    if (!TRACED.has(node.kind)) return;
    if (item >= SHOWN_ITEMS || (item >= 0 && ++itemEntries > MAX_ITEM_ENTRIES)) return;
    const text = cutText(wellFormed(source.slice(node.start, node.end)), TEXT_CHARACTERS);
    const hint = hintOf(node, value, values);
    trace.push({
      ...{ pos: node.start, text, value: display.show(value) },
      ...(typeof value === "bigint" ? { type: "decimal" as const } : {}),
      ...(hint === null ? {} : { hint }),
      ...(item >= 0 ? { item } : {}),
    });
  });
  evaluationBudget.begin();
  try {
    const value = evaluate(event);
    return { matched: value === true, value: display.show(value), trace };
  } catch (error) {
    return { matched: false, value: null, trace, error: error instanceof Error ? error.message : String(error) };
  }
}

/** Why a comparison or arithmetic step gave no result. @param values of the earlier nodes */
function hintOf(node: Node, value: Value, values: ReadonlyMap<Node, Value>): string | null {
  if (node.kind !== "compare" && node.kind !== "in" && node.kind !== "arithmetic") return null;
  const left = knownValue(node.left, values);
  const right = knownValue(node.right, values);
  const operator = node.kind === "in" ? "in" : node.operator;
  const mismatch = mismatchOf(operator, typeOf(left), typeOf(right));
  if (mismatch) return mismatch.message;
  if (node.kind === "arithmetic") return value === null ? whyNothing(node, left, right) : null;
  return node.kind === "compare" ? textOrder(node, left, right) : null;
}

/** Comparisons do not evaluate their constant side. */
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

/** `"9" < "1000"` is false because texts are compared, which the author may not expect. */
function textOrder({ operator }: NodeOf<"compare">, left: Value, right: Value): string | null {
  if (operator === "==" || operator === "!=" || typeof left !== "string" || typeof right !== "string") return null;
  if (numberOf(left) === null || numberOf(right) === null) return null;
  return "these texts are ordered by character, not as numbers; write dec(x) on both sides";
}

/** A value for JSON and people: decimals as text, long texts, lists and objects abridged. */
type ShownValue = null | boolean | number | string | readonly ShownValue[] | { readonly [member: string]: ShownValue };

const KEY_CHARACTERS = 100;
const MEMBERS = 20;
const DEPTH = 4;
/** Limit of elements and members in all values of one display. */
const TOTAL_MEMBERS = 1000;

/** Shows the values of one trace within one limit: 500 paths can read a payload of 256 KiB. */
class ValueDisplay {
  #membersLeft = TOTAL_MEMBERS;
  readonly #members = new Map<JsonObject, readonly string[]>();

  show(value: Value, depth = 0): ShownValue {
    switch (typeof value) {
      case "string":
        return cutText(wellFormed(value), TEXT_CHARACTERS);
      case "bigint":
        return decimalText(value);
      case "object":
        if (value === null) return null;
        if (depth === DEPTH) return "…";
        return isList(value) ? this.#showList(value, depth) : this.#showObject(value, depth);
      default:
        return value;
    }
  }

  #showList(list: readonly unknown[], depth: number): readonly ShownValue[] {
    const count = this.#take(list.length);
    const shown = list.slice(0, count).map((element) => this.show(toValue(element), depth + 1));
    return count < list.length ? [...shown, more(list.length - count)] : shown;
  }

  #showObject(object: JsonObject, depth: number): ShownValue {
    const members = this.#membersOf(object);
    const count = this.#take(members.length);
    const shown = members.slice(0, count).map((member): [string, ShownValue] => {
      return [cutText(wellFormed(member), KEY_CHARACTERS), this.show(toValue(object[member]), depth + 1)];
    });
    if (count < members.length) shown.push(["…", more(members.length - count)]);
    // Defines members instead of assigning them, so that __proto__ stays a member.
    return Object.fromEntries(shown);
  }

  /** Listing the members of a large payload takes milliseconds, and every path can show it. */
  #membersOf(object: JsonObject): readonly string[] {
    const members = this.#members.get(object) ?? Object.keys(object);
    this.#members.set(object, members);
    return members;
  }

  #take(count: number): number {
    const taken = Math.min(count, MEMBERS, this.#membersLeft);
    this.#membersLeft -= taken;
    return taken;
  }
}

function more(count: number): string {
  return `… ${count} more`;
}
