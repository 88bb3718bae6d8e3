import { type ErrorDetail, MAX_ERROR_DETAILS, PrismError } from "../../core/errors.ts";
import type { AnySchema, SchemaIssue } from "../../module/module-api.ts";

/** Whether this has the Standard Schema interface, version 1: a function (arktype) or an object. */
export function isSchema(value: unknown): value is AnySchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const { "~standard": standard } = value as { "~standard"?: { version?: unknown; validate?: unknown } };
  return standard?.version === 1 && typeof standard.validate === "function";
}

/** Checks one part of a request with a schema of any library. @returns what the schema made of it. @throws VALIDATION_FAILED */
export async function checkInput(schema: AnySchema, value: unknown, at: "path" | "query" | "body"): Promise<unknown> {
  const result = await schema["~standard"].validate(value);
  if (!result.issues) return result.value;
  throw new PrismError("VALIDATION_FAILED", `The ${at} is not valid`, {
    details: result.issues.slice(0, MAX_ERROR_DETAILS).map(detailOf),
  });
}

function detailOf({ message, path = [] }: SchemaIssue): ErrorDetail {
  const keys = path.map((segment) => String(typeof segment === "object" ? segment.key : segment));
  return { path: keys.join("."), code: "VALUE", message };
}
