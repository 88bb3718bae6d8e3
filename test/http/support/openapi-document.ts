import assert from "node:assert/strict";
import type { Mount } from "../../../src/http/server/router.ts";
import type { TestPrism } from "../../helpers/prism.ts";
import type { Schema } from "./json-schema.ts";

interface Content {
  readonly [type: string]: { readonly schema: Schema; readonly example?: unknown };
}

export interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters: readonly {
    readonly name: string;
    readonly in: string;
    readonly required: boolean;
    readonly description?: string;
    readonly schema: Schema;
  }[];
  readonly requestBody?: { readonly required: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly description: string; readonly content?: Content }>>;
  readonly "x-alias-of"?: string;
  readonly "x-permission"?: string;
  readonly "x-rate-limit"?: Readonly<Record<string, number>>;
}

export interface Document {
  readonly openapi: string;
  readonly info: Readonly<Record<string, unknown>>;
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly securitySchemes: Readonly<Record<string, Readonly<Record<string, string>>>>;
    readonly schemas: Readonly<Record<string, Schema>>;
  };
}

export const METHODS = ["get", "post", "put", "patch", "delete"];
export const templateOf = (path: string): string => path.replace(/:(\w+)/g, "{$1}");

export async function documentOf(prism: TestPrism): Promise<Document> {
  return (await prism.get<Document>("/openapi.json", { token: null })).body;
}

export function operationsOf(
  document: Document,
): { name: string; path: string; method: string; operation: Operation }[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      path,
      method,
      operation,
    })),
  );
}

export function operationAt(document: Document, { route, path }: Mount): Operation {
  const operation = document.paths[templateOf(path)]?.[route.method.toLowerCase()];
  assert.ok(operation, `${route.method} ${path} is not in the document`);
  return operation;
}
