import { RE2JS } from "re2js";
import { PrismError } from "../../../core/errors.ts";
import { estimatePatternSize } from "../../../core/text/pattern-size.ts";
import { recentlyUsed } from "../../../core/ttl-cache.ts";
import { type Labels, labelValue } from "./labels.ts";
import type { Matcher } from "./matchers.ts";

export type ValueTest = (value: string) => boolean;
export type LabelsTest = (labels: Labels) => boolean;

/** Instructions of a compiled pattern: 100 times those of an ordinary one. */
const MAX_PATTERN_SIZE = 2048;
/** Memory of a pattern's automaton. The default of 8 MiB would be too much for 10 000 silences. */
const AUTOMATON_BYTES = 65_536;

/** Equal patterns of silences and routes share one test. */
const patternTests = recentlyUsed<string, ValueTest>(2000);

/** Whether labels satisfy all matchers; an absent label counts as "". @throws VALIDATION_FAILED */
export function compileMatchers(matchers: readonly Matcher[]): LabelsTest {
  const tests = matchers.map((matcher) => ({ name: matcher.name, test: compileMatcher(matcher) }));
  return (labels) => tests.every(({ name, test }) => test(labelValue(labels, name)));
}

/** The test of a label's value. @throws VALIDATION_FAILED for an invalid or too costly pattern. */
export function compileMatcher({ operator, value }: Matcher): ValueTest {
  switch (operator) {
    case "=":
      return (text) => text === value;
    case "!=":
      return (text) => text !== value;
    case "=~":
      return patternTest(value);
    case "!~": {
      const test = patternTest(value);
      return (text) => !test(text);
    }
  }
}

/** A silence of matchers that all match "" would match every alert. @throws VALIDATION_FAILED */
export function matchesEmpty(matchers: readonly Matcher[]): boolean {
  return matchers.every((matcher) => compileMatcher(matcher)(""));
}

/**
 * A test of whole values, in linear time (RE2). Lists of words, as Grafana and Karma write them,
 * need no automaton. @throws VALIDATION_FAILED
 */
export function patternTest(pattern: string): ValueTest {
  const known = patternTests.get(pattern);
  if (known) return known;
  const words = wordsOf(pattern);
  const test: ValueTest = words ? (text) => words.has(text) : automatonTest(pattern);
  patternTests.set(pattern, test);
  return test;
}

function automatonTest(pattern: string): ValueTest {
  if (estimatePatternSize(pattern) > 4 * MAX_PATTERN_SIZE) throw tooLarge(pattern);
  const re2 = compileAnchored(pattern);
  if (re2.numberOfInstructions() > MAX_PATTERN_SIZE) throw tooLarge(pattern);
  Object.assign(re2.dfa, { maxMem: AUTOMATON_BYTES, stateBudget: AUTOMATON_BYTES, memBudget: AUTOMATON_BYTES });
  return (text) => re2.match(text);
}

function compileAnchored(pattern: string): ReturnType<RE2JS["re2"]> {
  const compile = (source: string) => RE2JS.compile(source).re2();
  try {
    const re2 = compile(`^(?:${pattern})$`);
    // On its own too: `a)|(b` is valid in the group, and would match any prefix.
    compile(pattern);
    return re2;
  } catch (error) {
    throw new PrismError("VALIDATION_FAILED", error instanceof Error ? error.message : String(error));
  }
}

function tooLarge(pattern: string): PrismError {
  return new PrismError("VALIDATION_FAILED", `the pattern ${pattern.slice(0, 100)} is too large`);
}

/** The only values that satisfy a matcher, if it lists them: `a="x"`, `a=~"x|y"`. */
export function matcherWords({ operator, value }: Matcher): ReadonlySet<string> | null {
  if (operator === "=") return new Set([value]);
  return operator === "=~" ? wordsOf(value) : null;
}

/** The words of `a|b`, `^(a|b)$` or `(?:a|b)`; null for any other pattern. */
function wordsOf(pattern: string): ReadonlySet<string> | null {
  const [, open = "", body = "", close = ""] = /^(\^?\((?:\?:)?|\^)?([\s\S]*?)(\)\$?|\$)?$/.exec(pattern) ?? [];
  if (open.includes("(") !== close.includes(")")) return null;
  const isAnchoredWord = open.includes("(") || !body.includes("|") || open + close === "";
  if (!isAnchoredWord || !/^(?:[^\\^$.*+?()[\]{}]|\\(?![a-zA-Z0-9\\])[ -~])*$/u.test(body)) return null;
  // A backslash before punctuation makes it literal.
  return new Set(body.split(/(?<!\\)\|/).map((word) => word.replace(/\\([\s\S])/gu, "$1")));
}
