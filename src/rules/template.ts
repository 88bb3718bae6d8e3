import { cutText, wellFormed } from "./code-points.ts";
import { InvalidTemplate } from "./errors.ts";
import { compilePath, type Read } from "./evaluate/read-path.ts";
import type { RuleEvent } from "./event.ts";
import { LIMITS } from "./limits.ts";
import { tokenize } from "./parse/lexer.ts";
import { readPath } from "./parse/path.ts";
import type { TokenList } from "./parse/tokens.ts";
import { Refusal } from "./refusal.ts";
import { displayText, type Filter, readFilter } from "./template-filters.ts";

/** A text with `{{ path | filter }}` in it. */
export interface Template {
  readonly source: string;
  /**
   * Fills the placeholders in; what is null or missing leaves nothing. What is filled in is text and is not read again.
   *
   * @param maxCodePoints (≥ 1) length of the field the text is for; a longer text is cut and ends in `…`.
   */
  render(event: RuleEvent, maxCodePoints: number): string;
}

type Part = string | Read;

const OPENING = "{{";
const CLOSING = "}}";

/**
 * Reads a template (end of contract 6.3).
 *
 * @param field name of the member that holds it, for the error.
 * @throws InvalidTemplate
 */
export function compileTemplate(source: string, field: string): Template {
  try {
    return new CompiledTemplate(source, readParts(source));
  } catch (error) {
    throw error instanceof Refusal ? new InvalidTemplate(field, source, error) : error;
  }
}

class CompiledTemplate implements Template {
  readonly source: string;
  readonly #parts: readonly Part[];

  constructor(source: string, parts: readonly Part[]) {
    this.source = source;
    this.#parts = parts;
  }

  render(event: RuleEvent, maxCodePoints: number): string {
    let text = "";
    for (const part of this.#parts) {
      text += typeof part === "string" ? part : (displayText(part(event)) ?? "");
      // No code point has more than two units: whatever follows would be cut.
      if (text.length > 2 * maxCodePoints) break;
    }
    return wellFormed(cutText(text, maxCodePoints));
  }
}

function readParts(source: string): readonly Part[] {
  const parts: Part[] = [];
  let count = 0;
  let at = 0;
  for (let opening = source.indexOf(OPENING); opening !== -1; opening = source.indexOf(OPENING, at)) {
    count += 1;
    if (count > LIMITS.placeholders) {
      throw new Refusal("LIMIT", opening, `a template has at most ${LIMITS.placeholders} placeholders`);
    }
    const tokens = tokenize(source, opening + OPENING.length, CLOSING);
    const read = readPlaceholder(tokens);
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

function readPlaceholder(tokens: TokenList): Read {
  const { path, next } = readPath(tokens, 0);
  const filters = readFilters(tokens, next);
  const read = compilePath(path);
  return filters.length === 0 ? read : (event) => filters.reduce((value, filter) => filter(value), read(event));
}

function readFilters(tokens: TokenList, from: number): readonly Filter[] {
  const filters: Filter[] = [];
  let index = from;
  while (index < tokens.length) {
    if (!tokens.isSymbol(index, "|")) {
      throw new Refusal("SYNTAX", tokens.at(index).start, `unexpected ${tokens.quote(index)} after a path`, [
        "|",
        CLOSING,
      ]);
    }
    const { filter, next } = readFilter(tokens, index + 1);
    filters.push(filter);
    index = next;
  }
  return filters;
}
