import { isOwnEvent, OWN_EVENT_TYPES, OWN_SOURCE } from "../../../core/text/vocabulary.ts";
import { InvalidCondition } from "./errors.ts";
import { compileTree, fixedSteps } from "./evaluate/compile.ts";
import { evaluationBudget } from "./evaluate/values.ts";
import type { Read, RuleEvent } from "./event.ts";
import { type Fact, factsOf } from "./lookup/path-index.ts";
import { measurePatterns, parseCondition } from "./parse/parse-condition.ts";
import { type Node, nodesOf } from "./parse/tree.ts";
import { type ConditionTrace, traceCondition } from "./trace.ts";
import { type ConditionWarning, warningsOf } from "./warnings.ts";

/** @throws InvalidCondition for an invalid condition. */
export function compileCondition(source: string): Condition {
  const condition = readCondition(source);
  condition.measure();
  return condition;
}

/** A change of a rule reads its condition to check it, to count its patterns and to put it in force. */
const KEPT = 16;
/** While many rules change at once. */
const KEPT_OF_MANY = 4096;
const latest = new Map<string, Condition>();
let changesOfMany = 0;

/** Keeps what {@link readCondition} reads until `change`, of many rules, has ended. */
export async function keepingConditions<T>(change: () => Promise<T>): Promise<T> {
  changesOfMany++;
  try {
    return await change();
  } finally {
    changesOfMany--;
    dropOldest();
  }
}

function dropOldest(): void {
  const most = changesOfMany > 0 ? KEPT_OF_MANY : KEPT;
  for (const source of latest.keys()) {
    if (latest.size <= most) return;
    latest.delete(source);
  }
}

/** Reads a stored condition: its patterns are compiled when needed. @throws InvalidCondition */
export function readCondition(source: string): Condition {
  const known = latest.get(source);
  if (known) return known;
  const condition = new Condition(source);
  latest.set(source, condition);
  dropOldest();
  return condition;
}

/** Warnings for the author of a condition; none for an invalid one. */
export function conditionWarnings(source: string): ConditionWarning[] {
  try {
    return [...warningsOf(source, parseCondition(source))];
  } catch (error) {
    if (error instanceof InvalidCondition) return [];
    throw error;
  }
}

export class Condition {
  readonly source: string;
  /** Facts that hold for every matching event; for an index. */
  readonly facts: readonly Fact[];
  /** Cost of an evaluation on an event with short texts and lists, in steps. */
  readonly fixedSteps: number;
  /** Whether it asks for events that the server itself writes. */
  readonly seesOwnEvents: boolean;
  readonly #evaluate: Read;
  readonly #hasPatterns: boolean;

  constructor(source: string) {
    // The tree is not kept, to save memory with many rules; a trace can parse the source again.
    const root = parseCondition(source);
    this.source = source;
    this.facts = factsOf(root);
    this.fixedSteps = fixedSteps(root);
    this.seesOwnEvents = namesOwnEvents(root);
    this.#evaluate = compileTree(root);
    this.#hasPatterns = source.includes("matches");
  }

  /** Whether it is asked about the event; {@link test} does not look at this. */
  isFor(event: { readonly source: string | null }): boolean {
    return this.seesOwnEvents || !isOwnEvent(event);
  }

  /**
   * @throws ConditionTooCostly for an event that is too expensive, InvalidCondition for a pattern
   * of {@link readCondition}.
   */
  test(event: RuleEvent): boolean {
    evaluationBudget.begin();
    return this.#evaluate(event) === true;
  }

  /** {@link test} with the rest of `evaluationBudget`, for conditions that share a budget. */
  testWithin(event: RuleEvent): boolean {
    return this.#evaluate(event) === true;
  }

  /** Compiles the patterns. @returns their size; equal ones count once. @throws InvalidCondition */
  measure(): number {
    return this.#hasPatterns ? measurePatterns(this.source, parseCondition(this.source)) : 0;
  }

  /** Evaluates again and explains the result for people; about 1000 times the cost of `test`. */
  trace(event: RuleEvent): ConditionTrace {
    return traceCondition(this.source, event);
  }
}

/**
 * Whether a literal starts with `prism:`, or is one of the own types or the start of one up to its
 * dot (`startsWith(event.type, 'incident.')`).
 */
function namesOwnEvents(root: Node): boolean {
  for (const node of nodesOf(root)) {
    if (node.kind === "literal" && typeof node.value === "string" && isOwnName(node.value)) return true;
    if (node.kind === "matches" && isOwnName(startOfPattern(node.pattern.source))) return true;
  }
  return false;
}

function isOwnName(text: string): boolean {
  if (text.startsWith(OWN_SOURCE)) return true;
  return text.includes(".") && OWN_EVENT_TYPES.some((type) => type.startsWith(text));
}

/** The text that a pattern begins with, as far as it is plain. */
function startOfPattern(source: string): string {
  return /^\^?((?:[\w:-]|\\\.)*)/.exec(source)?.[1]?.replaceAll("\\", "") ?? "";
}
