export const EXPORT_KINDS = ["events", "notifications", "incidents", "alerts", "audit", "rules", "users"] as const;
export type ExportKind = (typeof EXPORT_KINDS)[number];

export const EXPORT_FORMATS = ["ndjson", "csv", "json"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** Auditors read the trail in a spreadsheet; programs read everything else. */
export function defaultFormat(kind: ExportKind): ExportFormat {
  return kind === "audit" ? "csv" : "ndjson";
}

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
