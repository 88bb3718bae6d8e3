import { startOf } from "../../core/clean-text.ts";
import type { MappingInput } from "./mapping.ts";

/** The type of what is stored of a request in which the mapping finds nothing. */
export const UNMAPPED_TYPE = "receiver.unmapped";

/** Members of a body that are looked at, from its top. */
const MAX_LOOKED_AT = 500;
const MAX_TITLE = 250;
const MAX_NAMED = 10;
const MAX_NAME = 40;
/** Names of members that say what happened, best first. */
const TELLING = /^(?:title|subject|summary|headline|name|message|text|msg|description|reason|event|alert)$/i;
/** Texts that tell a person nothing: masked ones, ids, times, URLs, hashes. */
const OPAQUE = /^(?:[^\p{L}]*|[\d\s.:+TZ-]*|https?:\S*|[0-9a-f-]{16,}|\S{40,})$/iu;

/**
 * The first text of a request that tells something: below a telling name, else any; null without
 * one. Of a list or nested objects the ones nearest to the top are looked at first.
 */
export function firstTextOf({ body, text }: Pick<MappingInput, "body" | "text">): string | null {
  let any: string | null = null;
  const parts: (readonly [string, unknown])[] = [["", body ?? text]];
  for (let i = 0; i < parts.length && i < MAX_LOOKED_AT; i++) {
    const [name, value] = parts[i] ?? ["", null];
    if (typeof value === "string") {
      const line = lineOf(value);
      if (line === "" || OPAQUE.test(line)) continue;
      if (name === "" || TELLING.test(name)) return line;
      any ??= line;
    } else if (typeof value === "object" && value !== null)
      for (const each of Object.entries(value).slice(0, MAX_LOOKED_AT - parts.length)) parts.push(each);
  }
  return any;
}

function lineOf(text: string): string {
  const [line = ""] = text
    .slice(0, 4 * MAX_TITLE)
    .trim()
    .split(/[\r\n]/, 1);
  return startOf(line.trim(), MAX_TITLE);
}

/** The title of what is stored of it: the receiver's name, and the first text found. */
export function unmappedTitle(receiver: string, text: string | null): string {
  return startOf(text === null ? receiver : `${receiver}: ${text}`, MAX_TITLE);
}

/** For the log: what the body has, where the mapping found nothing. */
export function membersOf({ body, text }: Pick<MappingInput, "body" | "text">): string {
  if (typeof body !== "object" || body === null) return text === null ? "the request has no body" : "the body is text";
  const names = Object.keys(body);
  const shown = names.slice(0, MAX_NAMED).map((name) => startOf(name, MAX_NAME));
  return `members of the body: ${shown.join(", ")}${names.length > MAX_NAMED ? ", …" : ""}`;
}

/** For the log: a body that its header calls JSON and that was read as text; null for any other. */
export function misdeclared({ body, text, headers }: Pick<MappingInput, "body" | "text" | "headers">): string | null {
  const type = Object(headers) as { readonly "content-type"?: unknown };
  const isJsonType = /^\s*[^;]*[/+]json\b/i.test(String(type["content-type"] ?? ""));
  return isJsonType && body === null && text !== null
    ? "the body is not JSON, as its Content-Type says: it was read as text"
    : null;
}
