import type { StreamEntry } from "./stream.ts";

export interface EventFilter {
  /** Exact, or a prefix followed by `*`: `order.*`. */
  readonly type?: string | undefined;
  readonly level?: readonly string[] | undefined;
}

/** Which entries of an event stream a subscriber wants. */
export function eventFilter({ type, level }: EventFilter): (entry: StreamEntry) => boolean {
  const matchesType = type === undefined ? () => true : typeMatcher(type);
  const levels = level === undefined ? null : new Set(level);
  return (entry) => matchesType(entry.type) && (levels === null || levels.has(levelOf(entry)));
}

export function typeMatcher(pattern: string): (type: string) => boolean {
  if (!pattern.endsWith("*")) return (type) => type === pattern;
  const prefix = pattern.slice(0, -1);
  return (type) => type.startsWith(prefix);
}

// The level stands before the payload in what eventJson writes, so no payload can pretend another.
const LEVEL = /"level":"([a-z]+)"/;

function levelOf(entry: StreamEntry): string {
  return LEVEL.exec(entry.data)?.[1] ?? "";
}
