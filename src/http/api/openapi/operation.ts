import type * as v from "valibot";
import type { Config } from "../../../config/load.ts";
import { type ErrorCode, STATUS_OF } from "../../../core/errors.ts";
import type { JsonMembers } from "../../body/input.ts";
import type { Mount } from "../../server/router.ts";
import { IDEMPOTENCY_ERRORS, isRunOnce } from "../idempotency.ts";
import type { Route, RouteAccess } from "../route.ts";
import { exampleOf, nameOf, textOf } from "../shapes.ts";
import { addComponent, type Components, descriptionOf, foreignSchemaOf, schemaOf } from "./schema.ts";

/** The tag of alternative paths, used by clients of earlier systems. */
export const ALIASES = "Aliases";

/** Data shared by the operations of one document. */
interface DocumentContext {
  readonly limits: Config["rateLimit"];
  readonly components: Components;
  /** Names of the bodies in `components`. */
  readonly bodies: Map<unknown, string>;
  /** Canonical paths of resources with a version. */
  readonly versioned: ReadonlySet<string>;
}

/** Errors of every route with the property, besides its own. */
const WITH_CREDENTIALS: readonly ErrorCode[] = [
  "UNAUTHENTICATED",
  "TOKEN_EXPIRED",
  "TOKEN_INVALID",
  "SESSION_REVOKED",
  "INVALID_API_KEY",
  "AMBIGUOUS_CREDENTIALS",
  "ACCOUNT_DISABLED",
  "ACCOUNT_PENDING",
  "ACCOUNT_UNVERIFIED",
];
const WITH_PERMISSION: readonly ErrorCode[] = ["UNAUTHORIZED_ROLE", "SCOPE_MISSING", "FORBIDDEN"];
const WITH_BODY: readonly ErrorCode[] = [
  "WORK_LIMITED",
  "MALFORMED_JSON",
  "PAYLOAD_TOO_LARGE",
  "UNSUPPORTED_MEDIA_TYPE",
  "REQUEST_TIMEOUT",
];
const WRITES: readonly ErrorCode[] = ["DATABASE_UNAVAILABLE", "STORAGE_FULL"];

export function operation(mount: Mount, context: DocumentContext): JsonMembers {
  const { route, path, isAlias } = mount;
  const canonical = route.path.replace(/:(\w+)/g, "{$1}");
  const givesTag = route.method === "GET" && (context.versioned.has(route.path) || route.tagged === true);
  const sentences = [route.details, accessText(route), limitText(route, context.limits)];
  const description = sentences.filter((each) => each !== undefined).join("\n\n");
  return {
    operationId: operationId(route, path, isAlias),
    summary: route.summary,
    description: isAlias ? `Alias of \`${route.method} ${canonical}\`.\n\n${description}` : description,
    tags: [isAlias ? ALIASES : route.tag],
    ...(isAlias ? { "x-alias-of": canonical } : {}),
    ...security(route),
    parameters: [...pathParameters(mount), ...queryParameters(route), ...headerParameters(route, givesTag)],
    ...(route.body ? { requestBody: requestBody(route, context) } : {}),
    responses: { ...success(route, context.components), ...(givesTag ? NOT_MODIFIED : {}), ...failures(route) },
    "x-rate-limit": rateLimit(route, context.limits),
  };
}

/** Unique: `createRule`, of an alias `createRuleAtRules`, of a module's route `getHooksByName`. */
function operationId({ id, method }: Route, path: string, isAlias: boolean): string {
  if (id !== undefined && !isAlias) return id;
  const words = path.split(/[/_.-]+/).map((segment) => pascal(segment.replace(/^:/, "by_")));
  return id === undefined ? `${method.toLowerCase()}${words.join("")}` : `${id}At${words.join("")}`;
}

function pascal(text: string): string {
  return text.replace(/(?:^|\W|_)+(\w)/g, (_whole, first: string) => first.toUpperCase());
}

function accessText({ access }: Route): string {
  if (access === "public") return "**Access:** no credentials needed.";
  if (access.signer) return "**Access:** the request is signed as the protocol requires.";
  return `**Access:** ${[userText(access), keyText(access)].join("; ")}.`;
}

function userText({ permission, within, tokenScopes, anyToken }: Exclude<RouteAccess, "public">): string {
  if (permission !== undefined)
    return `permission \`${permission}\`${within === "project" ? ", also by a role in the project" : ""}`;
  if (anyToken) return "any active user, also by a service token";
  if (tokenScopes === undefined) return "any active user, not by a service token";
  return `any active user; a service token needs the scope ${tokenScopes.map((scope) => `\`${scope}\``).join(" or ")}`;
}

function keyText({ keyScope, anyKey }: Exclude<RouteAccess, "public">): string {
  if (keyScope !== undefined) return `an API key needs the scope \`${keyScope}\``;
  return anyKey ? "any API key" : "no API keys";
}

