import { useLayoutEffect, useState } from "preact/hooks";
import { useLatest } from "../ui/index.ts";

export interface Edits<T> {
  /** What is stored, with the edits. */
  readonly values: T;
  /** The members that differ from what is stored. */
  readonly edits: Partial<T>;
  change(changes: Partial<T>): void;
  /** After a save: as the server has stored it. What was typed meanwhile stays. */
  saved(answer: Partial<T>): void;
}

/**
 * Edits of what is stored. Members without an edit follow what is stored, so that a form that was
 * opened with older data does not save it.
 */
export function useEdits<T extends object>(stored: T): Edits<T> {
  const [typed, setTyped] = useState<Partial<T>>({});
  const latest = useLatest(stored);
  const only = (changes: Partial<T>, isWanted: (key: keyof T) => boolean): Partial<T> => {
    const kept = (Object.keys(changes) as (keyof T)[]).filter(isWanted);
    return Object.fromEntries(kept.map((key) => [key, changes[key]])) as Partial<T>;
  };
  const real = (changes: Partial<T>) => only(changes, (key) => !isEqual(changes[key], latest.current[key]));
  // Later changes of others are shown again.
  useLayoutEffect(() => setTyped(real), [JSON.stringify(stored)]);
  return {
    values: { ...stored, ...typed },
    edits: only(typed, (key) => !isEqual(typed[key], stored[key])),
    change: (changes) => setTyped((now) => real({ ...now, ...changes })),
    saved: (answer) => setTyped((now) => real({ ...answer, ...only(now, (key) => now[key] !== typed[key]) })),
  };
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
