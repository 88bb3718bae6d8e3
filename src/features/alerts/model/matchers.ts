import { PrismError } from "../../../core/errors.ts";
import { compareText, goQuoted } from "./labels.ts";
import {
  isReservedCharacter,
  MATCH_OPERATORS,
  type Matcher,
  type MatchOperator,
  parseUtf8Matchers,
} from "./utf8-matchers.ts";

export type { Matcher };

/**
 * Reads one matcher, such as `team="db"`. Tries the UTF-8 form; the classic form wins if only it
 * is valid or if the two differ, as in Alertmanager since 0.27.
 * @throws VALIDATION_FAILED
 */
export function parseMatcher(text: string): Matcher {
  const [matcher] = parseEither(
    () => only(parseUtf8Matchers(text), text),
    () => [parseClassicMatcher(text)],
  );
  return matcher as Matcher;
}

/** Reads a list, such as `{team="db",env=~"prod|test"}`, braces optional. @throws VALIDATION_FAILED */
export function parseMatchers(text: string): readonly Matcher[] {
  return parseEither(
    () => parseUtf8Matchers(text),
    () => parseClassicMatchers(text),
  );
}

function parseEither<T extends readonly Matcher[]>(parseUtf8: () => T, parseClassic: () => T): T {
  const utf8 = attempt(parseUtf8);
  const classic = attempt(parseClassic);
  if ("error" in utf8) {
    if ("error" in classic) throw classic.error;
    return classic.value;
  }
  return "value" in classic && !isSameList(classic.value, utf8.value) ? classic.value : utf8.value;
}

function attempt<T>(parse: () => T): { readonly value: T } | { readonly error: PrismError } {
  try {
    return { value: parse() };
  } catch (error) {
    if (error instanceof PrismError) return { error };
    throw error;
  }
}

function only(matchers: readonly Matcher[], text: string): readonly Matcher[] {
  const [first, ...more] = matchers;
  // Braces belong to a list.
  if (first === undefined || more.length > 0 || /^\{|\}$/.test(text))
    throw new PrismError("VALIDATION_FAILED", `bad matcher format: ${text}`);
  return [first];
}

// As in Alertmanager: `=~` before `=`, or the tilde would be part of the value.
const CLASSIC = /^[\t\n\f\r ]*([a-zA-Z_:][a-zA-Z0-9_:]*)[\t\n\f\r ]*(=~|=|!=|!~)[\t\n\f\r ]*([\s\S]*?)[\t\n\f\r ]*$/;

/** The grammar before 0.27: any value may be bare. @throws VALIDATION_FAILED */
export function parseClassicMatcher(text: string): Matcher {
  const [, name, operator, value] = CLASSIC.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw new PrismError("VALIDATION_FAILED", `bad matcher format: ${text}`);
  return { name, operator: operator as MatchOperator, value: classicValue(value) };
}

function classicValue(raw: string): string {
  let isQuoted = raw.startsWith('"');
  const text = isQuoted ? raw.slice(1) : raw;
  let value = "";
  for (let at = 0; at < text.length; at++) {
    const [character, next] = [text[at] ?? "", text[at + 1]];
    if (character === "\\" && next !== undefined) {
      value += next === "n" ? "\n" : next === '"' || next === "\\" ? next : `\\${next}`;
      at += 1;
    } else if (character === '"') {
      if (!isQuoted || next !== undefined) throw unescapedQuote(raw);
      isQuoted = false;
    } else value += character;
  }
  if (isQuoted) throw unescapedQuote(raw);
  return value;
}

function unescapedQuote(raw: string): PrismError {
  return new PrismError("VALIDATION_FAILED", `matcher value contains unescaped double quote: ${raw}`);
}

/** @throws VALIDATION_FAILED */
function parseClassicMatchers(text: string): readonly Matcher[] {
  return splitClassic(text.replace(/^\{/, "").replace(/\}$/, "")).map(parseClassicMatcher);
}

/** Splits at commas outside quotes. An empty last item is a trailing comma. */
function splitClassic(list: string): readonly string[] {
  const items: string[] = [];
  let item = "";
  let isQuoted = false;
  let isEscaped = false;
  for (const character of list) {
    if (character === "," && !isQuoted) {
      items.push(item);
      item = "";
      continue;
    }
    if (character === '"') {
      if (!isEscaped) isQuoted = !isQuoted;
      isEscaped = false;
    } else if (character === "\\") isEscaped = !isEscaped;
    else if (character !== ",") isEscaped = false;
    item += character;
  }
  if (item.trim() !== "") items.push(item.trim());
  return items;
}

/** The text form, such as `team="db"`. Names are quoted only if they have reserved characters. */
export function matcherText({ name, operator, value }: Matcher): string {
  const isPlain = name !== "" && ![...name].some(isReservedCharacter);
  if (!isPlain) return `${goQuoted(name)}${operator}${goQuoted(value)}`;
  return `${name}${operator}"${value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"')}"`;
}

/** The text form of a list, sorted: `{a="b",c=~"d"}`. */
export function matchersText(matchers: readonly Matcher[]): string {
  return `{${sortedMatchers(matchers).map(matcherText).join(",")}}`;
}

export function sortedMatchers(matchers: readonly Matcher[]): readonly Matcher[] {
  return [...matchers].sort(compareMatchers);
}

/** By name, value and operator. */
function compareMatchers(left: Matcher, right: Matcher): number {
  return (
    compareText(left.name, right.name) ||
    compareText(left.value, right.value) ||
    MATCH_OPERATORS.indexOf(left.operator) - MATCH_OPERATORS.indexOf(right.operator)
  );
}

export function isSameMatcher(left: Matcher, right: Matcher): boolean {
  return left.name === right.name && left.operator === right.operator && left.value === right.value;
}

/** Whether two silences have the same matchers, in any order. */
export function isSameMatchers(left: readonly Matcher[], right: readonly Matcher[]): boolean {
  return isSameList(sortedMatchers(left), sortedMatchers(right));
}

function isSameList(left: readonly Matcher[], right: readonly Matcher[]): boolean {
  return (
    left.length === right.length && left.every((matcher, at) => isSameMatcher(matcher, right[at] as typeof matcher))
  );
}
