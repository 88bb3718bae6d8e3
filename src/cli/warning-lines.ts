import type { ConditionWarning } from "../rules/index.ts";
import { caretLines } from "./caret.ts";
import { printable } from "./output.ts";

/** Warnings about a condition, each with the place under it that is meant where the condition is at hand. */
export function warningLines(warnings: readonly Omit<ConditionWarning, "code">[], condition: string): string[] {
  return warnings.flatMap(({ message, line, column, position }) => [
    `warning, line ${line}, column ${column}: ${message}`,
    ...(condition === "" ? [] : caretLines(condition, position)).map((text) => `  ${printable(text)}`),
  ]);
}
