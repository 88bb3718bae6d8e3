import { MIRRORED } from "../evaluate/compare.ts";
import { compilePath, type Path, type Read, type RuleEvent } from "../event.ts";
import { pathKey } from "../parse/path.ts";
import type { ComparisonSymbol } from "../parse/tokens.ts";
import { constantOf, type Node, type NodeOf, scalarOf } from "../parse/tree.ts";

type Scalar = string | number | boolean;

/**
 * Something that must hold of an event for a condition to be true. It need not be enough: the
 * condition still decides. Facts exist so that an index can leave a rule out without asking it.
 */
export type Fact =
  | { readonly kind: "equals"; readonly path: Path; readonly values: readonly Scalar[] }
  | { readonly kind: "prefix"; readonly path: Path; readonly prefix: string }
  /** The value is a number, and ≥ or ≤ the bound. */
  | { readonly kind: "atLeast" | "atMost"; readonly path: Path; readonly bound: number };

/**
 * The facts `node` being true implies, in source order: those of all sides of an `and`, and what
 * all sides of an `or` agree on.
 */
export function factsOf(node: Node): readonly Fact[] {
  switch (node.kind) {
    case "path":
      return [{ kind: "equals", path: node.path, values: [true] }];
    case "compare":
      return ofCompare(node);
    case "in":
      return ofIn(node);
    case "call":
      return ofCall(node);
    case "and":
      return node.operands.flatMap(factsOf);
    case "or":
      return ofOr(node);
    default:
      return [];
  }
}

function ofCompare({ operator, left, right }: NodeOf<"compare">): readonly Fact[] {
  if (left.kind === "path") return ofPathCompare(left.path, operator, right);
  return right.kind === "path" ? ofPathCompare(right.path, MIRRORED[operator], left) : [];
}

function ofPathCompare(path: Path, operator: ComparisonSymbol, other: Node): readonly Fact[] {
  const constant = scalarOf(other);
  if (constant === undefined || constant === null) return [];
  if (operator === "==") return [{ kind: "equals", path, values: [constant] }];
  if (operator === "!=" || typeof constant !== "number") return [];
  return [{ kind: operator.startsWith(">") ? "atLeast" : "atMost", path, bound: constant }];
}

function ofIn({ left, right }: NodeOf<"in">): readonly Fact[] {
  const constants = constantOf(right);
  if (left.kind !== "path" || !Array.isArray(constants)) return [];
  // Nothing equals null, so that a list of nulls alone gives a fact that never holds: as the
  // condition never does. Each once, -0 being 0: an entry that is filed twice would be found twice.
  const values = new Set<Scalar>(constants.filter((constant) => constant !== null));
  return [{ kind: "equals", path: left.path, values: [...values] }];
}

function ofCall({ name, args }: NodeOf<"call">): readonly Fact[] {
  const [text, start] = args;
  if (name !== "startsWith" || text?.kind !== "path" || start === undefined) return [];
  const prefix = scalarOf(start);
  return typeof prefix === "string" ? [{ kind: "prefix", path: text.path, prefix }] : [];
}

/**
 * `a == 1 or a == 2` says what `a in [1, 2]` says. Facts of other kinds are not united: a range
 * over two bounds finds little.
 */
function ofOr({ operands }: NodeOf<"or">): readonly Fact[] {
  const [first, ...others] = operands.map(equalsByPath);
  if (first === undefined) return [];
  const shared: Fact[] = [];
  for (const [key, { path, values }] of first) {
    const inOthers = others.map((facts) => facts.get(key));
    if (inOthers.every((fact) => fact !== undefined)) {
      shared.push({
        kind: "equals",
        path,
        values: [...new Set([...values, ...inOthers.flatMap((fact) => fact.values)])],
      });
    }
  }
  return shared;
}

function equalsByPath(node: Node): ReadonlyMap<string, Extract<Fact, { kind: "equals" }>> {
  const byPath = new Map<string, Extract<Fact, { kind: "equals" }>>();
  for (const fact of factsOf(node)) {
    if (fact.kind === "equals") byPath.set(pathKey(fact.path), fact);
  }
  return byPath;
}

/**
 * Entries filed under facts about one path. The path is read once per event, however many entries
 * ask about it.
 */
export class PathIndex<E> {
  readonly #read: Read;
  readonly #byValue = new Map<Scalar, E[]>();
  /** By length, then by text: one slice and one lookup per length that is in use. */
  readonly #byPrefix = new Map<number, Map<string, E[]>>();
  readonly #atLeast = new ThresholdList<E>();
  /** `x <= b` is held as `-x >= -b`. */
  readonly #atMost = new ThresholdList<E>();
  #size = 0;

