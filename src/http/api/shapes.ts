import * as v from "valibot";
import type { Config } from "../../config/load.ts";
import { invalidField, MAX_ERROR_DETAILS, PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import { cleanText, codePointLength } from "../../core/text/clean-text.ts";
import { parseRfc3339 } from "../../core/time/clock.ts";

/**
 * Building blocks of request schemas. Each has metadata before its transforms for the OpenAPI
 * document, because a transform has no JSON Schema form.
 */

const PLAIN_PROTOTYPE: object = Object.create(null) as object;

/**
 * An object with exactly these members; an unknown one is an error. The entries have no prototype,
 * so that a member called `constructor` is unknown too.
 */
export function object<const E extends v.ObjectEntries>(entries: E): v.StrictObjectSchema<E, undefined> {
  const schema = v.strictObject(Object.assign(Object.create(PLAIN_PROTOTYPE), entries) as E);
  return refusingArrays(namingAllUnknown(schema));
}

/** valibot stops at the first unknown member; here each is an issue, up to an error's limit. */
function namingAllUnknown<E extends v.ObjectEntries>(
  schema: v.StrictObjectSchema<E, undefined>,
): v.StrictObjectSchema<E, undefined> {
  const run: (typeof schema)["~run"] = (dataset, config) => {
    const input = dataset.value as Readonly<Record<string, unknown>>;
    const result = schema["~run"](dataset, config);
    if (!result.issues?.some(({ expected }) => expected === "never")) return result;
    const unknown = Object.keys(input).filter((key) => !Object.hasOwn(schema.entries, key));
    for (const key of unknown.slice(1, MAX_ERROR_DETAILS)) {
      const path: [v.ObjectPathItem] = [{ type: "object", origin: "key", input, key, value: input[key] }];
      v._addIssue(schema, "key", result, config, { input: key, expected: "never", path });
    }
    return result;
  };
  return { ...schema, "~run": run };
}

/** An object with these members and any others of the client, which are kept unchanged. */
export function openObject<const E extends v.ObjectEntries>(entries: E): v.LooseObjectSchema<E, undefined> {
  return refusingArrays(v.looseObject(entries), keepLeftOut);
}

/**
 * valibot's object schemas accept arrays: an empty one would pass without required members.
 * @param finish receives input and output.
 */
function refusingArrays<S extends v.GenericSchema & { readonly reference: (...parts: never[]) => unknown }>(
  schema: S,
  finish: (given: unknown, output: unknown) => void = () => undefined,
): S {
  const run: S["~run"] = (dataset, config) => {
    const given = dataset.value;
    if (Array.isArray(given)) {
      v._addIssue(schema, "type", dataset, config);
      return dataset as ReturnType<S["~run"]>;
    }
    const result = schema["~run"](dataset, config) as ReturnType<S["~run"]>;
    finish(given, result.value);
    return result;
  };
  return { ...schema, "~run": run };
}

/** Names that valibot drops from every object, to protect prototypes. */
const LEFT_OUT = ["__proto__", "prototype", "constructor"];

function keepLeftOut(given: unknown, output: unknown): void {
  if (!isJsonObject(given) || !isJsonObject(output)) return;
  for (const name of LEFT_OUT) {
    const member = Object.getOwnPropertyDescriptor(given, name);
    // Defined, not assigned: as own data of the object.
    if (member) Object.defineProperty(output, name, member);
  }
}

export function isJsonObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A member of an answer that changes by itself: a change that sends an old value is accepted. */
export function selfChanging<const S extends v.GenericSchema>(schema: S) {
  return v.pipe(schema, v.metadata({ readOnly: true }));
}

/** The id of another object, or what requests take in its place; configuration files have its name. */
export function refersTo<const S extends v.GenericSchema>(kind: string, schema: S) {
  return v.pipe(schema, v.metadata({ "x-refers-to": kind }));
}

const NAMED = new WeakMap<v.GenericSchema, string>();

/** The name of another object, in requests, too. */
export function namesOf<const S extends v.GenericSchema>(kind: string, schema: S): S {
  const own = { ...schema };
  NAMED.set(own, kind);
  return own;
}

/** The kind whose objects a leaf {@link namesOf}. */
export function namedBy(schema: v.GenericSchema): string | undefined {
  const { pipe, wrapped } = schema as { readonly pipe?: v.GenericSchema[]; readonly wrapped?: v.GenericSchema };
  const below = wrapped ?? pipe?.[0];
  return NAMED.get(schema) ?? (below && below !== schema ? namedBy(below) : undefined);
}

/** Items that have the shape of the object that holds them, such as the children of a route. */
export function sameShape<const S extends v.GenericSchema>(schema: S) {
  return v.pipe(schema, v.metadata({ "x-same-shape": true }));
}

/** Text of `min` to `max` code points, normalised first. */
export function text(max: number, min = 0) {
  const message = min === 0 ? `must be at most ${max} characters long` : `must be ${min} to ${max} characters long`;
  return v.pipe(
    v.string("must be a string"),
    v.metadata({ minLength: min, maxLength: max }),
    v.transform(cleanText),
    v.check((value) => {
      const length = codePointLength(value);
      return length >= min && length <= max;
    }, message),
  );
}

export function pattern(regex: RegExp, message: string) {
  return v.pipe(v.string("must be a string"), v.regex(regex, message));
}

/** A token or key that other systems made: files give them by reference. A shorter one could be guessed. */
export const GIVEN_TOKEN = /^[A-Za-z0-9_-]{10,64}$/;

export const givenTokenText = pattern(GIVEN_TOKEN, "must be 10 to 64 letters, digits, - and _");

/** @param what of it, such as "its key" */
export function givenToken(what: string) {
  return v.optional(doc(givenTokenText, `${what}, for a new one; default: a random one`));
}

export const uuid = v.pipe(
  v.string("must be a string"),
  v.metadata({ format: "uuid" }),
  v.check(isUuid, "must be a UUID in its canonical lower-case form"),
);

export function integer(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message));
}

