import { isDeepStrictEqual } from "node:util";
import * as v from "valibot";
import { type Caller, runAs } from "../../core/caller.ts";
import { type ErrorDetail, invalidField, MAX_ERROR_DETAILS, PrismError } from "../../core/errors.ts";
import { charsetIn, decodeEscapes, decodeText } from "../../core/text/decode-text.ts";
import { decodeUtf8, hasByteOrderMark, jsonErrorPosition, scanJson } from "../../core/text/json-text.ts";
import { RawJson, Reply, type Route, type Shape } from "../api/route.ts";
import { requireAccess } from "../server/access.ts";
import type { Exchange } from "../server/exchange.ts";
import type { Match, Router } from "../server/router.ts";
import { memberLimitOf } from "./body.ts";

/** Longer texts are not quoted in an error. */
const MAX_SHOWN_LENGTH = 40;
/** Members whose value is never quoted in an error. */
const PRIVATE = /password|secret|token|key|code|content|note|fcm|apns|auth/i;

/** The problem of a member, with its value if useful: "must be a number from 0 to 9, not -1". */
function issueText(issue: v.BaseIssue<unknown>): string {
  const { message } = issue;
  if (!message.startsWith("must be") || message.includes(", not ")) return message;
  const shown = shownValue(issue);
  return shown === undefined ? message : `${message}, not ${shown}`;
}