/** Limits per minute, by what they count. */
function rateLimit({ access, unlimited, attempts, uploads }: Route, limits: Config["rateLimit"]): RateLimits {
  const { enabled, ip, key, auth, authName } = limits;
  const user = uploads ? Math.min(limits.user, limits.uploads) : limits.user;
  if (unlimited === true || !enabled) return {};
  if (attempts) return { perAddress: Math.min(ip, auth), ...(attempts === "name" ? { perName: authName } : {}) };
  if (access === "public") return { perAddress: ip };
  return { perUser: user, ...(takesKeys(access) ? { perKey: key } : {}), perAddressWithoutCredentials: ip };
}

const COUNTED_BY = {
  perName: "per account name",
  perUser: "per user",
  perKey: "per API key",
  perAddress: "per address",
  perAddressWithoutCredentials: "per address without valid credentials",
};
type RateLimits = { readonly [by in keyof typeof COUNTED_BY]?: number };

function limitText(route: Route, limits: Config["rateLimit"]): string {
  const counts = Object.entries(rateLimit(route, limits));
  if (counts.length === 0) return "**Rate limit:** none.";
  const texts = counts.map(([by, count]) => `${count} ${COUNTED_BY[by as keyof RateLimits]}`);
  return `**Rate limit:** requests per minute: ${texts.join(", ")}.`;
}

function takesKeys(access: Exclude<RouteAccess, "public">): boolean {
  return access.keyScope !== undefined || access.anyKey === true;
}

function security({ access }: Route): JsonMembers {
  if (access === "public") return { security: [] };
  const permission = access.permission === undefined ? {} : { "x-permission": access.permission };
  const tokenScopes = access.tokenScopes === undefined ? {} : { "x-token-scopes": access.tokenScopes };
  const scope = access.keyScope === undefined ? {} : { "x-key-scope": access.keyScope };
  const schemes = [
    "bearer",
    ...(takesKeys(access) ? ["apiKey"] : []),
    ...(access.queryToken ? ["queryToken", "ticket"] : []),
  ];
  return { security: schemes.map((scheme) => ({ [scheme]: [] })), ...permission, ...tokenScopes, ...scope };
}

/** An alias may name a parameter differently: the position identifies it. */
function pathParameters({ route, parameterNames, givenNames }: Mount): JsonMembers[] {
  const shape = route.params;
  const entries = shape && "entries" in shape ? (shape.entries as Readonly<Record<string, v.GenericSchema>>) : {};
  return parameterNames.map((name, at) => ({
    name,
    in: "path",
    required: true,
    description: descriptionOf(entries[givenNames[at] ?? name]) ?? `The segment \`${name}\` of the path`,
    schema: { type: "string" },
  }));
}

function queryParameters({ query, described }: Route): JsonMembers[] {
  if (!query && !described?.query) return [];
  const { properties = {}, required = [] } = query
    ? schemaOf(query, "input")
    : foreignSchemaOf(described?.query, "input");
  return Object.entries(properties as Record<string, JsonMembers>).map(([name, { description, ...schema }]) => ({
    name,
    in: "query",
    required: required.includes(name),
    ...(description === undefined ? {} : { description }),
    schema,
  }));
}

function headerParameters(route: Route, givesTag: boolean): JsonMembers[] {
  const { errors = [] } = route;
  const headers: JsonMembers[] = [];
  const add = (name: string, description: string): number =>
    headers.push({ name, in: "header", required: false, description, schema: { type: "string" } });
  const isBrief = isRunOnce(route);
  if (errors.includes("IDEMPOTENCY_KEY_REUSED") || isBrief) {
    const time = isBrief ? "ten minutes" : "24 hours";
    add("Idempotency-Key", `A repeated request with the same key returns the first answer, for ${time}`);
  }
  if (errors.includes("VERSION_CONFLICT")) add("If-Match", "ETag of the version to change; another version is refused");
  if (givesTag) add("If-None-Match", "ETag that the client has; the answer is 304 while it is current");
  return headers;
}

