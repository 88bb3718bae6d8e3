import * as v from "valibot";
import { type ErrorDetail, MAX_ERROR_DETAILS, PrismError } from "../core/errors.ts";
import { decodeUtf8, jsonErrorPosition, outlineJson } from "../core/json-text.ts";
import { defaultText, issueText } from "./issue-text.ts";
import type { Shape } from "./route.ts";

export const MAX_JSON_DEPTH = 32;

/** Checks one part of a request. @param at names the part in the details: `body`, `query`. @throws VALIDATION_FAILED with every problem. */
export function checkShape<T>(shape: Shape<T>, value: unknown, at: "body" | "query" | "path"): T {
  const result = v.safeParse(shape, value, { message: defaultText });
  if (result.success) return result.output;
  throw refusalOf(result.issues, at);
}

/**
 * All that is wrong with a part of a request, each thing once.
 * @param current what the resource shows: its members that no body may have are the server's.
 */
export function refusalOf(
  issues: readonly v.BaseIssue<unknown>[],
  at: "body" | "query" | "path",
  current: Readonly<Record<string, unknown>> = {},
): PrismError {
  const details = new Map<string, ErrorDetail>();
  for (const issue of issues) {
    const detail = detailOf(issue, current);
    details.set(`${detail.path} ${detail.message}`, detail);
  }
  return new PrismError("VALIDATION_FAILED", `The ${at} is not valid`, {
    details: [...details.values()].slice(0, MAX_ERROR_DETAILS),
  });
}

function detailOf(issue: v.BaseIssue<unknown>, current: Readonly<Record<string, unknown>>): ErrorDetail {
  const path = v.getDotPath(issue) ?? "";
  const isUnknown = issue.type === "strict_object" && issue.expected === "never";
  const isMissing = issue.type === "strict_object" && issue.received === "undefined";
  if (isUnknown && Object.hasOwn(current, path)) {
    const message = `is set by the server; leave it out or send ${shownCurrent(current[path])}`;
    return { path, code: "READ_ONLY", message };
  }
  if (isUnknown) return { path, code: "UNKNOWN_MEMBER", message: "is not a member of this object" };
  if (isMissing) return { path, code: "REQUIRED", message: "is required" };
  return { path, code: issue.kind === "schema" ? "TYPE" : "VALUE", message: issueText(issue) };
}

function shownCurrent(value: unknown): string {
  const text = JSON.stringify(value) ?? "null";
  return text.length <= 64 ? text : "what GET shows";
}

/** A JSON body as a value. @throws MALFORMED_JSON, with `position` where the engine names one. */
export function parseJson(body: Buffer): unknown {
  return parseJsonText(jsonText(body));
}

/** The text of a JSON body. @throws MALFORMED_JSON for what is not UTF-8, begins with a byte order mark, or nests too deep. */
export function jsonText(body: Buffer): string {
  const text = decodeUtf8(body);
  if (text === undefined)
    throw new PrismError("MALFORMED_JSON", "The body is not UTF-8, or begins with a byte order mark");
  if (outlineJson(text, MAX_JSON_DEPTH).depth > MAX_JSON_DEPTH) throw tooDeep();
  return text;
}

export function tooDeep(): PrismError {
  return new PrismError("MALFORMED_JSON", `The body nests deeper than ${MAX_JSON_DEPTH} levels`);
}

export function parseJsonText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const position = jsonErrorPosition(error);
    const details = position === undefined ? {} : { details: [{ message: "stops being JSON here", position }] };
    throw new PrismError("MALFORMED_JSON", "The body is not JSON", details);
  }
}

/**
 * Query parameters as an object without prototype. `+` is a space (WHATWG URL, application/x-www-form-urlencoded).
 * @throws VALIDATION_FAILED when a parameter stands twice or is not percent-encoded UTF-8.
 */
export function parseQuery(text: string): Readonly<Record<string, string>> {
  const query: Record<string, string> = Object.create(null);
  if (text === "") return query;
  for (const part of text.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const [name, value] = equals < 0 ? [part, ""] : [part.slice(0, equals), part.slice(equals + 1)];
    const decoded = decode(name);
    if (decoded in query) {
      throw new PrismError("VALIDATION_FAILED", "The query is not valid", {
        details: [{ path: decoded, code: "REPEATED", message: "stands more than once" }],
      });
    }
    query[decoded] = decode(value);
  }
  return query;
}

function decode(text: string): string {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw new PrismError("VALIDATION_FAILED", "The query is not percent-encoded UTF-8");
  }
}
