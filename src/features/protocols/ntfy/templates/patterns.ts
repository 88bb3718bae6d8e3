import { RE2JS } from "re2js";
import { estimatePatternSize } from "../../../../core/text/pattern-size.ts";
import { LIMITS } from "../../../rules/index.ts";
import { failed, limited, MAX_ITEMS, MAX_MS, MAX_TEXT, tooLong } from "./bounds.ts";
import { textOf } from "./functions.ts";

/* Functions with regular expressions, bounded as those of rules. */

type Match = ReturnType<RE2JS["matcher"]>;

const MAX_PATTERN = 500;

function pattern(given: unknown): RE2JS {
  const source = textOf(given);
  if (source.length > MAX_PATTERN) throw failed("the regular expression is too long");
  if (estimatePatternSize(source) > 4 * LIMITS.patternSize) throw tooCostly();
  const compiled = compile(source);
  if (compiled.re2().numberOfInstructions() > LIMITS.patternSize) throw tooCostly();
  return compiled;
}

function compile(source: string): RE2JS {
  try {
    return RE2JS.compile(source);
  } catch {
    throw failed(`"${source}" is no regular expression`);
  }
}

function tooCostly(): Error {
  return failed("the regular expression is too costly; write smaller repetition counts");
}

/** A text that a pattern reads. */
function searched(value: unknown): string {
  const text = textOf(value);
  if (text.length > LIMITS.inspectedUnits)
    throw failed(`a regular expression reads at most ${LIMITS.inspectedUnits} characters`);
  return text;
}

/** Matches, one after the other: `a.*b|a` reads the rest of the text for each. */
function* matchesIn(source: unknown, text: string): Generator<Match> {
  const endsAt = performance.now() + MAX_MS;
  const match = pattern(source).matcher(text);
  while (match.find()) {
    yield match;
    if (performance.now() > endsAt) throw failed("the template takes too long");
  }
}

function found(source: unknown, value: unknown, count: number): string[] {
  const texts: string[] = [];
  if (count === 0) return texts;
  for (const match of matchesIn(source, searched(value))) {
    texts.push(match.group() ?? "");
    if (texts.length === count || texts.length > MAX_ITEMS) break;
  }
  return texts;
}

function replaced(source: unknown, value: unknown, by: (match: Match) => string): string {
  const text = searched(value);
  let result = "";
  let at = 0;
  for (const match of matchesIn(source, text)) {
    result = limited(result + text.slice(at, match.start()) + by(match));
    at = match.end();
  }
  return limited(result + text.slice(at));
}

/** `${1}` and `$1` of Go. */
function expanded(by: string, match: Match): string {
  let length = by.length;
  return by.replace(/\$(?:(\$)|\{(\w+)\}|(\w+))/g, (_, dollar?: string, braced?: string, plain?: string) => {
    const part = dollar ?? groupOf(match, braced ?? plain ?? "");
    length += part.length;
    if (length > MAX_TEXT) throw tooLong();
    return part;
  });
}

/** Empty if there is no such group. */
function groupOf(match: Match, name: string): string {
  const key = /^\d+$/.test(name) ? Number(name) : name;
  const exists =
    typeof key === "number" ? key <= match.groupCount() : Object.hasOwn(match.pattern().namedGroups(), key);
  return (exists ? match.group(key) : null) ?? "";
}

/** As Go splits: at most `count` parts, with empty ones at the end too. */
function split(source: unknown, value: unknown, count: number): string[] {
  const text = searched(value);
  const parts: string[] = [];
  if (count === 0) return parts;
  let at = 0;
  for (const match of matchesIn(source, text)) {
    if (parts.length === count - 1 || parts.length > MAX_ITEMS) break;
    // An empty match at an end parts nothing.
    if (match.end() === 0 || (match.start() === text.length && match.start() === match.end())) continue;
    parts.push(text.slice(at, match.start()));
    at = match.end();
  }
  return [...parts, text.slice(at)];
}

const count = (value: unknown): number => Math.trunc(Number(textOf(value))) || 0;

export const PATTERN_FUNCTIONS: readonly (readonly [name: string, run: (...values: unknown[]) => unknown])[] = [
  ["regexMatch", (source, value) => found(source, value, 1).length > 0],
  ["regexFind", (source, value) => found(source, value, 1)[0] ?? ""],
  ["regexFindAll", (source, value, most) => found(source, value, count(most))],
  ["regexReplaceAll", (source, value, by) => replaced(source, value, (match) => expanded(textOf(by), match))],
  ["regexReplaceAllLiteral", (source, value, by) => replaced(source, value, () => textOf(by))],
  ["regexSplit", (source, value, most) => split(source, value, count(most))],
];
