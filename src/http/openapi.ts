import { type JsonSchema, toJsonSchema } from "@valibot/to-json-schema";
import type * as v from "valibot";
import type { Config } from "../config/load.ts";
import { type ErrorCode, STATUS_OF } from "../core/errors.ts";
import type { Access, Route } from "./route.ts";
import type { Mount } from "./router.ts";
import { nameOf } from "./shapes.ts";

type Json = Readonly<Record<string, unknown>>;
type NamedSchemas = Record<string, JsonSchema>;

/** Codes that any route with the property may answer with, besides its own. */
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
  "VALIDATION_FAILED",
  "MALFORMED_JSON",
  "PAYLOAD_TOO_LARGE",
  "UNSUPPORTED_MEDIA_TYPE",
  "REQUEST_TIMEOUT",
];
const WRITES: readonly ErrorCode[] = ["DATABASE_UNAVAILABLE", "STORAGE_FULL"];

/**
 * The OpenAPI 3.1 document of what the router serves. Everything in it comes from the routes
 * themselves; paths are absolute, aliases are marked with `x-alias-of`. @throws when a schema has
 * no form in JSON Schema.
 */
export function openApiDocument(mounts: readonly Mount[], version: string, limits: Config["rateLimit"]): Json {
  const paths: Record<string, Record<string, Json>> = {};
  const schemas: NamedSchemas = {};
  const versioned = versionedPaths(mounts);
  for (const mount of mounts) {
    if (mount.route.undocumented) continue;
    const path = template(mount.path);
    paths[path] ??= {};
    paths[path][mount.route.method.toLowerCase()] = operation(mount, limits, versioned.has(mount.route.path), schemas);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Prism",
      version,
      description:
        "Self-hosted alerting, notification and scheduling. Errors are `{error:{code, message, requestId, details?}}`; codes are stable.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "Access token (JWT) or service token (prt_…)" },
        apiKey: { type: "apiKey", in: "header", name: "X-API-Key", description: "API key of a project (prk_…)" },
        queryToken: {
          type: "apiKey",
          in: "query",
          name: "token",
          description: "Any of the two, for clients that cannot set headers",
        },
        ticket: {
          type: "apiKey",
          in: "query",
          name: "ticket",
          description: "From POST /api/v1/realtime/ticket: good once, for a minute",
        },
      },
      schemas: { Error: ERROR_SCHEMA, ...sortedByName(schemas) },
    },
  };
}

const ERROR_SCHEMA: Json = {
  type: "object",
  required: ["error"],
  properties: {
    error: {
      type: "object",
      required: ["code", "message", "requestId"],
      properties: {
        code: { type: "string" },
        message: { type: "string" },
        requestId: { type: "string" },
        details: {
          type: "array",
          items: {
            type: "object",
            properties: {
              path: { type: "string", description: "Member that is meant, its parts joined by dots" },
              code: { type: "string" },
              message: { type: "string" },
              index: { type: "integer", description: "Item of a batch" },
              position: { type: "integer", description: "Character of the text" },
            },
            additionalProperties: true,
          },
        },
      },
    },
  },
};

function sortedByName(schemas: NamedSchemas): NamedSchemas {
  return Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Canonical paths of resources with a version: something else can be done there that another
 * version refuses.
 */
function versionedPaths(mounts: readonly Mount[]): ReadonlySet<string> {
  const changing = mounts.filter(({ route }) => route.errors?.includes("VERSION_CONFLICT"));
  return new Set(changing.map(({ route }) => route.path));
}

/** A path as OpenAPI writes it. */
function template(path: string): string {
  return path.replace(/:(\w+)/g, "{$1}");
}

function operation(
  { route, path, isAlias, parameterNames }: Mount,
  limits: Config["rateLimit"],
  isVersioned: boolean,
  schemas: NamedSchemas,
): Json {
  const givesTag = route.method === "GET" && (isVersioned || route.tagged === true);
  return {
    operationId: operationId(route.method, path),
    summary: route.summary,
    tags: [route.tag],
    ...(isAlias ? { "x-alias-of": template(route.path) } : {}),
    ...security(route),
    parameters: [...pathParameters(parameterNames), ...queryParameters(route), ...headerParameters(route, givesTag)],
    ...(route.body ? { requestBody: requestBody(route) } : {}),
    responses: { ...success(route, schemas), ...(givesTag ? NOT_MODIFIED : {}), ...failures(route) },
    "x-rate-limit": rateLimit(route, limits),
  };
}

/** Unique, since the path is in it whole: `get_rules_by_id`, `post_root_api_ingest`. */
function operationId(method: string, path: string): string {
  const isCanonical = path.startsWith("/api/v1/");
  const segments = (isCanonical ? path.slice("/api/v1/".length) : `root${path}`).split("/");
  const words = segments.map((segment) => segment.replace(/^:/, "by_").replace(/\W+/g, "_"));
  return [method.toLowerCase(), ...words].join("_");
}

/** Requests a minute, by whom they are counted. */
function rateLimit({ access, unlimited, attempts, uploads }: Route, limits: Config["rateLimit"]): Json {
  const { enabled, ip, key, auth, authName } = limits;
  const user = uploads ? Math.min(limits.user, limits.uploads) : limits.user;
  if (unlimited === true || !enabled) return {};
  if (attempts) return { perAddress: Math.min(ip, auth), ...(attempts === "name" ? { perName: authName } : {}) };
  if (access === "public") return { perAddress: ip };
  return { perUser: user, ...(takesKeys(access) ? { perKey: key } : {}), perAddressWithoutCredentials: ip };
}

function takesKeys(access: Exclude<Access, "public">): boolean {
  return access.keyScope !== undefined || access.anyKey === true;
}

function security({ access }: Route): Json {
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

function pathParameters(names: readonly string[]): Json[] {
  return names.map((name) => ({ name, in: "path", required: true, schema: { type: "string" } }));
}

function queryParameters({ query, described }: Route): Json[] {
  if (!query && !described?.query) return [];
  const { properties = {}, required = [] } = query
    ? schemaOf(query, "input")
    : foreignSchemaOf(described?.query, "input");
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema,
  }));
}

