import { cutText, wellFormed } from "./code-points.ts";
import { InvalidTemplate } from "./errors.ts";
import type { RuleEvent } from "./event.ts";
import { LIMITS } from "./limits.ts";
import { tokenize } from "./parse/lexer.ts";
import { type Fill, readPlaceholder } from "./placeholder.ts";
import { Refusal } from "./refusal.ts";

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

type Part = string | Fill;

/** More than any text that `date` reads. */
const LEAST_UNITS = 128;
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
    // No code point has more than two units: whatever is over this would be cut.
    const limitUnits = Math.max(LEAST_UNITS, 2 * maxCodePoints + 2);
    for (const part of this.#parts) {
      text += typeof part === "string" ? part : part(event, limitUnits);
      if (text.length > limitUnits) break;
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
