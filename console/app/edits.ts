import { useLayoutEffect, useState } from "preact/hooks";

export interface Edits<T> {
  /** What is stored, with the edits. */
  readonly values: T;
  /** The members that differ from what is stored. */
  readonly edits: Partial<T>;
  change(changes: Partial<T>): void;
}

/**
 * Edits of what is stored. Members without an edit follow what is stored, so that a form that was
 * opened with older data does not save it.
 */
export function useEdits<T extends object>(stored: T): Edits<T> {
  const [typed, setTyped] = useState<Partial<T>>({});
  const real = (changes: Partial<T>): Partial<T> => {
    const kept = (Object.keys(changes) as (keyof T)[]).filter((key) => !isEqual(changes[key], stored[key]));
    return Object.fromEntries(kept.map((key) => [key, changes[key]])) as Partial<T>;
  };
  // What was saved is no edit any more: later changes of others are shown again.
  useLayoutEffect(() => setTyped(real), [JSON.stringify(stored)]);
  const edits = real(typed);
  return {
    values: { ...stored, ...edits },
    edits,
    change: (changes) => setTyped((now) => ({ ...now, ...changes })),
  };
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