function headerParameters({ errors = [] }: Route, givesTag: boolean): Json[] {
  const headers: Json[] = [];
  const add = (name: string, description: string): number =>
    headers.push({ name, in: "header", required: false, description, schema: { type: "string" } });
  if (errors.includes("IDEMPOTENCY_KEY_REUSED"))
    add("Idempotency-Key", "Repeating the request with the same key gives the first answer, for 24 hours");
  if (errors.includes("VERSION_CONFLICT")) add("If-Match", "The ETag of the version that is to be changed");
  if (givesTag) add("If-None-Match", "Answers 304 where the ETag is still the same");
  return headers;
}

function requestBody({ body, raw, described }: Route): Json {
  if (!body) return {};
  const schema = described?.body ? foreignSchemaOf(described.body, "input") : schemaOf(body, "input");
  const types = raw?.types ?? ["application/json"];
  // No body counts as {}, which will do where no member is required.
  const required = raw !== undefined || (schema.required ?? []).length > 0;
  return { required, content: Object.fromEntries(types.map((type) => [type, { schema }])) };
}

function success({ status, otherStatuses = [], response, described }: Route, schemas: NamedSchemas): Json {
  if (described) {
    const schema = described.response ? foreignSchemaOf(described.response, "output") : {};
    return { 200: { description: "Done", content: { "application/json": { schema } } }, 204: { description: "Done" } };
  }
  if (!response) return { [status ?? 204]: { description: "Done" } };
  const answer =
    "contentType" in response
      ? { description: response.description, content: { [response.contentType]: { schema: { type: "string" } } } }
      : { description: "Done", content: { "application/json": { schema: schemaOf(response, "output", schemas) } } };
  const none = { description: "Nothing, and nothing to come" };
  return Object.fromEntries([status ?? 200, ...otherStatuses].map((each) => [each, each === 204 ? none : answer]));
}

const NOT_MODIFIED: Json = { 304: { description: "The version that If-None-Match names" } };

/** Codes by status, each status once. */
function failures(route: Route): Json {
  const codes = new Set<ErrorCode>(["INTERNAL", ...(route.errors ?? [])]);
  const add = (more: readonly ErrorCode[]): void => {
    for (const code of more) codes.add(code);
  };
  if (route.access !== "public") {
    add(WITH_CREDENTIALS);
    add(WITH_PERMISSION);
  }
  if (route.unlimited !== true) add(["RATE_LIMITED", "SHUTTING_DOWN"]);
  if (route.query) add(["VALIDATION_FAILED"]);
  if (route.body) add(WITH_BODY);
  if (route.method !== "GET") add(WRITES);
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

/**
 * A schema of somebody else's: valibot's is converted where that is possible; of any other nothing
 * is known but that it takes some JSON.
 */
function foreignSchemaOf(schema: unknown, typeMode: "input" | "output"): ReturnType<typeof schemaOf> {
  const { "~standard": standard } = schema as { "~standard"?: { vendor?: unknown } };
  if (standard?.vendor !== "valibot") return {};
  try {
    return schemaOf(schema as v.GenericSchema, typeMode);
  } catch {
    return {};
  }
}

/** @param schemas given for answers: what has a name is put there, and referred to. */
function schemaOf(
  schema: v.GenericSchema,
  typeMode: "input" | "output",
  schemas?: NamedSchemas,
): JsonSchema & { properties?: Record<string, JsonSchema>; required?: string[] } {
  const { $schema: _dialect, ...converted } = toJsonSchema(schema, {
    typeMode,
    target: "draft-2020-12",
    // Checks and transforms in code have no JSON Schema form; the metadata beside them says what
    // they demand.
    ignoreActions: ["check", "transform", "to_lower_case"],
    overrideSchema: ({ valibotSchema, jsonSchema }) => {
      const name = nameOf(valibotSchema);
      if (schemas && name !== undefined) {
        schemas[name] ??= jsonSchema;
        return { $ref: `#/components/schemas/${name}` };
      }
      return valibotSchema.type === "custom" ? { ...jsonSchema } : undefined;
    },
  }) as JsonSchema & { $schema?: string };
  return converted as ReturnType<typeof schemaOf>;
}
