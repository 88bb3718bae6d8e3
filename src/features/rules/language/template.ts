import { toRfc3339 } from "../../../core/time/clock.ts";
import { InvalidTemplate, Refusal } from "./errors.ts";
import { scalarText } from "./evaluate/functions.ts";
import { cutText, toEpochMs, type Value, wellFormed } from "./evaluate/values.ts";
import { compilePath, type Read, type RuleEvent } from "./event.ts";
import { LIMITS } from "./limits.ts";
import { type NameSet, readPath } from "./parse/path.ts";
import { type TokenList, tokenize } from "./parse/tokens.ts";

type Part = string | Fill;

/** More than any text that `date` reads. */
const LEAST_UNITS = 128;
const OPENING = "{{";
const CLOSING = "}}";

/**
 * @param field name of the template's member, for the error.
 * @param names of paths, in place of `event`. @throws InvalidTemplate
 */
export function compileTemplate(source: string, field: string, names?: NameSet): Template {
  try {
    return new Template(source, readParts(source, names));
  } catch (error) {
    throw error instanceof Refusal ? new InvalidTemplate(field, source, error) : error;
  }
}

/** A text with `{{ path | filter }}` placeholders. */
export class Template {
  readonly source: string;
  readonly #parts: readonly Part[];

  constructor(source: string, parts: readonly Part[]) {
    this.source = source;
    this.#parts = parts;
  }

  /**
   * Fills the placeholders; null and missing values become empty text. Values are not parsed again.
   * @param maxCodePoints (≥ 1) limit of the text's field; a longer text is truncated and ends in
   * `…`.
   */
  render(event: RuleEvent, maxCodePoints: number): string {
    let text = "";
    // A code point has at most two units: anything longer would be truncated.
    const limitUnits = Math.max(LEAST_UNITS, 2 * maxCodePoints + 2);
    for (const part of this.#parts) {
      text += typeof part === "string" ? part : part(event, limitUnits);
      if (text.length > limitUnits) break;
    }
    return wellFormed(cutText(text, maxCodePoints));
  }
}

function readParts(source: string, names: NameSet | undefined): readonly Part[] {
  const parts: Part[] = [];
  let count = 0;
  let at = 0;
  for (let opening = source.indexOf(OPENING); opening !== -1; opening = source.indexOf(OPENING, at)) {
    count += 1;
    if (count > LIMITS.placeholders) {
      throw new Refusal("LIMIT", opening, `a template has at most ${LIMITS.placeholders} placeholders`);
    }
    const tokens = tokenize(source, opening + OPENING.length, CLOSING);
    const read = readPlaceholder(tokens, names);
    const end = tokens.at(tokens.length).start;
    if (!source.startsWith(CLOSING, end)) {
      throw new Refusal("SYNTAX", opening, "this placeholder is not closed by }}", [CLOSING]);
    }
    parts.push(source.slice(at, opening), read);
    at = end + CLOSING.length;
  }
  parts.push(source.slice(at));
  return parts;
}

/** Produces the text of a placeholder; anything beyond `limitUnits` (≥ 64) may be missing. */
type Fill = (event: RuleEvent, limitUnits: number) => string;

/** Reads the content of the braces. @throws Refusal SYNTAX, UNKNOWN_NAME, UNSAFE_NAME, LIMIT */
function readPlaceholder(tokens: TokenList, names: NameSet | undefined): Fill {
  const { path, next } = readPath(tokens, 0, false, names);
  const read = compilePath(path);
  const asJson = tokens.isSymbol(next, "|") && isJson(tokens, next + 1);
  const filters = readFilters(tokens, next, asJson);
  return (event, limitUnits) => fill(read, asJson, filters, event, limitUnits);
}