/** RFC 3339 with offset; the output is epoch milliseconds. */
export const instant = v.pipe(
  v.string("must be a string"),
  v.metadata({ format: "date-time" }),
  v.transform(parseRfc3339),
  v.number("must be an RFC 3339 date-time with offset, such as 2026-01-31T08:00:00Z"),
);

/** A JSON object kept unchanged, with `__proto__` or `constructor` (`record` drops those). */
export function jsonObject(maxBytes: number) {
  return v.pipe(
    v.custom<Readonly<Record<string, unknown>>>(isJsonObject, "must be a JSON object"),
    v.metadata({ type: "object", additionalProperties: true }),
    v.check((value) => Buffer.byteLength(JSON.stringify(value)) <= maxBytes, `must be at most ${maxBytes} bytes`),
  );
}

/** A JSON object of strings, kept unchanged. */
export function stringRecord(maxBytes: number) {
  const isText = (value: unknown): boolean => typeof value === "string";
  return v.pipe(
    v.custom<Readonly<Record<string, string>>>(
      (value) => isJsonObject(value) && Object.values(value).every(isText),
      "must be a JSON object of strings",
    ),
    v.metadata({ type: "object", additionalProperties: { type: "string" } }),
    v.check((value) => Buffer.byteLength(JSON.stringify(value)) <= maxBytes, `must be at most ${maxBytes} bytes`),
  );
}

/** Any JSON value including null, kept unchanged. */
export function jsonValue(maxBytes: number) {
  return v.pipe(
    v.unknown(),
    v.check((value) => Buffer.byteLength(JSON.stringify(value)) <= maxBytes, `must be at most ${maxBytes} bytes`),
  );
}

/** A whole number in a query string. */
export function queryInteger(min: number, max: number) {
  const message = `must be a whole number from ${min} to ${max}`;
  return v.pipe(
    v.string(),
    v.metadata({ type: "integer", minimum: min, maximum: max }),
    v.check((value) => /^\d{1,16}$/.test(value), message),
    v.transform(Number),
    v.minValue(min, message),
    v.maxValue(max, message),
  );
}

export const queryBoolean = v.pipe(
  v.string(),
  v.metadata({ type: "boolean" }),
  v.picklist(["true", "false"], "must be true or false"),
  v.transform((value) => value === "true"),
);

/** Values separated by commas, at most 50. */
export function queryList<T extends string>(item: v.GenericSchema<string, T>) {
  return v.pipe(
    v.string(),
    v.transform((value) => value.split(",")),
    v.array(item),
    v.minLength(1),
    v.maxLength(50, "must be at most 50 values"),
  );
}

/** The schema with a description for the OpenAPI document. */
export function doc<S extends v.GenericSchema>(schema: S, text: string): S {
  return v.pipe(schema, v.description(text)) as unknown as S;
}

const examples = new WeakMap<object, unknown>();

/** Gives a request body an example that works when sent unchanged (see the API page). */
export function example<S extends v.GenericSchema>(schema: S, value: v.InferInput<S>): S {
  examples.set(schema, value);
  return schema;
}

export function exampleOf(schema: object): unknown {
  return examples.get(schema);
}

const names = new Map<unknown, { readonly name: string; readonly text: string }>();

/**
 * Names a shape: the OpenAPI document has it once, under `components.schemas`, and operations refer
 * to it.
 * @param text describes a value of the shape, as a noun phrase.
 * @throws TypeError when another schema has the name
 */
