import { scalarText } from "./evaluate/number-functions.ts";
import { timestampText, toEpochMs } from "./evaluate/timestamp.ts";
import type { Value } from "./evaluate/value.ts";
import type { TokenList } from "./parse/tokens.ts";
import { Refusal } from "./refusal.ts";

/** Changes a value on its way into the text. Null means "nothing to show" and passes through every filter but `default`. */
export type Filter = (value: Value) => Value;

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

/**
 * Reads `name` or `default:'text'`, of every filter but `json`.
 *
 * @param index of the token after the `|`.
 * @throws Refusal UNKNOWN_NAME, SYNTAX
 */
export function readFilter(tokens: TokenList, index: number): FilterReading {
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

/** `2026-01-31 08:15:00 UTC` of an RFC 3339 string or of epoch ms; null for everything else. */
function dateText(value: Value): string | null {
  const epochMs = typeof value === "number" ? value : toEpochMs(value);
  if (epochMs === null || Math.abs(epochMs) > LATEST_MS) return null;
  const text = timestampText(epochMs);
  return `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`;
}

/** The last instant whose year has four digits. */
const LATEST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
