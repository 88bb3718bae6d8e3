import type { ConditionWarning } from "../../../features/rules/language/language.ts";
import { printable } from "../../output/output.ts";
import { caretLines } from "./caret.ts";

/** Warnings about a condition, each with the place under it that is meant where the condition is at hand. */
export function warningLines(warnings: readonly Omit<ConditionWarning, "code">[], condition: string): string[] {
  return warnings.flatMap(({ message, line, column, position }) => [
    `warning, line ${line}, column ${column}: ${message}`,
    ...(condition === "" ? [] : caretLines(condition, position)).map((text) => `  ${printable(text)}`),
  ]);
}
