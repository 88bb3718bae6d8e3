import { Refusal } from "./errors.ts";
import { scalarText } from "./evaluate/functions.ts";
import type { Value } from "./evaluate/values.ts";
import { type TokenList, tokenize } from "./parse/tokens.ts";

/**
 * The language of all templates: `{{ path | filter | filter:'argument' }}` in a text. What its paths read,
 * which filters there are and how values are escaped is of the place where a template stands.
 */
export interface TemplatePlace<Path> {
  readonly filters: Readonly<Record<string, TemplateFilter>>;
  readonly most: { readonly placeholders: number; readonly filters: number };
  /** Whether a backslash in an argument is one. */
  readonly isPlain?: boolean;
  /** @throws Refusal */
  path(tokens: TokenList, index: number): PathRead<Path>;
}

interface PathRead<Path> {
  readonly path: Path;
  /** Index of the first token after the path. */
  readonly next: number;
}

export interface TemplateFilter {
  /** Null is "nothing to show". */
  readonly apply: (value: Value, argument: string) => Value;
  /** What may follow after a `:`; what needs any takes a string, a number or a path. Default: nothing. */
  readonly argument?: "text" | "any" | "needed";
}

export interface FilterCall<Path> {
  readonly name: string;
  readonly apply: TemplateFilter["apply"];
  readonly argument: string | { readonly path: Path };
  readonly start: number;
}

/** A path and what is done with its value. */
export interface Placeholder<Path> {
  readonly path: Path;
  readonly calls: readonly FilterCall<Path>[];
}

/** Filters that mean the same everywhere. */
export const FILTERS = {
  upper: { apply: (value) => scalarText(value)?.toUpperCase() ?? null },
  lower: { apply: (value) => scalarText(value)?.toLowerCase() ?? null },
  default: { apply: (value, other) => value ?? other, argument: "text" },
} as const satisfies Readonly<Record<string, TemplateFilter>>;

const OPENING = "{{";
const CLOSING = "}}";

export function hasPlaceholders(text: string): boolean {
  return text.includes(OPENING);
}

/** Reads a template: texts and placeholders as written. @throws Refusal SYNTAX, UNKNOWN_NAME, LIMIT, and those of paths */
export function readTemplate<Path>(
  source: string,
  place: TemplatePlace<Path>,
): readonly (string | Placeholder<Path>)[] {
  const parts: (string | Placeholder<Path>)[] = [];
  let count = 0;
  let at = 0;
  for (let opening = source.indexOf(OPENING); opening !== -1; opening = source.indexOf(OPENING, at)) {
    count += 1;
    if (count > place.most.placeholders) {
      throw new Refusal("LIMIT", opening, `a template has at most ${place.most.placeholders} placeholders`);
    }
    const tokens = tokenize(source, opening + OPENING.length, { closing: CLOSING, isPlain: place.isPlain });
    const { path, next } = place.path(tokens, 0);
    const calls = readCalls(tokens, next, place);
    const end = tokens.at(tokens.length).start;
    if (!source.startsWith(CLOSING, end)) {
      throw new Refusal("SYNTAX", opening, "this placeholder is not closed by }}", [CLOSING]);
    }
    if (opening > at) parts.push(source.slice(at, opening));
    parts.push({ path, calls });
    at = end + CLOSING.length;
  }
  if (at < source.length) parts.push(source.slice(at));
  return parts;
}

function readCalls<Path>(tokens: TokenList, from: number, place: TemplatePlace<Path>): readonly FilterCall<Path>[] {
  const calls: FilterCall<Path>[] = [];
  for (let index = from; index < tokens.length; ) {
    const { start } = tokens.at(index);
    if (!tokens.isSymbol(index, "|")) {
      throw new Refusal("SYNTAX", start, `unexpected ${tokens.quote(index)} after a path`, ["|", "}}"]);
    }
    if (calls.length === place.most.filters) {
      throw new Refusal("LIMIT", start, `a placeholder has at most ${place.most.filters} filters`);
    }
    const { call, next } = readCall(tokens, index + 1, place);
    calls.push(call);
    index = next;
  }
  return calls;
}

/** @param index of the token after the `|` */
function readCall<Path>(tokens: TokenList, index: number, place: TemplatePlace<Path>) {
  const token = tokens.at(index);
  const names = Object.keys(place.filters);
  if (token.kind !== "name") {
    throw new Refusal("SYNTAX", token.start, `a filter must follow the |, not ${tokens.quote(index)}`, names);
  }
  const { name, start } = token;
  const filter = Object.hasOwn(place.filters, name) ? place.filters[name] : undefined;
  if (filter === undefined) {
    throw new Refusal("UNKNOWN_NAME", start, `there is no filter ${tokens.quote(index)}`, names);
  }
  const { apply, argument: takes } = filter;
  const isGiven = takes !== undefined && tokens.isSymbol(index + 1, ":");
  if (!isGiven) {
    if (takes === "text" || takes === "needed") throw withoutArgument(name, tokens.at(index + 1).start, ":");
    return { call: { name, apply, argument: "", start }, next: index + 1 };
  }
  const given = tokens.at(index + 2);
  if (given.kind === "string") return { call: { name, apply, argument: given.value, start }, next: index + 3 };
  if (takes === "text") throw withoutArgument(name, given.start, "string");
  if (given.kind === "number" && given.isInteger) {
    const digits = tokens.source.slice(given.start, given.end);
    return { call: { name, apply, argument: digits, start }, next: index + 3 };
  }
  const { path, next } = place.path(tokens, index + 2);
  return { call: { name, apply, argument: { path }, start }, next };
}

function withoutArgument(name: string, position: number, expected: string): Refusal {
  return new Refusal("SYNTAX", position, `write ${name}:'text'`, [expected]);
}

/** A path of a place that does not read its tokens: the text up to the next `|`. */
export function pathText(tokens: TokenList, index: number) {
  let next = index;
  while (next < tokens.length && !tokens.isSymbol(next, "|")) next += 1;
  const { start } = tokens.at(index);
  return { text: next === index ? "" : tokens.source.slice(start, tokens.at(next - 1).end), start, next };
}

/**
 * A value after its filters. @param before applied to each value that a filter gets
 * @param textAt of the paths in arguments
 */
export function throughFilters<Path>(
  value: Value,
  calls: readonly FilterCall<Path>[],
  before: (value: Value) => Value = (given) => given,
  textAt: (path: Path) => string = () => "",
): Value {
  let result = value;
  for (const { apply, argument } of calls)
    result = apply(before(result), typeof argument === "string" ? argument : textAt(argument.path));
  return result;
}
