import { csvLine } from "../../core/csv.ts";

type Cell = string | number | boolean | null;

/** One row, formatted only as requested. */
export interface ExportRow {
  /** A JSON object as text. */
  json(): string;
  /** In the order of the source's columns. */
  cells(): readonly Cell[];
}

export interface RowSource {
  readonly columns: readonly string[];
  readonly rows: AsyncIterable<ExportRow>;
}

/** The text of an export: JSON is one array, CSV has a header. @param onRow called for each row */
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

/** A row from an object of the API. In CSV the state `me` of a notification becomes columns. */
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

export const EXPORT_KINDS = ["events", "notifications", "audit", "rules", "users"] as const;
export type ExportKind = (typeof EXPORT_KINDS)[number];

export const EXPORT_FORMATS = ["ndjson", "csv", "json"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** Auditors read the trail in a spreadsheet; programs read everything else. */
export const DEFAULT_FORMATS: Readonly<Record<ExportKind, ExportFormat>> = {
  events: "ndjson",
  notifications: "ndjson",
  audit: "csv",
  rules: "ndjson",
  users: "ndjson",
};

/** Selects rows. Times are epoch ms: of receipt for events, of creation for everything else. */
export interface ExportSelection {
  readonly from?: number | undefined;
  /** Exclusive. */
  readonly to?: number | undefined;
  /** Id or slug. */
  readonly project?: string | undefined;
}

export interface ExportRequest extends ExportSelection {
  readonly kind: ExportKind;
  readonly format: ExportFormat;
}

/** CSV columns of objects of the API; nested objects and lists are JSON in their cell. */
export const OBJECT_COLUMNS = {
  notifications: [
    ..."offset id userId ruleId eventId projectId kind title message action data priority aggregateCount".split(" "),
    ..."correlationId createdAt delivered readAt acknowledgedAt acknowledgeNote openedAt webviewAction".split(" "),
  ],
  rules: [
    ..."id projectId name description condition targetRoles targetUsers channels titleTemplate".split(" "),
    ..."messageTemplate sound action priority active version createdBy createdAt updatedAt stats".split(" "),
  ],
  users: [
    ..."id email username phone externalId name roles status timezone locale lastLoginAt createdAt".split(" "),
    ..."updatedAt".split(" "),
  ],
} as const;

/** Whether an item created at an instant (epoch ms) is selected. */
export function isSelected({ from, to }: ExportSelection, at: number): boolean {
  return (from === undefined || at >= from) && (to === undefined || at < to);
}
