export const EXPORT_KINDS = ["events", "notifications", "audit", "rules", "users"] as const;
export type ExportKind = (typeof EXPORT_KINDS)[number];

export const EXPORT_FORMATS = ["ndjson", "csv", "json"] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** Which rows. Times are epoch ms; events are selected by receipt, everything else by when it was made. */
export interface ExportSelection {
  readonly from?: number | undefined;
  /** Exclusive. */
  readonly to?: number | undefined;
  /** Id or slug. */
  readonly project?: string | undefined;
}

export interface ExportWish extends ExportSelection {
  readonly kind: ExportKind;
  readonly format: ExportFormat;
}

/** Columns in CSV of what the API shows as an object; members that are objects or lists stand in their cell as JSON. */
export const OBJECT_COLUMNS = {
  notifications: [
    "offset",
    "id",
    "userId",
    "ruleId",
    "eventId",
    "projectId",
    "kind",
    "title",
    "message",
    "action",
    "data",
    "priority",
    "aggregateCount",
    "correlationId",
    "createdAt",
    "delivered",
    "readAt",
    "acknowledgedAt",
    "acknowledgeNote",
    "openedAt",
    "webviewAction",
  ],
  rules: [
    "id",
    "projectId",
    "name",
    "description",
    "condition",
    "targetRoles",
    "targetUsers",
    "channels",
    "titleTemplate",
    "messageTemplate",
    "sound",
    "action",
    "priority",
    "active",
    "version",
    "createdBy",
    "createdAt",
    "updatedAt",
    "stats",
  ],
  users: [
    "id",
    "email",
    "username",
    "phone",
    "externalId",
    "name",
    "roles",
    "status",
    "timezone",
    "locale",
    "lastLoginAt",
    "createdAt",
    "updatedAt",
  ],
} as const;

/** Whether something made at an instant (epoch ms) is selected. */
export function isSelected({ from, to }: ExportSelection, at: number): boolean {
  return (from === undefined || at >= from) && (to === undefined || at < to);
}
