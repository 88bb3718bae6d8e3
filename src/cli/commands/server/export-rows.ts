import { csvLine } from "../../../core/csv.ts";
import type { ExportFormat } from "./export-kinds.ts";

export type Cell = string | number | boolean | null;

/** One row, in the form that is asked for; the other one is never made. */
export interface ExportRow {
  /** A JSON object as text. */
  json(): string;
  /** In the order of the source's columns. */
  cells(): readonly Cell[];
}

/** Rows to export, wherever they come from. */
export interface RowSource {
  readonly columns: readonly string[];
  readonly rows: AsyncIterable<ExportRow>;
  close(): Promise<void> | void;
}

/** The text of an export, row by row. JSON is one array, CSV has a header row. @param onRow called for each row. */
export async function* formatRows(source: RowSource, format: ExportFormat, onRow: () => void): AsyncIterable<string> {
  if (format === "csv") yield csvLine(source.columns);
  let separator = "[\n";
  for await (const row of source.rows) {
    onRow();
    if (format === "csv") yield csvLine(row.cells());
    else if (format === "ndjson") yield `${row.json()}\n`;
    else yield separator + row.json();
    separator = ",\n";
  }
  if (format === "json") yield separator === "[\n" ? "[]\n" : "\n]\n";
}

/** A row that is an object of the API. In CSV a notification's `me`, the recipient's own state, is spread over its columns. */
export function objectRow(value: Readonly<Record<string, unknown>>, columns: readonly string[]): ExportRow {
  return {
    json: () => JSON.stringify(value),
    cells: () => {
      const flat: Readonly<Record<string, unknown>> = { ...value, ...(value["me"] as object | undefined) };
      return columns.map((column) => cellOf(flat[column]));
    },
  };
}

function cellOf(value: unknown): Cell {
  if (value === undefined || value === null) return null;
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return value;
  return JSON.stringify(value);
}
