import type { RuleEvent } from "../event.ts";
import { type Path, pathKey } from "../parse/path.ts";
import type { Fact } from "./facts.ts";
import { PathIndex } from "./path-index.ts";

/** The rules of one project, or of every project, each filed under one of the facts it implies. */
export class Shelf<E> {
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
   * The rarest equality, else a prefix, else a threshold. How rare a value is among events is not known; how many rules wait for it
   * already is, and that is what an event with this value pays.
   */
  #choose(facts: readonly Fact[]): Fact | undefined {
    let rarest: Fact | undefined;
    let fewest = Number.POSITIVE_INFINITY;
    for (const fact of facts) {
      if (fact.kind !== "equals") continue;
      const crowd = this.#paths.get(pathKey(fact.path))?.crowdOf(fact.values) ?? 0;
      if (crowd < fewest || (crowd === fewest && isType(fact.path))) {
        rarest = fact;
        fewest = crowd;
      }
    }
    return rarest ?? facts.find(({ kind }) => kind === "prefix") ?? facts[0];
  }
}

/** Events of one type are the least of all events that a rule about a type ever wants. */
function isType(path: Path): boolean {
  return path.length === 1 && path[0] === "type";
}
