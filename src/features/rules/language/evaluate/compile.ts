import { DAY_MS, HOUR_MS, zoneOffsetMs } from "../../../../core/time/clock.ts";
import { compileExists, compileMember, compileMemberExists, compilePath, type Read } from "../event.ts";
import { constantOf, type Node, type NodeOf, nodesOf } from "../parse/tree.ts";
import { mayBe } from "../types.ts";
import { compileCompare, compileIn } from "./compare.ts";
import { ARITHMETIC, FUNCTIONS, isInspected, type LanguageFunction } from "./functions.ts";
import { evaluationBudget, isList, toValue, type Value } from "./values.ts";

/**
 * Called with the value of each evaluated node, in order; short-circuited nodes are skipped.
 * @param item index of the element of the innermost list that is searched; -1 outside of one
 */
type Observer = (node: Node, value: Value, item: number) => void;

/** The element that `item` means. Evaluations are synchronous, so a condition needs only one. */
interface BoundItem {
  value: Value;
  index: number;
}

/**
 * Compiles a tree to one closure per node. Closures instead of `new Function`: they cost 30 ns more
 * per rule and run where code from strings is forbidden. The closure throws ConditionTooCostly when
 * an event exceeds the rest of `evaluationBudget`.
 */
export function compileTree(root: Node, observe?: Observer): Read {
  const item: BoundItem = { value: null, index: -1 };
  const compile = (node: Node): Read => {
    const evaluate = compileNode(node, compile, item);
    if (observe === undefined) return evaluate;
    return (event) => {
      const value = evaluate(event);
      observe(node, value, item.index);
      return value;
    };
  };
  return compile(root);
}

type Compile = (node: Node) => Read;

function compileNode(node: Node, compile: Compile, item: BoundItem): Read {
  switch (node.kind) {
    case "literal":
      return constant(node.value);
    case "path":
      return compilePath(node.path);
    case "exists":
      return compileExists(node.path);
    case "item":
      return compileMember(() => item.value, node.segments);
    case "itemExists":
      return compileMemberExists(() => item.value, node.segments);
    case "quantifier":
      return compileQuantifier(node, compile, item);
    case "clock":
      return compileClock(node);
    case "list":
      return compileList(node, compile);
    case "call":
      return compileCall(node, compile);
    case "matches":
      return compileMatches(node, compile);
    case "coalesce":
      return compileCoalesce(node, compile);
    case "choice":
      return compileChoice(node, compile);
    case "not": {
      const operand = compile(node.operand);
      return (event) => operand(event) !== true;
    }
    case "negate":
      return compileNegate(node, compile);
    case "arithmetic": {
      const apply = ARITHMETIC[node.operator];
      const left = compile(node.left);
      const right = compile(node.right);
      return (event) => apply(left(event), right(event));
    }
    case "compare":
      return compileCompare(node, compile(node.left), compile(node.right));
    case "in":
      return compileIn(node, compile(node.left), compile(node.right));
    case "and":
      return conjunction(node.operands.map(compile));
    case "or":
      return disjunction(node.operands.map(compile));
  }
}

function compileList(node: NodeOf<"list">, compile: Compile): Read {
  const literals = constantOf(node);
  if (literals !== undefined) return constant(literals);
  const items = node.items.map(compile);
  return (event) => items.map((item) => item(event));
}

function compileCall({ name, args }: NodeOf<"call">, compile: Compile): Read {
  if (name === "now") return (event) => event.receivedAt;
  return bind(FUNCTIONS[name], args.map(compile));
}

/**
 * `any`, `all` and `count`. Not a list: false, or null for `count`; an empty list: false, true, 0.
 * Each element is charged, so a long list costs as much as the same comparisons written out.
 */
function compileQuantifier({ name, list, each }: NodeOf<"quantifier">, compile: Compile, item: BoundItem): Read {
  const read = compile(list);
  const test = compile(each);
  const elementSteps = 1 + fixedSteps(each);
  // The result that ends the search; `count` looks at every element.
  const decisive = name === "any" ? true : name === "all" ? false : null;
  return (event) => {
    const elements = read(event);
    if (elements === null || typeof elements !== "object" || !isList(elements)) return name === "count" ? null : false;
    const { value, index } = item;
    let matches = 0;
    try {
      for (let at = 0; at < elements.length; at++) {
        evaluationBudget.charge(elementSteps);
        item.value = toValue(elements[at]);
        item.index = at;
        const isMatch = test(event) === true;
        if (isMatch === decisive) return decisive;
        if (isMatch) matches++;
      }
    } finally {
      item.value = value;
      item.index = index;
    }
    return name === "count" ? matches : name === "all";
  };
}