/** The text of an issue whose schema has none. */
function defaultText(issue: v.BaseIssue<unknown>): string {
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

/** Schemas that report a missing member at its key. */
const OBJECTS: ReadonlySet<string> = new Set(["object", "loose_object", "strict_object"]);

export const MAX_JSON_DEPTH = 32;

/**
 * Validates one part of a request. @param at names the part in the details: `body`, `query`.
 * @throws VALIDATION_FAILED with every problem.
 */
export function checkShape<T>(shape: Shape<T>, value: unknown, at: "body" | "query" | "path"): T {
  const result = v.safeParse(shape, value, { message: defaultText });
  if (result.success) return result.output;
  throw refusalOf(result.issues, at);
}

/** What is wrong with a secret; null: nothing. Its value is never quoted. */
export function secretProblem(shape: v.GenericSchema, value: string): string | null {
  const { issues } = v.safeParse(shape, value, { message: defaultText });
  return issues?.[0].message ?? null;
}

/**
 * All problems of a part of a request, without duplicates.
 * @param current the current resource: its members that bodies may not have are read-only.
 */
function refusalOf(
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
  const isMissing = OBJECTS.has(issue.type) && issue.received === "undefined" && (issue.path?.length ?? 0) > 0;
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

/** Members of a JSON body: parsing and checking take some microseconds for each. */
const MAX_JSON_MEMBERS = 20_000;

interface ParseOptions {
  readonly maxMembers?: number | undefined;
  /** Called with the members before they are parsed. @throws WORK_LIMITED */
  readonly charge?: ((members: number) => void) | undefined;
  /** Whose body it is, see {@link bodyText}. */
  readonly exchange?: Exchange | undefined;
}

/**
 * The text of a body, see `decodeText`. What was done with bytes that are not UTF-8 is in the log's
 * line of the request.
 */
export function bodyText(body: Buffer, exchange?: Exchange): string {
  const text = decodeUtf8(body);
  const isPlain = /^(?:utf-?8)?$/.test(charsetOf(exchange) ?? "");
  return text !== undefined && isPlain ? text : otherText(body, exchange);
}

function charsetOf(exchange: Exchange | undefined): string | null {
  const type = exchange?.header("content-type") ?? "";
  // The most common one needs no search.
  return type === "application/json" ? null : charsetIn(type);
}

function otherText(body: Buffer, exchange: Exchange | undefined): string {
  const { text, note } = decodeText(body, charsetOf(exchange));
  if (exchange) exchange.textNote ??= note;
  return text;
}

/**
 * The text of a JSON body, see {@link bodyText}. @throws MALFORMED_JSON for a byte order mark of UTF-8
 * (RFC 8259 section 8.1)
 */
export function jsonBodyText(body: Buffer, exchange?: Exchange): string {
  if (hasByteOrderMark(body)) throw new PrismError("MALFORMED_JSON", "The body begins with a byte order mark");
  return bodyText(body, exchange);
}

/**
 * Parses a JSON body. @throws MALFORMED_JSON, with `position` if the engine reports it;
 * PAYLOAD_TOO_LARGE for too many members, and what `charge` throws
 */
export function parseJson(
  body: Buffer,
  { maxMembers = MAX_JSON_MEMBERS, charge, exchange }: ParseOptions = {},
): unknown {
  const text = jsonBodyText(body, exchange);
  const members = countMembers(text, maxMembers);
  charge?.(members);
  return parseJsonText(text);
}

/**
 * The members and elements of a JSON text, counted before it is parsed. @throws MALFORMED_JSON for too
 * deep nesting, PAYLOAD_TOO_LARGE for more than `limit`
 */
export function countMembers(text: string, limit: number): number {
  const { depth, members } = scanJson(text, MAX_JSON_DEPTH, limit);
  if (depth > MAX_JSON_DEPTH) throw tooDeep();
  if (members > limit) throw new PrismError("PAYLOAD_TOO_LARGE", `The body has more than ${limit} members`);
  return members;
}

export function tooDeep(): PrismError {
  return new PrismError("MALFORMED_JSON", `The body nests deeper than ${MAX_JSON_DEPTH} levels`);
}

/** @param parse another one than `JSON.parse`. @throws MALFORMED_JSON */
export function parseJsonText(text: string, parse: (text: string) => unknown = JSON.parse): unknown {
  try {
    return parse(text);
  } catch (error) {
    const position = jsonErrorPosition(error);
    const details = position === undefined ? {} : { details: [{ message: "stops being JSON here", position }] };
    throw new PrismError("MALFORMED_JSON", "The body is not JSON", details);
  }
}

const NO_QUERY: Readonly<Record<string, string>> = Object.freeze(Object.create(null) as Record<string, string>);

/** Of routes on the hot path: the checked form of an empty query. */
const emptyQueries = new WeakMap<Route, unknown>();

/** The checked query of a request to this route. @throws VALIDATION_FAILED */
export function queryOf(route: Route, text: string): unknown {
  if (!route.query) return undefined;
  if (text !== "" || route.quiet !== true) return checkShape(route.query, parseQuery(text), "query");
  let query = emptyQueries.get(route);
  if (query === undefined) {
    query = Object.freeze(checkShape(route.query, NO_QUERY, "query"));
    emptyQueries.set(route, query);
  }
  return query;
}

/**
 * Parses query parameters into an object without prototype. `+` is a space (WHATWG URL,
 * application/x-www-form-urlencoded); bytes that are not UTF-8 are read as in `decodeText`.
 * @param isStrict whether such bytes are refused @throws VALIDATION_FAILED for a repeated parameter or
 * invalid percent-encoding.
 */
export function parseQuery(
  text: string,
  { isStrict = false }: { readonly isStrict?: boolean } = {},
): Readonly<Record<string, string>> {
  if (text === "") return NO_QUERY;
  const query: Record<string, string> = Object.create(null);
  for (const part of text.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const [name, value] = equals < 0 ? [part, ""] : [part.slice(0, equals), part.slice(equals + 1)];
    const decoded = decode(name, isStrict);
    if (decoded in query) {
      throw invalidField("query", decoded, "is given more than once", "REPEATED");
    }
    query[decoded] = decode(value, isStrict);
  }
  return query;
}

function decode(text: string, isStrict: boolean): string {
  if (!/[%+]/.test(text)) return text;
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    if (isStrict || BROKEN_ESCAPE.test(text))
      throw new PrismError("VALIDATION_FAILED", "The query is not percent-encoded UTF-8");
    return decodeEscapes(text);
  }
}

const BROKEN_ESCAPE = /%(?![\da-f]{2})/i;

/** An object as parsed: its members are unchecked. */
export type JsonMembers = Readonly<Record<string, unknown>>;

type Change = Route & { readonly body: Shape<unknown> };

/** Whether a refused change should be checked by {@link withoutRepeated}. */
export function mayRepeat(route: Route, given: unknown): route is Change {
  const isChange = route.method === "PUT" || route.method === "PATCH";
  return isChange && route.body !== undefined && route.raw === undefined && !v.is(route.body, given);
}

/**
 * Retries a refused body of PUT or PATCH. Clients send back the result of GET, including read-only
 * members: those equal to the current value are removed, and so are members that GET's shape marks
 * `readOnly`, which change by themselves. Other problems are still refused. Reading the resource
 * costs a query, so this is done for refused bodies only.
 */
export async function withoutRepeated(
  router: Router,
  exchange: Exchange,
  route: Change,
  given: unknown,
  caller: Caller,
): Promise<unknown> {
  const issues = v.safeParse(route.body, given).issues ?? [];
  const reading = isMembers(given) ? readingOf(router, exchange, route) : null;
  const current = reading && (await runAs(caller, () => read(exchange, reading)));
  if (!current || !reading || !isMembers(given)) return checkShape(route.body, given, "body");
  const refused = new Set(issues.map(({ path }) => String(path?.[0].key)));
  const ignored = readOnlyMembers(reading.mount.route);
  // Its own members only: `__proto__` of every object equals an empty one in Node 24.
  const isUnchanged = (name: string, value: unknown): boolean =>
    Object.hasOwn(current, name) && isDeepStrictEqual(value, current[name]);
  const kept = Object.entries(given).filter(
    ([name, value]) => !refused.has(name) || !(ignored.has(name) || isUnchanged(name, value)),
  );
  const result = v.safeParse(route.body, Object.fromEntries(kept), { message: defaultText });
  if (result.success) return result.output;
  throw refusalOf(result.issues, "body", current);
}

/** The GET route of a changed resource; null if there is none that the caller may use. */
function readingOf(router: Router, exchange: Exchange, route: Route): Match | null {
  const path = route.resource === undefined ? exchange.path : filledIn(route.resource, exchange.params);
  const match = router.find("GET", path);
  if (!match || !("mount" in match) || !exchange.principal) return null;
  try {
    requireAccess(match.mount.route.access, exchange.principal);
    return match;
  } catch {
    return null;
  }
}

async function read(exchange: Exchange, { mount: { route }, params }: Match): Promise<JsonMembers | null> {
  try {
    // A resource that is named by the query, such as by a project.
    const named = route.query && v.is(route.query, parseQuery(exchange.queryText));
    const query = route.query && checkShape(route.query, named ? parseQuery(exchange.queryText) : {}, "query");
    const path = route.params ? checkShape(route.params, params, "path") : undefined;
    const answer: unknown = await route.handle(exchange, { params: path, query, body: undefined });
    const body = answer instanceof Reply ? answer.body : answer;
    const value: unknown = JSON.parse(body instanceof RawJson ? body.text : JSON.stringify(body));
    return isMembers(value) ? value : null;
  } catch (error) {
    // The resource does not exist: report the body's problems.
    if (error instanceof PrismError) return null;
    throw error;
  }
}

function readOnlyMembers({ response }: Route): ReadonlySet<string> {
  const entries =
    response && "entries" in response ? (response.entries as Readonly<Record<string, v.GenericSchema>>) : {};
  const names = Object.entries(entries).filter(([, schema]) => v.getMetadata(unwrapped(schema))["readOnly"] === true);
  return new Set(names.map(([name]) => name));
}

/** The schema inside `optional` and `nullable`. */
function unwrapped(schema: v.GenericSchema): v.GenericSchema {
  return "wrapped" in schema ? unwrapped(schema.wrapped as v.GenericSchema) : schema;
}

function filledIn(path: string, params: JsonMembers): string {
  return path.replace(/:(\w+)/g, (_whole, name: string) => encodeURIComponent(String(params[name])));
}

function isMembers(value: unknown): value is JsonMembers {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const EMPTY_OBJECT = Buffer.from("{}");

/**
 * The unchecked value of the body, or its bytes for a route that reads those. A missing body counts
 * as `{}`. @param charge see {@link parseJson} @throws MALFORMED_JSON, PAYLOAD_TOO_LARGE
 */
export function bodyValue(
  route: Route,
  body: Buffer,
  exchange?: Exchange,
  charge?: (members: number) => void,
): unknown {
  if (route.raw) return body.length === 0 && route.raw.exact !== true ? EMPTY_OBJECT : body;
  if (!route.body) return undefined;
  return body.length === 0 ? {} : parseJson(body, { maxMembers: memberLimitOf(route), charge, exchange });
}
