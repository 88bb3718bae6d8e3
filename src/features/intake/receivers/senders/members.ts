import type { JsonMembers } from "../../../../http/body/input.ts";

/** Elements of a list of a message that are read. */
const MAX_ELEMENTS = 100;

export function isObject(value: unknown): value is JsonMembers {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function objectOf(value: unknown): JsonMembers | null {
  return isObject(value) ? value : null;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The objects of a list. */
export function objectsIn(object: JsonMembers | null, name: string): readonly JsonMembers[] {
  return listOf(object?.[name]).slice(0, MAX_ELEMENTS).filter(isObject);
}

/** A text that is not blank. */
export function textIn(object: JsonMembers | null | undefined, name: string): string | null {
  const value = object?.[name];
  return typeof value === "string" && value.trim() !== "" ? value : null;
}