function requestBody(route: Route, context: DocumentContext): JsonMembers {
  const { body, raw, described } = route;
  if (!body) return {};
  const schema = described?.body
    ? foreignSchemaOf(described.body, "input")
    : schemaOf(body, "input", context.components);
  // A missing body counts as {}, which is valid without required members.
  const form = context.components.get(nameOf(body) ?? "") ?? schema;
  const required = raw !== undefined || (form.required ?? []).length > 0;
  const shown = bodyReference(route, schema, context);
  const given = exampleOf(body) ?? (isEmptyObject(schema) ? {} : undefined);
  const media = (type: string): JsonMembers => {
    const text = LINES[type];
    if (text) return { schema: { type: "string", description: text.form }, ...shownExample(text.write(given)) };
    return { schema: shown, ...shownExample(given) };
  };
  return {
    required,
    // The types of other protocols are in the text of the route.
    content: Object.fromEntries(
      (raw?.types ?? ["application/json"]).flatMap((t) => (t === "*" ? [] : [[t, media(t)]])),
    ),
  };
}

function shownExample(value: unknown): JsonMembers {
  return value === undefined ? {} : { example: value };
}

/** The body as a named shape, after its first operation: `CreateRule`. */
function bodyReference(
  { id, body }: Route,
  schema: ReturnType<typeof schemaOf>,
  context: DocumentContext,
): JsonMembers {
  const isOwnShape = schema.properties !== undefined && !isEmptyObject(schema);
  if (id === undefined || (!isOwnShape && schema.anyOf === undefined)) return schema as JsonMembers;
  const name = context.bodies.get(body) ?? pascal(id);
  context.bodies.set(body, name);
  return addComponent(context.components, name, schema) as JsonMembers;
}

function isEmptyObject({ type, properties = {} }: ReturnType<typeof schemaOf>): boolean {
  return type === "object" && Object.keys(properties).length === 0;
}

/** Bodies of text: what a line is, and the example written as such. */
const LINES: Readonly<Record<string, { readonly form: string; readonly write: (example: unknown) => unknown }>> = {
  "application/x-ndjson": {
    form: "One JSON object per line",
    write: (value) =>
      value &&
      rowsOf(value)
        .map((row) => `${JSON.stringify(row)}\n`)
        .join(""),
  },
  "text/csv": { form: "A header line, then one line per object", write: (value) => value && csvOf(rowsOf(value)) },
};

function rowsOf(value: unknown): readonly JsonMembers[] {
  return (Array.isArray(value) ? value : [value]) as JsonMembers[];
}

function csvOf(rows: readonly JsonMembers[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return [names, ...rows.map((row) => names.map((name) => row[name] ?? ""))]
    .map((line) => `${line.join(",")}\n`)
    .join("");
}

const NO_CONTENT: JsonMembers = { description: "Succeeded; the answer has no body" };

function success(
  { status, otherStatuses = [], response, returns, described }: Route,
  components: Components,
): JsonMembers {
  if (described) {
    const schema = described.response ? foreignSchemaOf(described.response, "output") : {};
    const answer = { description: "The answer of the module", content: { "application/json": { schema } } };
    return { 200: answer, 204: NO_CONTENT };
  }
  if (!response) return { [status ?? 204]: returns === undefined ? NO_CONTENT : { description: returns } };
  const answer =
    "contentType" in response
      ? { description: response.description, content: { [response.contentType]: { schema: { type: "string" } } } }
      : {
          description: returns ?? textOf(response) ?? descriptionOf(response) ?? "The result",
          content: { "application/json": { schema: schemaOf(response, "output", components) } },
        };
  const none = { description: "Nothing now, and nothing to follow" };
  return Object.fromEntries([status ?? 200, ...otherStatuses].map((each) => [each, each === 204 ? none : answer]));
}

const NOT_MODIFIED: JsonMembers = { 304: { description: "The version that `If-None-Match` names is current" } };

/** Codes by status, each status once. */
function failures(route: Route): JsonMembers {
  // A malformed head is refused on every route.
  const codes = new Set<ErrorCode>(["INTERNAL", "VALIDATION_FAILED", ...(route.errors ?? [])]);
  const add = (more: readonly ErrorCode[]): void => {
    for (const code of more) codes.add(code);
  };
  if (route.access !== "public") {
    add(WITH_CREDENTIALS);
    add(WITH_PERMISSION);
    if (route.method === "GET") add(["WORK_LIMITED"]);
  }
  if (route.unlimited !== true) add(["RATE_LIMITED", "SHUTTING_DOWN"]);
  if (route.body) add(WITH_BODY);
  if (route.method !== "GET") add(WRITES);
  if (isRunOnce(route)) add([...IDEMPOTENCY_ERRORS, "INVALID_STATE"]);
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const status = STATUS_OF[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [
      status,
      {
        description: names.sort().join(", "),
        content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
      },
    ]),
  );
}
