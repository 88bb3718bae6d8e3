import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { OutcomeClass, SendingStep, Tree } from "../../../../src/features/channels/preset.ts";

/** An answer of a service and its class. */
interface Recorded {
  readonly preset: string;
  readonly for?: SendingStep;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Tree;
  readonly class: OutcomeClass;
  /** With `wait`: the time that the answer names. */
  readonly afterMs?: number;
  readonly ref?: Readonly<Record<string, string>>;
}

const LINES = readFileSync(join(import.meta.dirname, "../recorded.jsonl"), "utf8")
  .trim()
  .split("\n");
const ALL = LINES.map((line) => JSON.parse(line) as Recorded);

export function recordedOf(preset: string): readonly Recorded[] {
  return ALL.filter((answer) => answer.preset === preset);
}
