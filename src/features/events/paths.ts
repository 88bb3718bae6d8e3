import { setImmediate } from "node:timers/promises";
import { LEVELS } from "../../core/text/vocabulary.ts";
import { cutText } from "../rules/index.ts";
import type { EventPaths } from "./schema.ts";

/** Limit of paths in an answer. */
const MAX_PATHS = 300;
/** Limit of values that are visited per event. */
const MAX_VALUES = 1000;
const MAX_DEPTH = 8;
const EXAMPLES = 3;
const EXAMPLE_LENGTH = 100;
/** Events parsed before others get their turn. */
const TURN = 10;

type PathView = EventPaths["paths"][number];
type JsonType = PathView["type"];

interface SampledEvent {
  readonly type: string;
  readonly source: string | null;
  readonly payload: string;
}

interface Found {
  count: number;
  readonly types: Map<JsonType, number>;
  readonly examples: (string | number | boolean)[];
}

/** The envelope members of an event; a payload member of such a name needs `event.payload.`. */
const ENVELOPE: Readonly<Record<string, readonly string[]>> = {
  "event.type": [],
  "event.source": [],
  "event.level": LEVELS,
  "event.id": [],
  "event.projectId": [],
  "event.occurredAt": [],
  "event.receivedAt": [],
  "event.correlationId": [],
};
const KEYWORDS: ReadonlySet<string> = new Set(["and", "or", "not", "in", "true", "false", "null"]);
const REFUSED: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);
const NAME = /^[A-Za-z_$][A-Za-z0-9_$]*$/;
/** Names in brackets, without escapes. */
const QUOTABLE = /^[^"\\\p{Cc}]{1,100}$/u;

/** The paths of events as a rule writes them, the most common first. */
export async function pathsOf(events: readonly SampledEvent[]): Promise<PathView[]> {
  const found = new Map<string, Found>();
  for (const [at, { type, source, payload }] of events.entries()) {
    if (at % TURN === TURN - 1) await setImmediate();
    note(found, "event.type", type);
    note(found, "event.source", source);
    visitPayload(found, JSON.parse(payload) as Record<string, unknown>);
  }
  const views = [...found].map(([path, each]) => viewOf(path, each));
  const unseen = Object.entries(ENVELOPE)
    .filter(([path]) => !found.has(path))
    .map(
      ([path, examples]): PathView => ({ path, type: "string", types: ["string"], examples: [...examples], count: 0 }),
    );
  return [...views.sort((a, b) => b.count - a.count || (a.path < b.path ? -1 : 1)).slice(0, MAX_PATHS), ...unseen];
}

function visitPayload(found: Map<string, Found>, payload: Record<string, unknown>): void {
  let left = MAX_VALUES;
  const visit = (path: string, value: unknown, depth: number): void => {
    if (left-- <= 0) return;
    note(found, path, value);
    if (depth >= MAX_DEPTH || typeof value !== "object" || value === null) return;
    // The first element represents the others.
    if (Array.isArray(value)) {
      if (value.length > 0) visit(`${path}[0]`, value[0], depth + 1);
      return;
    }
    for (const [name, member] of Object.entries(value)) {
      const step = stepOf(name);
      if (step !== null) visit(path + step, member, depth + 1);
    }
  };
  for (const [name, member] of Object.entries(payload)) {
    const step = stepOf(name);
    if (step === null) continue;
    const isHidden = `event.${name}` in ENVELOPE || name === "payload";
    visit(isHidden ? `event.payload${step}` : `event${step}`, member, 0);
  }
}

/** A step of a path; null for a name that no rule can write. */
function stepOf(name: string): string | null {
  if (REFUSED.has(name)) return null;
  if (NAME.test(name) && !KEYWORDS.has(name)) return `.${name}`;
  return QUOTABLE.test(name) ? `["${name}"]` : null;
}

function note(found: Map<string, Found>, path: string, value: unknown): void {
  let each = found.get(path);
  if (!each) {
    if (found.size >= MAX_PATHS * 4) return;
    each = { count: 0, types: new Map(), examples: [] };
    found.set(path, each);
  }
  const type = typeOf(value);
  each.count++;
  each.types.set(type, (each.types.get(type) ?? 0) + 1);
  const isScalar = typeof value === "string" || typeof value === "number" || typeof value === "boolean";
  if (!isScalar || each.examples.length >= EXAMPLES) return;
  const example = typeof value === "string" ? cutText(value, EXAMPLE_LENGTH) : value;
  if (!each.examples.includes(example)) each.examples.push(example);
}

function typeOf(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "list";
  const type = typeof value;
  return type === "string" || type === "number" || type === "boolean" ? type : "object";
}

function viewOf(path: string, { count, types, examples }: Found): PathView {
  const sorted = [...types].sort(([, a], [, b]) => b - a).map(([type]) => type);
  return { path, type: sorted[0] ?? "null", types: sorted, examples, count };
}
