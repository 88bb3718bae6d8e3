import { NtfyError } from "../errors.ts";

export const MAX_ITEMS = 10_000;
export const MAX_TEXT = 1_048_576;
/** Time of a template, and of one function that searches. */
export const MAX_MS = 100;
const MAX_DEPTH = 500;

/** A value with a text of its own. */
export abstract class Printed {
  abstract toString(): string;
}

interface Size {
  /** Nested ones too, each as often as it is reached. */
  readonly items: number;
  /** Characters of all texts and names. */
  readonly length: number;
  readonly depth: number;
}

/** Of lists and dicts: no function changes one. */
const sizes = new WeakMap<object, Size>();

/**
 * That the values together have no more items and text than a list may have: each is the argument or
 * the result of a function, or is printed. @throws NtfyError 40045
 */
export function requireBounded(values: readonly unknown[]): void {
  let [items, length] = [0, 0];
  for (const value of values) {
    if (typeof value === "string") length += value.length;
    else if (isNesting(value)) {
      const size = sizeOf(value, 1);
      items += size.items;
      length += size.length;
    }
    check(items, length);
  }
}

function isNesting(value: unknown): value is object {
  return typeof value === "object" && value !== null && !(value instanceof Printed);
}

/** In linear time also where a list has the same list many times. */
function sizeOf(value: object, level: number): Size {
  const known = sizes.get(value);
  if (known) return known;
  if (level > MAX_DEPTH) throw tooDeep();
  let [items, length, depth] = [0, 0, 1];
  const add = (each: unknown): void => {
    items++;
    if (typeof each === "string") length += each.length;
    else if (isNesting(each)) {
      const size = sizeOf(each, level + 1);
      items += size.items;
      length += size.length;
      depth = Math.max(depth, 1 + size.depth);
    }
    check(items, length);
  };
  if (Array.isArray(value)) value.forEach(add);
  else
    for (const [name, each] of Object.entries(value)) {
      length += name.length;
      add(each);
    }
  if (depth > MAX_DEPTH) throw tooDeep();
  const size = { items, length, depth };
  sizes.set(value, size);
  return size;
}

function check(items: number, length: number): void {
  if (items > MAX_ITEMS) throw failed(`a list has at most ${MAX_ITEMS} items`);
  if (length > MAX_TEXT) throw tooLong();
}

/** @throws NtfyError 40045 */
export function limited(value: string): string {
  if (value.length > MAX_TEXT) throw tooLong();
  return value;
}

/** @throws NtfyError 40045 */
export function joined(parts: readonly string[], separator: string): string {
  if (parts.length * separator.length > MAX_TEXT) throw tooLong();
  return limited(parts.join(separator));
}

export function tooLong(): NtfyError {
  return failed("the output is too long");
}

function tooDeep(): NtfyError {
  return failed("a list is nested too deeply");
}

export function failed(detail: string): NtfyError {
  return new NtfyError(40045, detail);
}
