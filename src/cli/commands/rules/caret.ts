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
