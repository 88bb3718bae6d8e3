import type { Context } from "../context.ts";
import { isObject, type JsonObject } from "./json.ts";

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly schema: JsonObject;
}

/** A route of the OpenAPI document. */
export interface Operation {
  readonly id: string;
  readonly tag: string;
  /** In capitals. */
  readonly method: string;
  /** With parameters in braces. */
  readonly path: string;
  /** The canonical path of an alias; null: this is no alias. */
  readonly aliasOf: string | null;
  readonly query: readonly Parameter[];
  readonly headers: readonly string[];
  /** By content type; of JSON with references resolved. */
  readonly bodies: Readonly<Record<string, { readonly schema: JsonObject; readonly example?: JsonObject }>>;
}

/** What requests are derived from: always the baseline's, so that both executables get the same. */
export class ApiDocument {
  readonly operations: readonly Operation[];
  readonly #schemas: JsonObject;

  constructor(document: JsonObject) {
    this.#schemas = ((document["components"] as JsonObject)["schemas"] ?? {}) as JsonObject;
    this.operations = Object.entries(document["paths"] as JsonObject).flatMap(([path, methods]) =>
      Object.entries(methods as JsonObject).map(([method, item]) => operationOf(path, method, item as JsonObject)),
    );
  }

  /** The creating operation of a collection. */
  post(path: string): Operation | undefined {
    return this.operations.find((each) => each.method === "POST" && each.path === path);
  }

  /** The schema that a reference names, without `null` as another choice; others as they are. */
  resolved(schema: JsonObject): JsonObject {
    const { $ref, anyOf } = schema;
    if (typeof $ref === "string") return this.resolved(this.#schemas[$ref.split("/").at(-1) ?? ""] as JsonObject);
    if (!Array.isArray(anyOf)) return schema;
    const choice = (anyOf as JsonObject[]).find((each) => each["type"] !== "null");
    return choice ? this.resolved(choice) : schema;
  }

  /** Members of an object schema, by name; empty for any other. */
  membersOf(schema: JsonObject): Record<string, JsonObject> {
    const { properties } = this.resolved(schema);
    return isObject(properties) ? ({ ...properties } as Record<string, JsonObject>) : {};
  }

  requiredOf(schema: JsonObject): readonly string[] {
    return (this.resolved(schema)["required"] ?? []) as readonly string[];
  }
}

/** The baseline's document. */
export async function baselineDocument(context: Context): Promise<ApiDocument> {
  const server = await context.serve("baseline", { PRISM_LOG_LEVEL: "error" }, [], context.baseline);
  const response = await fetch(`${server.url}/openapi.json`);
  const document = (await response.json()) as JsonObject;
  await server.stop();
  return new ApiDocument(document);
}

function operationOf(path: string, method: string, item: JsonObject): Operation {
  const parameters = (item["parameters"] ?? []) as unknown as Parameter[];
  const { content = {} } = (item["requestBody"] ?? {}) as JsonObject;
  return {
    id: String(item["operationId"]),
    tag: String((item["tags"] as readonly string[])[0]),
    method: method.toUpperCase(),
    path,
    aliasOf: typeof item["x-alias-of"] === "string" ? item["x-alias-of"] : null,
    query: parameters.filter((each) => each.in === "query"),
    headers: parameters.filter((each) => each.in === "header").map(({ name }) => name),
    bodies: content as unknown as Operation["bodies"],
  };
}
