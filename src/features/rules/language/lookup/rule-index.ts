import type { Condition } from "../condition.ts";
import { evaluationBudget } from "../evaluate/evaluation-budget.ts";
import type { RuleEvent } from "../event.ts";
import type { Fact } from "./facts.ts";
import { inRuleOrder, type RuleOrder, type RulePosition } from "./rule-order.ts";
import { type AskedRule, COSTLY_STEPS, isForNextTurn, type OnCost, RuleWalk, takenSteps } from "./rule-walk.ts";
import { Shelf } from "./shelf.ts";

interface Entry<R> extends AskedRule<R> {
  readonly projectId: string | null;
}

function ignoreCost(): void {}

interface Filed<R> {
  readonly entry: Entry<R>;
  readonly fact: Fact | undefined;
}

/**
 * Finds the rules that match an event without asking all of them. Each rule stands on the shelf of its project, filed under one
 * fact its condition implies; an event looks up its own values and asks only the rules it finds there.
 *
 * 10 000 rules about 200 types cost a few microseconds an event, against some hundred for asking each (bench/rule-match.bench.ts).
 */
export class RuleIndex<R> {
  readonly #filed = new Map<string, Filed<R>>();
  /** By project; under null the rules of every project. */
  readonly #shelves = new Map<string | null, Shelf<Entry<R>>>();

  get size(): number {
    return this.#filed.size;
  }

  /**
   * Adds a rule, in place of the one that has `key` already.
   *
   * @param projectId events of no other project match; null for every project.
   * @param rule what `match` gives back.
   */
  add(key: string, condition: Condition, order: RuleOrder, projectId: string | null, rule: R): void {
    this.remove(key);
    const entry: Entry<R> = { key, condition, priority: order.priority, createdAt: order.createdAt, projectId, rule };
    const shelf = this.#shelves.get(projectId) ?? new Shelf<Entry<R>>();
    this.#shelves.set(projectId, shelf);
    this.#filed.set(key, { entry, fact: shelf.add(condition.facts, entry) });
  }

  /** @returns whether there was a rule `key`. */
  remove(key: string): boolean {
    const filed = this.#filed.get(key);
    if (filed === undefined) return false;
    const { entry, fact } = filed;
    const shelf = this.#shelves.get(entry.projectId);
    shelf?.remove(fact, entry);
    if (shelf?.isEmpty) this.#shelves.delete(entry.projectId);
    return this.#filed.delete(key);
  }

  /**
   * The rules whose conditions are true of `event`, in rule order.
   *
   * @param onError is called for each rule whose condition threw; it counts as not matched, and the others are asked all the same.
   * @param onCost is called for each costly evaluation.
   * @returns null where the conditions are too costly to be asked in one turn of the loop: see {@link walk}
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

  /** Asks the rules that come after a position in rule order, for one turn of the loop. @param onError and onCost as for {@link match} */
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
    this.#shelves.get(null)?.collect(event, candidates);
    this.#shelves.get(event.projectId)?.collect(event, candidates);
    return candidates;
  }
}
