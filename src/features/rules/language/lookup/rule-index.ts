import { isOwnEvent } from "../../../../core/text/vocabulary.ts";
import type { Condition } from "../condition.ts";
import { ConditionTooCostly, evaluationBudget } from "../evaluate/values.ts";
import type { Path, RuleEvent } from "../event.ts";
import { LIMITS } from "../limits.ts";
import { pathKey } from "../parse/path.ts";
import { type Fact, PathIndex } from "./path-index.ts";

export type IndexedCondition = Pick<Condition, "facts" | "fixedSteps" | "testWithin" | "seesOwnEvents">;

interface Entry<R> extends AskedRule<R> {
  readonly projectId: string | null;
}

function ignoreCost(): void {}

interface Filed<R> {
  readonly entry: Entry<R>;
  readonly fact: Fact | undefined;
}

/**
 * Finds the rules that match an event without asking all of them. Each project has its own index,
 * in which a rule is stored under one fact its condition implies. An event looks up its own values
 * and asks only those rules. 10 000 rules about 200 types cost a few microseconds per event,
 * compared with several hundred for asking each (bench/rule-match.bench.ts).
 */
export class RuleIndex<R> {
  readonly #filed = new Map<string, Filed<R>>();
  /** By project; null holds the rules for every project. */
  readonly #projects = new Map<string | null, ProjectRuleIndex<Entry<R>>>();

  get size(): number {
    return this.#filed.size;
  }

  /**
   * Adds a rule, replacing the one with `key`. @param projectId null for every project.
   * @param rule returned by `match`.
   */
  add(key: string, condition: IndexedCondition, order: RuleOrder, projectId: string | null, rule: R): void {
    this.remove(key);
    const entry: Entry<R> = { key, condition, priority: order.priority, createdAt: order.createdAt, projectId, rule };
    const project = this.#projects.get(projectId) ?? new ProjectRuleIndex<Entry<R>>();
    this.#projects.set(projectId, project);
    this.#filed.set(key, { entry, fact: project.add(condition.facts, entry) });
  }

  /** @returns whether `key` existed. */
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
   * The rules whose conditions are true for `event`, in rule order.
   * @param onError is called for each rule whose condition threw; it counts as not matched, and the
   * others continue.
   * @param onCost is called for each costly evaluation.
   * @returns null when the conditions are too costly for one turn of the loop: see {@link walk}
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
   * Asks the rules after a position in rule order, for one turn of the loop. @param onError and
   * onCost as for {@link match}
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
    return isOwnEvent(event) ? candidates.filter(({ condition }) => condition.seesOwnEvents) : candidates;
  }
}

interface AskedRule<R> extends RulePosition {
  readonly condition: IndexedCondition;
  readonly rule: R;
}

/** Called for each evaluation that took more than {@link COSTLY_STEPS}. */
type OnCost<R> = (rule: R, steps: number) => void;

/** 10 µs: a condition on short texts and lists takes less. */
const COSTLY_STEPS = 1024;

/**
 * One turn of asking rules about an event in rule order; iterates over those that match. It ends
 * when the budget of the turn is used up. A condition that lacks budget is asked first in the next
 * turn; only one that exceeds a whole turn is an error.
 */
export class RuleWalk<R> implements Iterable<R> {
  /** The last rule asked; while the caller has a rule, the one before it. */
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
    // Kept here, because the caller may evaluate conditions between two rules.
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

/** Steps of an evaluation; refused work was not done. @param leftSteps budget at its start */
function takenSteps(leftSteps: number): number {
  return leftSteps - Math.max(evaluationBudget.leftSteps, 0);
}

/** Whether a condition failed only because others had used up the turn. */
function isForNextTurn(error: unknown, leftSteps: number): boolean {
  return error instanceof ConditionTooCostly && leftSteps < LIMITS.evaluationSteps;
}

/** Rule order: priority descending, then createdAt, then key. */
interface RuleOrder {
  readonly priority: number;
  readonly createdAt: number;
}

/** Position of a rule in rule order. */
export interface RulePosition extends RuleOrder {
  readonly key: string;
}

/** Before all rules. */
export const RULES_START: RulePosition = { priority: Number.MAX_SAFE_INTEGER, createdAt: 0, key: "" };

/** @returns negative if `left` comes first. */
export function inRuleOrder(left: RulePosition, right: RulePosition): number {
  return (
    right.priority - left.priority ||
    left.createdAt - right.createdAt ||
    (left.key < right.key ? -1 : left.key > right.key ? 1 : 0)
  );
}

/** The rules of one project, or those for every project, each under one of its facts. */
class ProjectRuleIndex<E> {
  readonly #paths = new Map<string, PathIndex<E>>();
  /** Entries without a usable fact: every event asks them. */
  readonly #unfiled: E[] = [];

  get isEmpty(): boolean {
    return this.#paths.size === 0 && this.#unfiled.length === 0;
  }

  /** @returns the fact of `entry`, needed by `remove`. */
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
   * Chooses the most selective equality, otherwise a prefix, otherwise a threshold. How rare a
   * value is among events is unknown, but the number of rules under it is known, and that is the
   * cost of an event with this value.
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

/** A rule about a type wants only a small part of all events. */
function isType(path: Path): boolean {
  return path.length === 1 && path[0] === "type";
}