export function named<S extends v.GenericSchema>(name: string, text: string, schema: S): S {
  for (const taken of names.values()) if (taken.name === name) throw new TypeError(`two schemas have the name ${name}`);
  names.set(schema, { name, text });
  return schema;
}

export function nameOf(schema: unknown): string | undefined {
  return names.get(schema)?.name;
}

/** The text of a named shape. */
export function textOf(schema: unknown): string | undefined {
  return names.get(schema)?.text;
}

const pages = new Map<unknown, v.GenericSchema>();

/** The response shape of a list; the page of a named shape `Rule` has the name `RulePage`. */
export function pageOf<T extends v.GenericSchema>(item: T) {
  const page = v.object({
    data: doc(v.array(item), "The entries of this page"),
    page: doc(v.nullable(v.number()), "Number of this page, from 1; null when the page was read by cursor"),
    limit: doc(v.number(), "Largest number of entries on a page"),
    total: v.optional(doc(v.number(), "Number of all entries; only with `page` or `offset`")),
    nextCursor: doc(v.nullable(v.string()), "Pass it as `cursor` to read the next page; null on the last page"),
  });
  const name = nameOf(item);
  if (name === undefined) return page;
  const known = pages.get(item) as typeof page | undefined;
  if (known) return known;
  pages.set(item, page);
  return named(`${name}Page`, `One page of \`${name}\` objects`, page);
}

/** Channels. `in_app`: the live streams and the list; the others need a device or provider. */
export const CHANNELS = ["in_app", "pusher", "fcm", "apns", "webpush", "email", "webhook", "service"] as const;
export type ChannelName = (typeof CHANNELS)[number];

export const DEFAULT_CHANNELS: readonly ChannelName[] = ["in_app", "pusher", "fcm", "apns", "webpush", "service"];

/** Notifications of this priority and above ignore quiet hours, and a push is immediate. */
export const URGENT_PRIORITY = 500;

/** The channels that this server has. */
export interface KnownChannels {
  accepts(channel: ChannelName): boolean;
}

const MAX_ACTION_BYTES = 4096;

export const ChannelList = doc(
  v.pipe(v.array(v.picklist(CHANNELS)), v.minLength(1, "must name at least one channel")),
  "Channels to send by",
);

/** An action that a client offers with a notification. Unknown members are the client's, kept. */
export const Action = v.pipe(
  named(
    "Action",
    "An action that the app offers with a notification; other members are kept",
    openObject({
      type: doc(text(50, 1), "Kind of action, such as `open`"),
      url: v.optional(doc(text(2048, 1), "Link: http, https or a scheme of `notifications.appSchemes`")),
      label: v.optional(doc(text(100), "Text of the button")),
    }),
  ),
  v.check(
    (value) => Buffer.byteLength(JSON.stringify(value)) <= MAX_ACTION_BYTES,
    `must be at most ${MAX_ACTION_BYTES} bytes`,
  ),
);

/** @throws NOT_CONFIGURED for an unavailable channel. */
export function requireServed(channels: readonly ChannelName[] | undefined, served: KnownChannels): void {
  const unserved = channels?.find((channel) => !served.accepts(channel));
  if (unserved) throw new PrismError("NOT_CONFIGURED", `This server has no channel ${unserved}`);
}

/**
 * Browsers and apps open the links of notifications: allows http, https and the app schemes listed
 * by the operator. @throws VALIDATION_FAILED @param path of the member, for the error.
 */
export function requireLink(url: string | undefined, path: string, config: Config): void {
  if (url === undefined || isLinkAllowed(url, config)) return;
  throw invalidField("body", path, "must be an http or https URL, or one of the schemes in notifications.appSchemes");
}

/** Whether a notification may have this link. */
export function isLinkAllowed(url: string, { notifications }: Pick<Config, "notifications">): boolean {
  const scheme = URL.canParse(url) ? new URL(url).protocol.slice(0, -1) : "";
  return scheme === "http" || scheme === "https" || notifications.appSchemes.includes(scheme);
}

/** The query members of a list: `page`+`limit`, `limit`+`offset`, or `cursor`. */
export function pageEntries(maxLimit = 100, defaultLimit = DEFAULT_LIMIT) {
  return {
    limit: v.optional(doc(queryInteger(1, maxLimit), `Entries per page; default ${defaultLimit}`)),
    page: v.optional(doc(queryInteger(1, 100_000), "Page number, from 1; not together with `offset` or `cursor`")),
    offset: v.optional(doc(queryInteger(0, 100_000), "Entries to skip; not together with `page` or `cursor`")),
    cursor: v.optional(
      doc(
        pattern(/^[A-Za-z0-9_-]{1,512}$/, "must be a cursor that this server gave"),
        "`nextCursor` of the page before; not together with `page` or `offset`",
      ),
    ),
  };
}

type PageQuery = Readonly<v.InferOutput<v.ObjectSchema<ReturnType<typeof pageEntries>, undefined>>>;

