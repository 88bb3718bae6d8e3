/**
 * A value inside the language: null, boolean, finite double, string, decimal, list or object. A decimal is a bigint of 1e-4 units
 * (D24); nothing else is a bigint, because JSON has none.
 */
export type Value = null | boolean | number | string | bigint | readonly unknown[] | JsonObject;

/** Members are `unknown`: whatever is read from one passes `toValue` first. */
export interface JsonObject {
  readonly [member: string]: unknown;
}

/**
 * Takes a member of the payload, or an element of any list, in. JSON.parse gives Infinity for `1e999`, which is stored as null: read as null from the start, an
 * event is decided the same way now and in a replay.
 */
export function toValue(member: unknown): Value {
  switch (typeof member) {
    case "string":
    case "boolean":
    case "bigint":
      return member;
    case "number":
      return Number.isFinite(member) ? member : null;
    case "object":
      return member as readonly unknown[] | JsonObject | null;
    default:
      return null;
  }
}

export function isList(value: Value): value is readonly unknown[] {
  return Array.isArray(value);
}
