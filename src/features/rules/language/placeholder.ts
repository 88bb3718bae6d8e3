import { scalarText } from "./evaluate/number-functions.ts";
import { compilePath, type Read } from "./evaluate/read-path.ts";
import type { Value } from "./evaluate/value.ts";
import type { RuleEvent } from "./event.ts";
import { LIMITS } from "./limits.ts";
import { readPath } from "./parse/path.ts";
import type { TokenList } from "./parse/tokens.ts";
import { Refusal } from "./refusal.ts";
import { type Filter, readFilter } from "./template-filters.ts";

/** Makes the text of a placeholder; what is over `limitUnits` (≥ 64) in length may be missing. */
export type Fill = (event: RuleEvent, limitUnits: number) => string;

/** Reads what is between the braces. @throws Refusal SYNTAX, UNKNOWN_NAME, UNSAFE_NAME, LIMIT */
export function readPlaceholder(tokens: TokenList): Fill {
  const { path, next } = readPath(tokens, 0);
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

// Cut before each step: what is over the limit is cut from the text in the end, and a filter must not make more of it.
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

/** A payload of 256 KiB takes milliseconds, and a thousand rules can ask for the same one. */
const jsonTexts = new WeakMap<object, string>();

function jsonOf(value: object): string {
  const text = jsonTexts.get(value) ?? JSON.stringify(value);
  jsonTexts.set(value, text);
  return text;
}
