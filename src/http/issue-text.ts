import type * as v from "valibot";

/** Longer texts are not repeated in an error. */
const MAX_SHOWN_LENGTH = 40;
/** Members whose value is never repeated in an error. */
const PRIVATE = /password|secret|token|key|code|content|note|fcm|apns|auth/i;

/** What is wrong with a member and, where that helps, what it was: "must be a whole number from 0 to 1000, not -1". */
export function issueText(issue: v.BaseIssue<unknown>): string {
  const { message } = issue;
  if (!message.startsWith("must be") || message.includes(", not ")) return message;
  const shown = shownValue(issue);
  return shown === undefined ? message : `${message}, not ${shown}`;
}

/** The text of an issue whose schema has none of its own. */
export function defaultText(issue: v.BaseIssue<unknown>): string {
  const { type, requirement } = issue;
  const unit = Array.isArray(issue.input) ? "item" : "character";
  if (type === "min_length") return `must have at least ${count(requirement, unit)}`;
  if (type === "max_length") return `must have at most ${count(requirement, unit)}`;
  if (type === "min_value") return `must be at least ${String(requirement)}`;
  if (type === "max_value") return `must be at most ${String(requirement)}`;
  if (type === "integer") return "must be a whole number";
  if (issue.kind !== "schema") return "is not allowed";
  return `must be ${KINDS[type] ?? choices(issue.expected)}`;
}

const KINDS: Readonly<Record<string, string>> = {
  array: "an array",
  boolean: "true or false",
  loose_object: "an object",
  number: "a number",
  object: "an object",
  record: "an object",
  strict_object: "an object",
  string: "a string",
};

function count(requirement: unknown, unit: string): string {
  return `${String(requirement)} ${unit}${requirement === 1 ? "" : "s"}`;
}

/** `("a" | "b" | null)` as "a, b or null". */
function choices(expected: string | null): string {
  const names = (expected ?? "another value").replace(/^\((.*)\)$/, "$1").split(" | ");
  const plain = names.map((name) => KINDS[name.toLowerCase()] ?? name.replace(/^"(.*)"$/, "$1"));
  const last = plain.pop() ?? "";
  return plain.length === 0 ? last : `${plain.join(", ")} or ${last}`;
}

function shownValue({ input, path, message, requirement }: v.BaseIssue<unknown>): string | undefined {
  if (input === null) return "null";
  if (Array.isArray(input)) return typeof requirement === "number" ? undefined : "an array";
  if (typeof input === "object") return "an object";
  if (typeof input === "number" || typeof input === "boolean") return String(input);
  const isPrivate = path?.some(({ key }) => PRIVATE.test(String(key))) ?? false;
  if (typeof input !== "string" || isPrivate || message.includes("character") || input.length > MAX_SHOWN_LENGTH)
    return undefined;
  return JSON.stringify(input);
}
