import type { ExplainedRule, Step } from "./types.ts";

/** A value that a condition read. */
export interface ReadValue {
  readonly path: string;
  readonly value: unknown;
  readonly missing: boolean;
}

const PATH = /^event\b[\w.[\]"'-]*$/;

/** The paths that the condition read, each once, in the order of the text. */
export function valuesOf(steps: readonly Step[]): readonly ReadValue[] {
  const byPath = new Map<string, ReadValue>();
  for (const step of [...steps].sort((a, b) => a.pos - b.pos)) {
    if (!PATH.test(step.text) || byPath.has(step.text)) continue;
    byPath.set(step.text, { path: step.text, value: step.value, missing: step.value === undefined });
  }
  return [...byPath.values()];
}

/** The result of a rule's condition, as the condition view shows it. */
export function resultOf({ trace, outcome }: ExplainedRule): boolean | "error" | "skipped" {
  if (!trace) return "skipped";
  if (trace.error !== undefined) return "error";
  return outcome === "inactive" || outcome === "later" ? "skipped" : trace.matched;
}
