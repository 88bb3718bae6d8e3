import { UNIT } from "../../../../core/text/decimal.ts";
import { MIRRORED } from "../evaluate/compare.ts";
import { compilePath, type Path, type Read, type RuleEvent } from "../event.ts";
import { pathKey } from "../parse/path.ts";
import type { ComparisonSymbol } from "../parse/tokens.ts";
import { constantOf, type Node, type NodeOf, scalarOf } from "../parse/tree.ts";

type Scalar = string | number | boolean;

/**
 * A necessary condition on an event for a rule to match. It need not be sufficient: the rule's
 * condition still decides. An index uses facts to skip rules.
 */
export type Fact =
  | { readonly kind: "equals"; readonly path: Path; readonly values: readonly Scalar[] }
  | { readonly kind: "prefix"; readonly path: Path; readonly prefix: string }
  /** The value is a number ≥ or ≤ the bound. */
  | { readonly kind: "atLeast" | "atMost"; readonly path: Path; readonly bound: number };

/**
 * The facts that follow from `node` being true, in source order: those of all sides of an `and`,
 * and those shared by all sides of an `or`.
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
  if (constant === undefined || constant === null || typeof constant === "bigint") return [];
  if (operator === "==") return [{ kind: "equals", path, values: [constant] }];
  if (operator === "!=" || typeof constant !== "number") return [];
  return [{ kind: operator.startsWith(">") ? "atLeast" : "atMost", path, bound: constant }];
}

function ofIn({ left, right }: NodeOf<"in">): readonly Fact[] {
  const constants = constantOf(right);
  if (left.kind !== "path" || !Array.isArray(constants) || !areScalars(constants)) return [];
  // Nothing equals null, so a list of nulls gives a fact that never holds, like its condition. Each
  // value once, with -0 as 0: an entry added twice would be found twice.
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
 * `a == 1 or a == 2` equals `a in [1, 2]`. Other kinds of facts are not united: a range over two
 * bounds is not selective.
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

/** Entries by facts about one path. The path is read once per event for all entries. */
export class PathIndex<E> {
  readonly #read: Read;
  readonly #byValue = new Map<Scalar, E[]>();
  /** By length, then by text: one slice and one look-up per length in use. */
  readonly #byPrefix = new Map<number, Map<string, E[]>>();
  readonly #atLeast = new ThresholdList<E>();
  /** `x <= b` is stored as `-x >= -b`. */
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

  /** Reverts `add` of the same fact and entry. */
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

  /** Largest number of entries that one event can find under `values`, a measure of selectivity. */
  maxBucketSize(values: readonly Scalar[]): number {
    return values.reduce<number>((most, value) => Math.max(most, this.#byValue.get(value)?.length ?? 0), 0);
  }

  /** Appends to `found`, once, each entry whose fact holds for `event`. */
  collect(event: RuleEvent, found: E[]): void {
    const value = this.#read(event);
    if (value === null || typeof value === "object") return;
    if (typeof value === "bigint") return this.#collectLong(Number(value / UNIT), found);
    append(found, this.#byValue.get(value));
    if (typeof value === "number") {
      this.#atLeast.collect(value, found);
      this.#atMost.collect(-value, found);
    } else if (typeof value === "string" && this.#byPrefix.size > 0) {
      this.#collectPrefixes(value, found);
    }
  }

  /** An integer by the double next to it; the condition compares its digits. */
  #collectLong(value: number, found: E[]): void {
    append(found, this.#byValue.get(value));
    const near = Math.abs(value) * Number.EPSILON;
    this.#atLeast.collect(value + near, found);
    this.#atMost.collect(near - value, found);
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

/** Of null and of integers that are no doubles nothing is found here. */
function areScalars(constants: readonly unknown[]): constants is readonly (Scalar | null)[] {
  return constants.every((constant) => typeof constant !== "bigint");
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

/** Entries by the number a value must reach, ascending: the matching ones are at the front. */
class ThresholdList<E> {
  readonly #thresholds: Threshold<E>[] = [];

  add(bound: number, entry: E): void {
    this.#thresholds.splice(this.#firstFrom(bound), 0, { bound, entry });
  }

  /** Removes `entry` from `bound`, if it is there. */
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

  /** Index of the first threshold not below `bound`. */
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