  constructor(path: Path) {
    this.#read = compilePath(path);
  }

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  add(fact: Fact, entry: E): void {
    this.#size += 1;
    switch (fact.kind) {
      case "equals":
        for (const value of fact.values) addTo(this.#byValue, value, entry);
        return;
      case "prefix":
        addTo(this.#prefixesOf(fact.prefix.length), fact.prefix, entry);
        return;
      case "atLeast":
        this.#atLeast.add(fact.bound, entry);
        return;
      case "atMost":
        this.#atMost.add(-fact.bound, entry);
        return;
    }
  }

  /** Undoes `add` of the same fact and entry. */
  remove(fact: Fact, entry: E): void {
    this.#size -= 1;
    switch (fact.kind) {
      case "equals":
        for (const value of fact.values) removeFrom(this.#byValue, value, entry);
        return;
      case "prefix": {
        const prefixes = this.#prefixesOf(fact.prefix.length);
        removeFrom(prefixes, fact.prefix, entry);
        if (prefixes.size === 0) this.#byPrefix.delete(fact.prefix.length);
        return;
      }
      case "atLeast":
        this.#atLeast.remove(fact.bound, entry);
        return;
      case "atMost":
        this.#atMost.remove(-fact.bound, entry);
        return;
    }
  }

  /** The most entries that one event can meet under `values`: how far from rare they are. */
  maxBucketSize(values: readonly Scalar[]): number {
    return values.reduce<number>((most, value) => Math.max(most, this.#byValue.get(value)?.length ?? 0), 0);
  }

  /** Appends to `found`, once, each entry whose fact holds of `event`. */
  collect(event: RuleEvent, found: E[]): void {
    const value = this.#read(event);
    if (value === null || typeof value === "object" || typeof value === "bigint") return;
    append(found, this.#byValue.get(value));
    if (typeof value === "number") {
      this.#atLeast.collect(value, found);
      this.#atMost.collect(-value, found);
    } else if (typeof value === "string" && this.#byPrefix.size > 0) {
      this.#collectPrefixes(value, found);
    }
  }

  #collectPrefixes(text: string, found: E[]): void {
    for (const [length, prefixes] of this.#byPrefix) {
      if (length <= text.length) append(found, prefixes.get(text.slice(0, length)));
    }
  }

  #prefixesOf(length: number): Map<string, E[]> {
    const prefixes = this.#byPrefix.get(length) ?? new Map<string, E[]>();
    this.#byPrefix.set(length, prefixes);
    return prefixes;
  }
}

function append<E>(found: E[], bucket: readonly E[] | undefined): void {
  if (bucket === undefined) return;
  for (const entry of bucket) found.push(entry);
}

function addTo<K, E>(buckets: Map<K, E[]>, key: K, entry: E): void {
  const bucket = buckets.get(key);
  if (bucket === undefined) buckets.set(key, [entry]);
  else bucket.push(entry);
}

function removeFrom<K, E>(buckets: Map<K, E[]>, key: K, entry: E): void {
  const bucket = buckets.get(key) ?? [];
  const at = bucket.indexOf(entry);
  if (at !== -1) bucket.splice(at, 1);
  if (bucket.length === 0) buckets.delete(key);
}

interface Threshold<E> {
  readonly bound: number;
  readonly entry: E;
}

/**
 * Entries by the number a value must reach, in ascending order: those a value reaches stand at the
 * front.
 */
class ThresholdList<E> {
  readonly #thresholds: Threshold<E>[] = [];

  add(bound: number, entry: E): void {
    this.#thresholds.splice(this.#firstFrom(bound), 0, { bound, entry });
  }

  /** Removes `entry` from under `bound`; nothing happens where it is not there. */
  remove(bound: number, entry: E): void {
    for (let at = this.#firstFrom(bound); this.#thresholds[at]?.bound === bound; at += 1) {
      if (this.#thresholds[at]?.entry === entry) {
        this.#thresholds.splice(at, 1);
        return;
      }
    }
  }

  /** Appends to `found` each entry whose bound is at most `value`. */
  collect(value: number, found: E[]): void {
    for (const { bound, entry } of this.#thresholds) {
      if (bound > value) return;
      found.push(entry);
    }
  }

  /** Index of the first threshold that is not below `bound`. */
  #firstFrom(bound: number): number {
    let low = 0;
    let high = this.#thresholds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#thresholds[middle]?.bound ?? bound) < bound) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
