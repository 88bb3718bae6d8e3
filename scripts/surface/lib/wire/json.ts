export type Json = null | boolean | number | string | readonly Json[] | JsonObject;

export interface JsonObject {
  readonly [name: string]: Json;
}

/** Whether a value has members. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value by the names on the way to it; undefined if there is none. */
export function at(value: Json | undefined, ...way: readonly (string | number)[]): Json | undefined {
  let found: unknown = value;
  for (const step of way) found = (found as Record<string | number, unknown> | null | undefined)?.[step];
  return found as Json | undefined;
}

/** JSON as a value, or the text itself. */
export function parsed(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}
