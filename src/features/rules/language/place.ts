/** Line and column, both from 1, of the unit `position` in `source`. */
export function placeOf(source: string, position: number): { readonly line: number; readonly column: number } {
  const linesBefore = source.slice(0, position).split("\n");
  return { line: linesBefore.length, column: (linesBefore.at(-1) ?? "").length + 1 };
}
