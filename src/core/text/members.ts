import { LongInteger } from "./json-text.ts";

/* Members of a payload by their names; what an object inherits is no member. */

export type Members = Readonly<Record<string, unknown>>;

/** Elements of a list of a message that are read. */
const MAX_ELEMENTS = 100;

export function isObject(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function objectOf(value: unknown): Members | undefined {
  return isObject(value) ? value : undefined;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function memberOf(object: Members | undefined, name: string): unknown {
  return object !== undefined && Object.hasOwn(object, name) ? object[name] : undefined;
}

export function objectIn(object: Members | undefined, name: string): Members | undefined {
  return objectOf(memberOf(object, name));
}

/** The objects of these names, in the order of `names`. */
export function wrappedIn(object: Members, names: readonly string[]): Members[] {
  return names.map((name) => objectIn(object, name)).filter((each) => each !== undefined);
}

/** The objects and lists of a list; members of a list are its elements. */
export function partsIn(object: Members | undefined, name: string, most: number): Members[] {
  const elements = listOf(memberOf(object, name)).slice(0, most);
  return elements.filter((each): each is Members => typeof each === "object" && each !== null);
}

/** The objects of a list. */
export function objectsIn(object: Members | undefined, name: string): Members[] {
  return partsIn(object, name, MAX_ELEMENTS).filter(isObject);
}

/** A text that is not blank. */
export function textIn(object: Members | undefined, name: string): string | null {
  const value = memberOf(object, name);
  return typeof value === "string" && value.trim() !== "" ? value : null;
}

/** A text, a number or a boolean as text; empty for any other. */
export function scalar(object: Members | undefined, name: string): string {
  const value = memberOf(object, name);
  if (typeof value === "string") return value;
  const isShown = typeof value === "number" || typeof value === "boolean" || value instanceof LongInteger;
  return isShown ? String(value) : "";
}

/** The first {@link scalar} of these names; empty without one. */
export function firstOf(object: Members | undefined, names: readonly string[]): string {
  for (const name of names) {
    const text = scalar(object, name);
    if (text !== "") return text;
  }
  return "";
}
