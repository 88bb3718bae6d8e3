import type { Condition } from "../condition.ts";
import { ConditionTooCostly, evaluationBudget } from "../evaluate/evaluation-budget.ts";
import type { Path, RuleEvent } from "../event.ts";
import { LIMITS } from "../limits.ts";
import { pathKey } from "../parse/path.ts";
import { type Fact, PathIndex } from "./path-index.ts";

export type IndexedCondition = Pick<Condition, "facts" | "fixedSteps" | "testWithin">;

interface Entry<R> extends AskedRule<R> {
  readonly projectId: string | null;
}

function ignoreCost(): void {}

interface Filed<R> {
  readonly entry: Entry<R>;
  readonly fact: Fact | undefined;
}

/**
 * Finds the rules that match an event without asking all of them. Each project has an index of its
 * own, in which a rule is filed under one fact its condition implies; an event looks up its own
 * values and asks only the rules it finds there. 10 000 rules about 200 types cost a few
 * microseconds an event, against some hundred for asking each (bench/rule-match.bench.ts).
 */
export class RuleIndex<R> {
  readonly #filed = new Map<string, Filed<R>>();
  /** By project; under null the rules of every project. */
  readonly #projects = new Map<string | null, ProjectRuleIndex<Entry<R>>>();

  get size(): number {
    return this.#filed.size;
  }

  /**
   * Adds a rule, in place of the one that has `key`. @param projectId null for every project.
   * @param rule what `match` gives back.
   */
  add(key: string, condition: IndexedCondition, order: RuleOrder, projectId: string | null, rule: R): void {
    this.remove(key);
    const entry: Entry<R> = { key, condition, priority: order.priority, createdAt: order.createdAt, projectId, rule };
    const project = this.#projects.get(projectId) ?? new ProjectRuleIndex<Entry<R>>();
    this.#projects.set(projectId, project);
    this.#filed.set(key, { entry, fact: project.add(condition.facts, entry) });
  }

  /** @returns whether there was a rule `key`. */
  remove(key: string): boolean {
    const filed = this.#filed.get(key);
    if (filed === undefined) return false;
    const { entry, fact } = filed;
    const project = this.#projects.get(entry.projectId);
    project?.remove(fact, entry);
    if (project?.isEmpty) this.#projects.delete(entry.projectId);
    return this.#filed.delete(key);
  }

  /**
   * The rules whose conditions are true of `event`, in rule order.
   * @param onError is called for each rule whose condition threw; it counts as not matched, and the
   * others are asked all the same.
   * @param onCost is called for each costly evaluation.
   * @returns null where the conditions are too costly to be asked in one turn of the loop: see
   * {@link walk}
   */
  match(event: RuleEvent, onError: (rule: R, error: unknown) => void, onCost: OnCost<R> = ignoreCost): R[] | null {
    const candidates = this.#candidates(event);
    const matched: Entry<R>[] = [];
    evaluationBudget.begin();
    for (const candidate of candidates) {
      const before = evaluationBudget.leftSteps;
      if (before <= 0) return null;
      evaluationBudget.leftSteps = before - candidate.condition.fixedSteps;
      try {
        if (candidate.condition.testWithin(event)) matched.push(candidate);
      } catch (error) {
        if (isForNextTurn(error, before)) return null;
        onError(candidate.rule, error);
      }
      if (before - evaluationBudget.leftSteps > COSTLY_STEPS) onCost(candidate.rule, takenSteps(before));
    }
    return matched.sort(inRuleOrder).map(({ rule }) => rule);
  }

  /**
   * Asks the rules that come after a position in rule order, for one turn of the loop. @param
   * onError and onCost as for {@link match}
   */
  walk(
    event: RuleEvent,
    after: RulePosition,
    onError: (rule: R, error: unknown) => void,
    onCost: OnCost<R> = ignoreCost,
  ): RuleWalk<R> {
    const entries = this.#candidates(event).filter((entry) => inRuleOrder(after, entry) < 0);
    return new RuleWalk(entries.sort(inRuleOrder), event, onError, onCost);
  }

  #candidates(event: RuleEvent): Entry<R>[] {
    const candidates: Entry<R>[] = [];
    this.#projects.get(null)?.collect(event, candidates);
    this.#projects.get(event.projectId)?.collect(event, candidates);
    return candidates;
  }
}

interface AskedRule<R> extends RulePosition {
  readonly condition: IndexedCondition;
  readonly rule: R;
}

/** Is called for each evaluation that took more than {@link COSTLY_STEPS}. */
type OnCost<R> = (rule: R, steps: number) => void;

/** 10 us: a condition on short texts and lists takes less. */
const COSTLY_STEPS = 1024;

/**
 * One turn of asking rules about an event in rule order; iterating gives those that match. It ends
 * when what a turn may do is used up: a condition that has too little left is asked first in the
 * next turn, and only one that exceeds a whole turn by itself is an error.
 */