/** The requested part of a list. */
export interface PageRequest {
  readonly limit: number;
  /** Null in cursor mode, and for an offset that is not a multiple of the limit. */
  readonly page: number | null;
  readonly offset: number;
  /** The position after which the page starts; its parts are the list's sort keys. */
  readonly after: readonly (string | number)[] | null;
  readonly wantsTotal: boolean;
  /** The rows were cut off because of their size. */
  readonly isCut?: boolean;
}

const DEFAULT_LIMIT = 20;
/** Size limit of a page's rows; a larger row is a page of its own. */
export const MAX_PAGE_BYTES = 4_194_304;

/** Rows that may be skipped on the main thread; a page further away uses the scan thread. */
const NEAR_ROWS = 1000;

export function isFarPage({ offset }: PageRequest): boolean {
  return offset > NEAR_ROWS;
}

/** The types of a position's parts, as in `typeof`. */
type Position = readonly ("number" | "string")[];

/**
 * @param position types of the list's cursors; a cursor of another list is refused.
 * @throws VALIDATION_FAILED for mixed kinds, INVALID_CURSOR
 */
export function readPage(query: PageQuery, position: Position, defaultLimit = DEFAULT_LIMIT): PageRequest {
  const kinds = [query.page, query.offset, query.cursor].filter((value) => value !== undefined);
  if (kinds.length > 1) {
    throw invalidField("query", "page", "use one of page, offset and cursor");
  }
  const limit = query.limit ?? defaultLimit;
  if (query.cursor !== undefined)
    return { limit, page: null, offset: 0, after: decodeCursor(query.cursor, position), wantsTotal: false };
  const offset = query.offset ?? ((query.page ?? 1) - 1) * limit;
  return {
    limit,
    // An offset inside a page is not the start of a page.
    page: query.page ?? (offset % limit === 0 ? offset / limit + 1 : null),
    offset,
    after: null,
    wantsTotal: kinds.length > 0,
  };
}

/**
 * A page by number has a fixed number of rows: if it were cut off, the remaining rows would be on
 * no page.
 * @throws VALIDATION_FAILED for a page by number or offset whose rows are too large.
 */
export function requireCursor({ wantsTotal }: PageRequest): void {
  if (!wantsTotal) return;
  throw new PrismError("VALIDATION_FAILED", "The page is larger than 4 MiB", {
    details: [
      { path: "limit", code: "VALUE", message: "ask for fewer rows, or follow nextCursor without page and offset" },
    ],
  });
}

/** The body of a list, as `pageOf` describes it. */
export interface PageBody<V> {
  data: V[];
  page: number | null;
  limit: number;
  total?: number;
  nextCursor: string | null;
}

/**
 * The body of a list. `rows` has one more than the limit if there are more, or is cut off. The page
 * ends at {@link MAX_PAGE_BYTES}; `nextCursor` then continues with the first omitted row. @throws
 * VALIDATION_FAILED as {@link requireCursor}
 */
export function pageBody<R, V>(
  request: PageRequest,
  rows: readonly R[],
  view: (row: R) => V,
  position: (row: R) => readonly (string | number)[],
  total?: number,
): PageBody<V> {
  const data: V[] = [];
  const wanted = rows.slice(0, request.limit);
  let bytes = 0;
  for (const row of wanted) {
    const shown = view(row);
    bytes += typeof shown === "string" ? shown.length : JSON.stringify(shown).length;
    if (data.length > 0 && bytes > MAX_PAGE_BYTES) break;
    data.push(shown);
  }
  const isCut = request.isCut === true;
  if (data.length < (isCut ? request.limit : wanted.length)) requireCursor(request);
  const last = rows[data.length - 1];
  return {
    data,
    page: request.page,
    limit: request.limit,
    ...(total === undefined ? {} : { total }),
    nextCursor: (rows.length > data.length || isCut) && last !== undefined ? cursorOf(position(last)) : null,
  };
}

/** The cursor of a position, after which the next page starts. */
export function cursorOf(parts: readonly (string | number)[]): string {
  return Buffer.from(JSON.stringify(parts)).toString("base64url");
}

/** The number in a cursor of one. @throws INVALID_CURSOR */
export function positionOf(cursor: string): number {
  return Number(decodeCursor(cursor, ["number"])[0]);
}

function decodeCursor(cursor: string, position: Position): readonly (string | number)[] {
  try {
    const parts: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    const isPart = (part: unknown, i: number): boolean => typeof part === position[i];
    if (Array.isArray(parts) && parts.length === position.length && parts.every(isPart))
      return parts as (string | number)[];
  } catch {
    // Refused like any other text below.
  }
  throw new PrismError("INVALID_CURSOR", "This server did not issue the cursor");
}
