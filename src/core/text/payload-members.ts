import { LongInteger } from "./long-integer.ts";

/* Members of a payload that nobody has checked; names of prototypes are not members. */

export type PayloadMembers = Readonly<Record<string, unknown>>;
export const NONE: PayloadMembers = {};

/** The first text of these names; empty: there is none. */
export function firstOf(scope: PayloadMembers, names: readonly string[]): string {
  for (const name of names) {
    const text = scalar(scope, name);
    if (text !== "") return text;
  }
  return "";
}

/** A text, number or boolean as text; empty for others. */
export function scalar(scope: PayloadMembers, name: string): string {
  if (!Object.hasOwn(scope, name)) return "";
  const value = scope[name];
  if (typeof value === "string") return value;
  const isShown = typeof value === "number" || typeof value === "boolean" || value instanceof LongInteger;
  return isShown ? String(value) : "";
}

export function objectOf(scope: PayloadMembers, name: string): PayloadMembers | undefined {
  const value = Object.hasOwn(scope, name) ? scope[name] : undefined;
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as PayloadMembers) : undefined;
}

/** The objects of these names, in the order of `names`. */
export function wrappedIn(scope: PayloadMembers, names: readonly string[]): PayloadMembers[] {
  const wrapped: PayloadMembers[] = [];
  for (const name of names) {
    const value = objectOf(scope, name);
    if (value !== undefined) wrapped.push(value);
  }
  return wrapped;
}

/** The first 50 of a list that are objects. */
export function listOf(scope: PayloadMembers, name: string): PayloadMembers[] {
  const value = Object.hasOwn(scope, name) ? scope[name] : undefined;
  if (!Array.isArray(value)) return [];
  return value.slice(0, 50).filter((each): each is PayloadMembers => typeof each === "object" && each !== null);
}
