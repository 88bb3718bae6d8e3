import type { Matcher } from "../model/matchers.ts";
import { compileMatcher, matcherWords, type ValueTest } from "../model/matching.ts";

/** An alert, as far as matchers see it. */
export interface Labelled {
  /** The value of a label; "" if it is absent. */
  label(name: string): string;
}

export interface CompiledMatcher extends Matcher {
  readonly matches: ValueTest;
}

interface Matching {
  readonly matchers: readonly CompiledMatcher[];
}

/** @throws VALIDATION_FAILED for an invalid or too costly pattern */
export function compiled(matchers: readonly Matcher[]): CompiledMatcher[] {
  return matchers.map((matcher) => ({ ...matcher, matches: compileMatcher(matcher) }));
}

export function matchesAll({ matchers }: Matching, alert: Labelled): boolean {
  for (const { name, matches } of matchers) if (!matches(alert.label(name))) return false;
  return true;
}

/** How a silence is filed: under pairs, or under a label name with a test of its value. */
type Filing =
  | { readonly by: "pairs"; readonly name: string; readonly values: readonly string[] }
  | { readonly by: "test"; readonly name: string; readonly matcher: CompiledMatcher };

/** Results per name; they are forgotten when there are more, and when the tests change. */
const MAX_TESTED_VALUES = 65_536;
/** A larger group under one pair is filed again each time it has doubled. */
const CROWD = 16;
const NONE: readonly never[] = [];

interface OfName<T> {
  readonly byValue: Map<string, Set<T>>;
  readonly tested: Map<T, CompiledMatcher>;
  /** The silences of `tested` that match a value. */
  readonly results: Map<string, readonly T[]>;
}

/**
 * Finds the silences that match an alert. Each is filed under its pair (`name="value"`, or the
 * values of `=~"a|b"`) that the fewest other silences have, so that an alert is compared with few of
 * them. Without such a pair it is filed under a name that the alert must have; the result per value
 * is kept, as most values occur on many alerts.
 */
export class SilenceIndex<T extends Matching> {
  readonly #names = new Map<string, OfName<T>>();
  readonly #filings = new Map<T, Filing>();
  /** How many silences have a pair, by name and value. */
  readonly #frequency = new Map<string, Map<string, number>>();

  get size(): number {
    return this.#filings.size;
  }

  add(silence: T): void {
    this.#count(silence, 1);
    this.#file(silence);
  }

  delete(silence: T): void {
    if (this.#unfile(silence)) this.#count(silence, -1);
  }

  /** All silences that match the alert, in no particular order. */
  matching(alert: Labelled): T[] {
    const found: T[] = [];
    for (const [name, { byValue, tested, results }] of this.#names) {
      const value = alert.label(name);
      if (value === "") continue;
      const filed = byValue.get(value);
      if (filed) for (const silence of filed) if (matchesAll(silence, alert)) found.push(silence);
      if (tested.size === 0) continue;
      for (const silence of results.get(value) ?? testValue(tested, results, value))
        if (matchesAll(silence, alert)) found.push(silence);
    }
    return found;
  }

  #file(silence: T): void {
    const filing = this.#filingOf(silence);
    this.#filings.set(silence, filing);
    const ofName = this.#nameOf(filing.name);
    if (filing.by === "test") {
      ofName.tested.set(silence, filing.matcher);
      ofName.results.clear();
      return;
    }
    for (const value of filing.values) {
      const filed = ofName.byValue.get(value) ?? new Set();
      ofName.byValue.set(value, filed.add(silence));
      if (isDoubled(filed.size)) this.#spread(filed);
    }
  }

  /** Files silences again that now have a rarer pair. */
  #spread(crowd: ReadonlySet<T>): void {
    for (const silence of [...crowd]) {
      const held = this.#filings.get(silence);
      const better = this.#filingOf(silence);
      if (held?.by !== "pairs" || better.by !== "pairs" || better.name === held.name) continue;
      this.#unfile(silence);
      this.#file(silence);
    }
  }

  #unfile(silence: T): boolean {
    const filing = this.#filings.get(silence);
    const ofName = filing && this.#names.get(filing.name);
    if (!ofName) return false;
    this.#filings.delete(silence);
    if (filing.by === "test") {
      ofName.tested.delete(silence);
      ofName.results.clear();
    } else
      for (const value of filing.values) {
        const filed = ofName.byValue.get(value);
        filed?.delete(silence);
        if (filed?.size === 0) ofName.byValue.delete(value);
      }
    if (ofName.byValue.size === 0 && ofName.tested.size === 0) this.#names.delete(filing.name);
    return true;
  }

  #nameOf(name: string): OfName<T> {
    const known = this.#names.get(name);
    if (known) return known;
    const made: OfName<T> = { byValue: new Map(), tested: new Map(), results: new Map() };
    this.#names.set(name, made);
    return made;
  }

  #filingOf({ matchers }: T): Filing {
    let best: Filing | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const matcher of matchers) {
      const values = valuesOf(matcher);
      if (values === null) continue;
      const count = values.reduce((sum, value) => sum + (this.#frequency.get(matcher.name)?.get(value) ?? 0), 0);
      if (count < least) best = { by: "pairs", name: matcher.name, values };
      least = Math.min(least, count);
    }
    if (best) return best;
    const matcher = matchers.find((each) => !each.matches(""));
    if (!matcher) throw new TypeError("a silence has a matcher that does not match the empty string");
    return { by: "test", name: matcher.name, matcher };
  }

  #count({ matchers }: T, by: 1 | -1): void {
    for (const matcher of matchers)
      for (const value of valuesOf(matcher) ?? NONE) {
        const ofName = this.#frequency.get(matcher.name) ?? new Map<string, number>();
        this.#frequency.set(matcher.name, ofName);
        const count = (ofName.get(value) ?? 0) + by;
        if (count > 0) ofName.set(value, count);
        else ofName.delete(value);
        if (ofName.size === 0) this.#frequency.delete(matcher.name);
      }
  }
}

function testValue<T>(
  tested: ReadonlyMap<T, CompiledMatcher>,
  results: Map<string, readonly T[]>,
  value: string,
): readonly T[] {
  const found: T[] = [];
  for (const [silence, matcher] of tested) if (matcher.matches(value)) found.push(silence);
  if (results.size >= MAX_TESTED_VALUES) results.clear();
  const result = found.length === 0 ? NONE : found;
  results.set(value, result);
  return result;
}

function isDoubled(size: number): boolean {
  return size >= CROWD && (size & (size - 1)) === 0;
}

const MAX_VALUES = 50;

/** The only values that a matcher matches, if it lists them: `a="x"`, `a=~"x|y"`. */
export function valuesOf(matcher: Matcher): readonly string[] | null {
  const words = matcherWords(matcher);
  return words === null || words.has("") || words.size > MAX_VALUES ? null : [...words];
}