/** Offsets of time zones change at whole quarters of an hour. */
const OFFSET_SPAN_MS = 900_000;
/** 1970-01-01 was a Thursday. */
const FIRST_WEEKDAY = 4;

/** `hour` from 0 to 23 and `weekday` from 1 (Monday) to 7 of `occurredAt` in a time zone. */
function compileClock({ name, zone }: NodeOf<"clock">): Read {
  let span = Number.NaN;
  let offsetMs = 0;
  return ({ occurredAt }) => {
    const current = Math.floor(occurredAt / OFFSET_SPAN_MS);
    if (current !== span) {
      offsetMs = zone === "UTC" ? 0 : zoneOffsetMs(zone, current * OFFSET_SPAN_MS);
      span = current;
    }
    const local = occurredAt + offsetMs;
    if (name === "hour") return modulo(Math.floor(local / HOUR_MS), 24);
    return modulo(Math.floor(local / DAY_MS) + FIRST_WEEKDAY - 1, 7) + 1;
  };
}

/** Never negative. */
function modulo(value: number, divisor: number): number {
  return ((value % divisor) + divisor) % divisor;
}

function compileMatches({ subject, pattern }: NodeOf<"matches">, compile: Compile): Read {
  const read = compile(subject);
  return (event) => {
    const text = read(event);
    return isInspected(text) && pattern.test(text);
  };
}

function compileCoalesce(node: NodeOf<"coalesce">, compile: Compile): Read {
  const args = node.args.map(compile);
  return (event) => {
    for (const arg of args) {
      const value = arg(event);
      if (value !== null) return value;
    }
    return null;
  };
}

function compileChoice(node: NodeOf<"choice">, compile: Compile): Read {
  const condition = compile(node.condition);
  const chosen = compile(node.chosen);
  const otherwise = compile(node.otherwise);
  return (event) => (condition(event) === true ? chosen(event) : otherwise(event));
}

function compileNegate(node: NodeOf<"negate">, compile: Compile): Read {
  const operand = compile(node.operand);
  return (event) => {
    const value = operand(event);
    return typeof value === "number" || typeof value === "bigint" ? -value : null;
  };
}

function constant(value: Value): Read {
  return () => value;
}

function bind(apply: LanguageFunction, args: readonly Read[]): Read {
  const [first, second, third] = args;
  // An array of arguments per call would cost more than most functions.
  if (first !== undefined && args.length === 1) return (event) => apply(first(event));
  if (first !== undefined && second !== undefined && third === undefined) {
    return (event) => apply(first(event), second(event));
  }
  return (event) => apply(...args.map((arg) => arg(event)));
}

function conjunction(operands: readonly Read[]): Read {
  const [first, second, third] = operands;
  if (first !== undefined && second !== undefined && operands.length === 2) {
    return (event) => first(event) === true && second(event) === true;
  }
  if (first !== undefined && second !== undefined && third !== undefined && operands.length === 3) {
    return (event) => first(event) === true && second(event) === true && third(event) === true;
  }
  return (event) => {
    for (const operand of operands) if (operand(event) !== true) return false;
    return true;
  };
}

function disjunction(operands: readonly Read[]): Read {
  return (event) => {
    for (const operand of operands) if (operand(event) === true) return true;
    return false;
  };
}

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
const CLOCK_STEPS = 100;
const DECIMAL_STEPS = 30;
/** `event` is converted to an object, and an instant to text. */
const WHOLE_EVENT_STEPS = 200;
const INSTANT_STEPS = 40;

/** Upper bound of a condition's cost without long texts and lists. @returns whole steps */
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
    case "item":
    case "itemExists":
      return 1 + Math.ceil(node.segments.length / 2);
    case "quantifier":
      return OTHER_CALL_STEPS;
    case "clock":
      return CLOCK_STEPS;
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
