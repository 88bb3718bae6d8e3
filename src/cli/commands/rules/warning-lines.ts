import type { ConditionWarning } from "../../../features/rules/language/language.ts";
import { printable } from "../../output/output.ts";

const WINDOW = 76;

/**
 * The line of a text in which a position lies, and under it a caret at the place. Of a long line the part around the place is shown.
 * @param position 0-based, in UTF-16 units.
 */
export function caretLines(text: string, position: number): [string, string] {
  const start = text.lastIndexOf("\n", position - 1) + 1;
  const end = text.indexOf("\n", position);
  const line = text.slice(start, end < 0 ? text.length : end).replace(/\t/g, " ");
  const column = position - start;
  const from = column < WINDOW - 10 ? 0 : column - WINDOW / 2;
  const before = from > 0 ? "…" : "";
  const after = line.length > from + WINDOW ? "…" : "";
  return [before + line.slice(from, from + WINDOW).trimEnd() + after, `${" ".repeat(before.length + column - from)}^`];
}

/** Warnings about a condition, each with the place under it that is meant where the condition is at hand. */
export function warningLines(warnings: readonly Omit<ConditionWarning, "code">[], condition: string): string[] {
  return warnings.flatMap(({ message, line, column, position }) => [
    `warning, line ${line}, column ${column}: ${message}`,
    ...(condition === "" ? [] : caretLines(condition, position)).map((text) => `  ${printable(text)}`),
  ]);
}
