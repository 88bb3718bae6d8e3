import type { Level } from "../../core/levels.ts";
import type { StreamEntry } from "../stream.ts";

export interface EventFilter {
  /** Exact, or a prefix followed by `*`: `order.*`. */
  readonly type?: string | undefined;
  /** Only entries that are events have a level. */
  readonly level?: readonly Level[] | undefined;
}

/** Which entries of a stream a subscriber wants. */
export function eventFilter({ type, level }: EventFilter): (entry: StreamEntry) => boolean {
  const isWanted = type === undefined ? () => true : typeMatcher(type);
  const levels = level === undefined ? null : new Set<string>(level);
  return (entry) => isWanted(entry.type) && (levels === null || levels.has(levelOf(entry)));
}

/** Whether an event's type is the pattern, or begins with what stands before its `*`. */
export function matchesType(pattern: string, type: string): boolean {
  return typeMatcher(pattern)(type);
}

function typeMatcher(pattern: string): (type: string) => boolean {
  if (!pattern.endsWith("*")) return (type) => type === pattern;
  const prefix = pattern.slice(0, -1);
  return (type) => type.startsWith(prefix);
}

// An event's level stands before anything that a producer may write freely, so no payload can pretend another.
const LEVEL = /"level":"([a-z]+)"/;

function levelOf(entry: StreamEntry): string {
  return LEVEL.exec(entry.data)?.[1] ?? "";
}
