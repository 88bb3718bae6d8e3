import { LongInteger } from "./long-integer.ts";

/* Members of a payload by their names; what an object inherits is no member. */

export type Members = Readonly<Record<string, unknown>>;

/** The first text of these names; empty without one. */
export function firstOf(scope: Members, names: readonly string[]): string {
  for (const name of names) {
    const text = scalar(scope, name);
    if (text !== "") return text;
  }
  return "";
}

/** A text, a number or a boolean as text; empty for any other. */
export function scalar(scope: Members, name: string): string {
  if (!Object.hasOwn(scope, name)) return "";
  const value = scope[name];
  if (typeof value === "string") return value;
  const isShown = typeof value === "number" || typeof value === "boolean" || value instanceof LongInteger;
  return isShown ? String(value) : "";
}

export function objectOf(scope: Members, name: string): Members | undefined {
  const value = Object.hasOwn(scope, name) ? scope[name] : undefined;
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Members) : undefined;
}

/** The objects of these names, in the order of `names`. */
export function wrappedIn(scope: Members, names: readonly string[]): Members[] {
  const wrapped: Members[] = [];
  for (const name of names) {
    const value = objectOf(scope, name);
    if (value !== undefined) wrapped.push(value);
  }
  return wrapped;
}

/** The objects of a list, at most 50. */
export function listOf(scope: Members, name: string): Members[] {
  const value = Object.hasOwn(scope, name) ? scope[name] : undefined;
  if (!Array.isArray(value)) return [];
  return value.slice(0, 50).filter((each): each is Members => typeof each === "object" && each !== null);
}