export class RuleWalk<R> implements Iterable<R> {
  /** The last rule that was asked; while a rule is given to the caller, the one before it. */
  last: RulePosition | null = null;
  /** Whether all rules have been asked. */
  isComplete = false;
  readonly #rules: readonly AskedRule<R>[];
  readonly #event: RuleEvent;
  readonly #onError: (rule: R, error: unknown) => void;
  readonly #onCost: OnCost<R>;

  constructor(
    rules: readonly AskedRule<R>[],
    event: RuleEvent,
    onError: (rule: R, error: unknown) => void,
    onCost: OnCost<R>,
  ) {
    this.#rules = rules;
    this.#event = event;
    this.#onError = onError;
    this.#onCost = onCost;
  }

  *[Symbol.iterator](): Generator<R> {
    // Kept here: what the caller does between two rules may evaluate conditions too.
    let leftSteps: number = LIMITS.evaluationSteps;
    for (const asked of this.#rules) {
      if (leftSteps <= 0) return;
      const answer = this.#ask(asked, leftSteps);
      const steps = takenSteps(leftSteps);
      leftSteps = evaluationBudget.leftSteps;
      if (steps > COSTLY_STEPS) this.#onCost(asked.rule, steps);
      if (answer === "later") return;
      if (answer === "matches") yield asked.rule;
      this.last = asked;
    }
    this.isComplete = true;
  }

  #ask({ condition, rule }: AskedRule<R>, leftSteps: number): "matches" | "differs" | "later" {
    evaluationBudget.begin(leftSteps - condition.fixedSteps);
    try {
      return condition.testWithin(this.#event) ? "matches" : "differs";
    } catch (error) {
      if (isForNextTurn(error, leftSteps)) return "later";
      this.#onError(rule, error);
      return "differs";
    }
  }
}

/**
 * What an evaluation has taken; work that was refused was not done. @param leftSteps when it began
 */
function takenSteps(leftSteps: number): number {
  return leftSteps - Math.max(evaluationBudget.leftSteps, 0);
}

/**
 * Whether a condition failed only because others had used up the turn before it. @param leftSteps
 * when it began
 */
function isForNextTurn(error: unknown, leftSteps: number): boolean {
  return error instanceof ConditionTooCostly && leftSteps < LIMITS.evaluationSteps;
}

/** What decides which rule comes first: priority descending, then createdAt, then key. */
interface RuleOrder {
  readonly priority: number;
  readonly createdAt: number;
}

/** Where a rule is in rule order. */
export interface RulePosition extends RuleOrder {
  readonly key: string;
}

/** Before all rules. */
export const RULES_START: RulePosition = { priority: Number.MAX_SAFE_INTEGER, createdAt: 0, key: "" };

/** @returns negative where `left` comes first. */
export function inRuleOrder(left: RulePosition, right: RulePosition): number {
  return (
    right.priority - left.priority ||
    left.createdAt - right.createdAt ||
    (left.key < right.key ? -1 : left.key > right.key ? 1 : 0)
  );
}

/** The rules of one project, or of every project, each filed under one of the facts it implies. */
class ProjectRuleIndex<E> {
  readonly #paths = new Map<string, PathIndex<E>>();
  /** Entries that imply nothing an index can use: every event asks them. */
  readonly #unfiled: E[] = [];

  get isEmpty(): boolean {
    return this.#paths.size === 0 && this.#unfiled.length === 0;
  }

  /** @returns the fact `entry` is filed under, which `remove` wants back. */
  add(facts: readonly Fact[], entry: E): Fact | undefined {
    const fact = this.#choose(facts);
    if (fact === undefined) {
      this.#unfiled.push(entry);
      return undefined;
    }
    const key = pathKey(fact.path);
    const index = this.#paths.get(key) ?? new PathIndex<E>(fact.path);
    this.#paths.set(key, index);
    index.add(fact, entry);
    return fact;
  }

  remove(fact: Fact | undefined, entry: E): void {
    if (fact === undefined) {
      this.#unfiled.splice(this.#unfiled.indexOf(entry), 1);
      return;
    }
    const key = pathKey(fact.path);
    const index = this.#paths.get(key);
    index?.remove(fact, entry);
    if (index?.isEmpty) this.#paths.delete(key);
  }

  /** Appends to `found`, once, each entry that could match `event`. */
  collect(event: RuleEvent, found: E[]): void {
    for (const index of this.#paths.values()) index.collect(event, found);
    for (const entry of this.#unfiled) found.push(entry);
  }

  /**
   * The rarest equality, else a prefix, else a threshold. How rare a value is among events is not
   * known; how many rules wait for it already is, and that is what an event with this value pays.
   */
  #choose(facts: readonly Fact[]): Fact | undefined {
    let rarest: Fact | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const fact of facts) {
      if (fact.kind !== "equals") continue;
      const size = this.#paths.get(pathKey(fact.path))?.maxBucketSize(fact.values) ?? 0;
      if (size < fewest || (size === fewest && isType(fact.path))) {
        rarest = fact;
        fewest = size;
      }
    }
    return rarest ?? facts.find(({ kind }) => kind === "prefix") ?? facts[0];
  }
}

/** Events of one type are the least of all events that a rule about a type ever wants. */
function isType(path: Path): boolean {
  return path.length === 1 && path[0] === "type";
}
