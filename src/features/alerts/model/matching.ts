import { RE2JS } from "re2js";
import { currentCaller } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { recentlyUsed } from "../../../core/limits/ttl-cache.ts";
import { LoopTurns } from "../../../core/promises.ts";
import { closesUnopened, estimatePatternSize } from "../../../core/text/pattern-size.ts";
import { type Labels, labelValue } from "./labels.ts";
import type { Matcher } from "./matchers.ts";

export type ValueTest = (value: string) => boolean;
export type LabelsTest = (labels: Labels) => boolean;

/** Instructions of a compiled pattern: 100 times those of an ordinary one. */
const MAX_PATTERN_SIZE = 2048;
/** Memory of a pattern's automaton. The default of 8 MiB would be too much for 10 000 silences. */
const AUTOMATON_BYTES = 65_536;

/** Estimated sizes of all patterns of a list of matchers: those of its largest valid one. */
const MAX_LIST_SIZE = 4 * MAX_PATTERN_SIZE;
/** The same of a document: a thousand routes, each with a pattern of 60 characters. */
export const MAX_DOCUMENT_SIZE = 65_536;
/** Compiling takes about 5 µs for each instruction. */
const STEPS_PER_INSTRUCTION = 400;
/** Requests with smaller patterns pass in debt, as other small ones: people silence alerts. */
const SMALL_SIZE = 512;
/** Reading a character of a class takes about an eighth of an instruction. */
const CHARACTERS_PER_INSTRUCTION = 8;

/** Gives the test of a pattern. @throws VALIDATION_FAILED for an invalid or too costly one */
export type PatternTests = (pattern: string) => ValueTest;

/** Instructions of all patterns that are kept, for 2048 small ones with their automata. */
const KEPT_SIZE = 262_144;
const LEAST_SIZE = 128;

/** Equal patterns of silences and routes share one test. One that is refused is not read again. */
const patternTests = recentlyUsed<string, ValueTest | PrismError>(KEPT_SIZE, (_, pattern) =>
  Math.min(MAX_LIST_SIZE, Math.max(LEAST_SIZE, sizeOf(pattern))),
);

/** Whether labels satisfy all matchers; an absent label counts as "". @throws VALIDATION_FAILED */
export function compileMatchers(matchers: readonly Matcher[], testOf?: PatternTests): LabelsTest {
  const tests = matchers.map((matcher) => ({ name: matcher.name, test: compileMatcher(matcher, testOf) }));
  return (labels) => tests.every(({ name, test }) => test(labelValue(labels, name)));
}

/** The test of a label's value. @throws VALIDATION_FAILED for an invalid or too costly pattern. */
export function compileMatcher({ operator, value }: Matcher, testOf: PatternTests = patternTest): ValueTest {
  switch (operator) {
    case "=":
      return (text) => text === value;
    case "!=":
      return (text) => text !== value;
    case "=~":
      return testOf(value);
    case "!~": {
      const test = testOf(value);
      return (text) => !test(text);
    }
  }
}

/** A silence of matchers that all match "" would match every alert. @throws VALIDATION_FAILED */
export function matchesEmpty(matchers: readonly Matcher[]): boolean {
  return matchers.every((matcher) => compileMatcher(matcher)(""));
}

/**
 * Compiles the patterns that a request gives, at its cost and in turns of the loop.
 * @param maxSize limit of their estimated sizes together
 * @returns their tests, for what is made of the matchers; refused ones are refused there
 * @throws VALIDATION_FAILED, WORK_LIMITED
 */
export async function preparePatterns(
  matchers: readonly Matcher[],
  maxSize: number = MAX_LIST_SIZE,
): Promise<PatternTests> {
  const regexes = matchers.filter(({ operator }) => operator === "=~" || operator === "!~");
  const patterns = [...new Set(regexes.map(({ value }) => value))];
  const sizes = patterns.map((pattern) => (wordsOf(pattern) ? 0 : sizeOf(pattern)));
  const size = sizes.reduce((sum, each) => sum + each, 0);
  if (size > maxSize && patterns.length > 1) {
    const message = `the patterns are too large together: about ${size} instructions of ${maxSize}; write smaller ones`;
    throw new PrismError("VALIDATION_FAILED", message, { details: [{ path: "", code: "LIMIT", message }] });
  }
  const tests = new Map<string, ValueTest | PrismError>();
  const turns = new LoopTurns();
  // One that is too large is refused, not compiled.
  const isFree = (each: number, at: number) => each > MAX_LIST_SIZE || patternTests.has(patterns[at] ?? "");
  payFor(sizes.reduce((sum, each, at) => (isFree(each, at) ? sum : sum + each), 0));
  for (const pattern of patterns) {
    tests.set(pattern, testOrRefusal(pattern));
    await turns.pause();
  }
  return (pattern) => orThrow(tests.get(pattern) ?? testOrRefusal(pattern));
}

/** Charges compiling to the request that gives the patterns. @throws WORK_LIMITED */
function payFor(size: number): void {
  const caller = currentCaller();
  const work = { steps: size * STEPS_PER_INSTRUCTION };
  if (size > SMALL_SIZE) caller.pay?.(work);
  else if (size > 0) caller.charge?.(work);
}

function sizeOf(pattern: string): number {
  return estimatePatternSize(pattern) + Math.floor(pattern.length / CHARACTERS_PER_INSTRUCTION);
}

/**
 * A test of whole values, in linear time (RE2). Lists of words, as Grafana and Karma write them,
 * need no automaton. @throws VALIDATION_FAILED
 */
export function patternTest(pattern: string): ValueTest {
  return orThrow(testOrRefusal(pattern));
}

function orThrow(test: ValueTest | PrismError): ValueTest {
  if (test instanceof PrismError) throw new PrismError(test.code, test.message);
  return test;
}

function testOrRefusal(pattern: string): ValueTest | PrismError {
  const known = patternTests.get(pattern);
  if (known) return known;
  const test = newTest(pattern);
  patternTests.set(pattern, test);
  return test;
}

function newTest(pattern: string): ValueTest | PrismError {
  const words = wordsOf(pattern);
  if (words) return (text) => words.has(text);
  try {
    return automatonTest(pattern);
  } catch (error) {
    if (!(error instanceof PrismError)) throw error;
    return error;
  }
}

function automatonTest(pattern: string): ValueTest {
  if (estimatePatternSize(pattern) > 4 * MAX_PATTERN_SIZE) throw tooLarge(pattern);
  const re2 = compileAnchored(pattern);
  if (re2.numberOfInstructions() > MAX_PATTERN_SIZE) throw tooLarge(pattern);
  Object.assign(re2.dfa, { maxMem: AUTOMATON_BYTES, stateBudget: AUTOMATON_BYTES, memBudget: AUTOMATON_BYTES });
  return (text) => re2.match(text);
}

function compileAnchored(pattern: string): ReturnType<RE2JS["re2"]> {
  try {
    // `a)|(b` is valid in the group, and would match any prefix.
    if (closesUnopened(pattern)) RE2JS.compile(pattern);
    return RE2JS.compile(`^(?:${pattern})$`).re2();
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
