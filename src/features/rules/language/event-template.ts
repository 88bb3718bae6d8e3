import { toRfc3339 } from "../../../core/time/clock.ts";
import { InvalidTemplate, Refusal } from "./errors.ts";
import { scalarText } from "./evaluate/functions.ts";
import { cutText, toEpochMs, type Value, wellFormed } from "./evaluate/values.ts";
import { compilePath, type Path, type RuleEvent } from "./event.ts";
import { LIMITS } from "./limits.ts";
import { type NameSet, readPath } from "./parse/path.ts";
import {
  FILTERS,
  type Placeholder,
  readTemplate,
  type TemplateFilter,
  type TemplatePlace,
  throughFilters,
} from "./template.ts";

type Part = string | Fill;

/** More than any text that `date` reads. */
const LEAST_UNITS = 128;

/**
 * @param field name of the template's member, for the error.
 * @param names of paths, in place of `event`. @throws InvalidTemplate
 */
export function compileTemplate(source: string, field: string, names?: NameSet): Template {
  try {
    const parts = readTemplate(source, placeOf(names));
    return new Template(
      source,
      parts.map((part) => (typeof part === "string" ? part : compileFill(part))),
    );
  } catch (error) {
    throw error instanceof Refusal ? new InvalidTemplate(field, source, error) : error;
  }
}

/** A template over an event, or over named values. */
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

const EVENT_FILTERS: Readonly<Record<string, TemplateFilter>> = {
  upper: FILTERS.upper,
  lower: FILTERS.lower,
  date: { apply: dateText },
  // Reads the value itself, so that it is first and done before the others.
  json: { apply: (value) => value },
  default: FILTERS.default,
};
const MOST = { placeholders: LIMITS.placeholders, filters: LIMITS.placeholderFilters };

function placeOf(names: NameSet | undefined): TemplatePlace<Path> {
  return { filters: EVENT_FILTERS, most: MOST, path: (tokens, index) => readPath(tokens, index, false, names) };
}

/** Produces the text of a placeholder; anything beyond `limitUnits` (≥ 64) may be missing. */
type Fill = (event: RuleEvent, limitUnits: number) => string;

function compileFill({ path, calls }: Placeholder<Path>): Fill {
  const late = calls.slice(1).find(({ name }) => name === "json");
  if (late) throw new Refusal("SYNTAX", late.start, "json must be the first filter", ["upper", "lower"]);
  const read = compilePath(path);
  const asJson = calls[0]?.name === "json";
  // Truncates before each step: a filter must not multiply what is truncated in the end.
  return (event, limitUnits) => {
    const bound = (value: Value) => bounded(value, limitUnits);
    const value = plainValue(bound(read(event)), asJson);
    return scalarText(bound(throughFilters(value, calls, bound))) ?? "";
  };
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

/** `2026-01-31 08:15:00 UTC` of an RFC 3339 string or of epoch ms; null otherwise. */
function dateText(value: Value): string | null {
  const epochMs = typeof value === "number" ? value : toEpochMs(value);
  if (epochMs === null || Math.abs(epochMs) > LATEST_MS) return null;
  const text = toRfc3339(epochMs);
  return `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
}

/** The last instant whose year has four digits. */
const LATEST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