function readFilters(tokens: TokenList, from: number, asJson: boolean): readonly Filter[] {
  const filters: Filter[] = [];
  let count = 0;
  for (let index = from; index < tokens.length; ) {
    const { start } = tokens.at(index);
    if (!tokens.isSymbol(index, "|")) {
      throw new Refusal("SYNTAX", start, `unexpected ${tokens.quote(index)} after a path`, ["|", "}}"]);
    }
    count += 1;
    if (count > LIMITS.placeholderFilters) {
      throw new Refusal("LIMIT", start, `a placeholder has at most ${LIMITS.placeholderFilters} filters`);
    }
    if (asJson && count === 1) {
      index += 2;
      continue;
    }
    const { filter, next } = readFilter(tokens, index + 1);
    filters.push(filter);
    index = next;
  }
  return filters;
}

function isJson(tokens: TokenList, index: number): boolean {
  const token = tokens.at(index);
  return token.kind === "name" && token.name === "json";
}

// Truncates before each step: a filter must not multiply what is truncated in the end.
function fill(read: Read, asJson: boolean, filters: readonly Filter[], event: RuleEvent, limitUnits: number): string {
  let value = plainValue(bounded(read(event), limitUnits), asJson);
  for (const filter of filters) value = filter(bounded(value, limitUnits));
  return scalarText(bounded(value, limitUnits)) ?? "";
}

function bounded(value: Value, limitUnits: number): Value {
  return typeof value === "string" && value.length > limitUnits ? value.slice(0, limitUnits) : value;
}

function plainValue(value: Value, asJson: boolean): Value {
  if (value === null) return null;
  if (typeof value === "object") return jsonOf(value);
  return asJson ? JSON.stringify(value) : value;
}

/** A payload of 256 KiB takes milliseconds, and a thousand rules can use the same one. */
const jsonTexts = new WeakMap<object, string>();

function jsonOf(value: object): string {
  const text = jsonTexts.get(value) ?? JSON.stringify(value);
  jsonTexts.set(value, text);
  return text;
}

/** Transforms a value to insert. Null is "nothing to show": only `default` changes it. */
type Filter = (value: Value) => Value;

const FILTERS: Readonly<Record<"upper" | "lower" | "date", Filter>> = {
  upper: (value) => scalarText(value)?.toUpperCase() ?? null,
  lower: (value) => scalarText(value)?.toLowerCase() ?? null,
  date: dateText,
};

const NAMES = ["upper", "lower", "date", "json", "default"];

interface FilterReading {
  readonly filter: Filter;
  /** Index of the first token after the filter. */
  readonly next: number;
}

/** @param index of the token after the `|`: a name or `default:'text'`. @throws Refusal */
function readFilter(tokens: TokenList, index: number): FilterReading {
  const token = tokens.at(index);
  if (token.kind !== "name") {
    throw new Refusal("SYNTAX", token.start, `a filter must follow the |, not ${tokens.quote(index)}`, NAMES);
  }
  if (token.name === "default") return { filter: readDefault(tokens, index), next: index + 3 };
  if (token.name === "json")
    throw new Refusal("SYNTAX", token.start, "json must be the first filter", ["upper", "lower"]);
  if (!isFilterName(token.name)) {
    throw new Refusal("UNKNOWN_NAME", token.start, `there is no filter ${tokens.quote(index)}`, NAMES);
  }
  return { filter: FILTERS[token.name], next: index + 1 };
}

function readDefault(tokens: TokenList, index: number): Filter {
  const text = tokens.at(index + 2);
  if (!tokens.isSymbol(index + 1, ":") || text.kind !== "string") {
    const place = tokens.isSymbol(index + 1, ":") ? index + 2 : index + 1;
    throw new Refusal(
      "SYNTAX",
      tokens.at(place).start,
      "write default:'text'",
      place === index + 1 ? [":"] : ["string"],
    );
  }
  return (value) => value ?? text.value;
}

function isFilterName(name: string): name is keyof typeof FILTERS {
  return Object.hasOwn(FILTERS, name);
}

/** `2026-01-31 08:15:00 UTC` of an RFC 3339 string or of epoch ms; null otherwise. */
function dateText(value: Value): string | null {
  const epochMs = typeof value === "number" ? value : toEpochMs(value);
  if (epochMs === null || Math.abs(epochMs) > LATEST_MS) return null;
  const text = toRfc3339(epochMs);
  return `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
}

/** The last instant whose year has four digits. */
const LATEST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
