import type { Answers, Setting } from "../../../src/client/api-types.gen.ts";

export type Settings = Answers["listSettings"];

const ORIGINS: Readonly<Record<string, string>> = {
  flag: "command line",
  environment: "environment",
  file: "configuration file",
  console: "set here",
  default: "default",
  generated: "generated",
};

/** In plain words where the value of a setting comes from. */
export function originText({ origin, source }: Setting): string {
  const text = ORIGINS[origin] ?? origin;
  return source === null ? text : `${text}, ${source}`;
}

/** A setting's value as a text of a field; durations with their largest whole unit. */
export function fieldText(value: unknown, input?: Setting["input"]): string {
  if (value === null || value === undefined) return "";
  if (input === "duration" && typeof value === "number") return durationText(value);
  return Array.isArray(value) ? value.join(", ") : String(value);
}

/** The value of a field's text. null: back to the default. */
export function fieldValue({ input }: Setting, text: string): unknown {
  if (text.trim() === "") return null;
  if (input === "integer") return Number(text);
  if (input === "boolean") return text === "true";
  if (input === "duration") return durationValue(text);
  return text.trim();
}

const UNITS = [
  { unit: "d", word: "d", ms: 86_400_000 },
  { unit: "h", word: "h", ms: 3_600_000 },
  { unit: "m", word: "min", ms: 60_000 },
  { unit: "s", word: "s", ms: 1000 },
] as const;

function durationText(ms: number): string {
  const unit = ms > 0 ? UNITS.find((each) => ms % each.ms === 0) : undefined;
  return unit ? `${ms / unit.ms} ${unit.word}` : `${ms} ms`;
}

/** The server's notation: "5 min" and "5 minutes" are "5m". */
function durationValue(text: string): string {
  return text
    .trim()
    .replace(/\s*(?:min|mins|minutes?)$/i, "m")
    .replace(/\s*(?:sec|secs|seconds?)$/i, "s")
    .replace(/\s*hours?$/i, "h")
    .replace(/\s*days?$/i, "d");
}
