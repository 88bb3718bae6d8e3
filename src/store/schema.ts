import type { AlertTables } from "./schema/alerts.ts";
import type { CompatTables } from "./schema/compat.ts";
import type { EventTables } from "./schema/events.ts";
import type { PeopleTables } from "./schema/people.ts";
import type { ReportTables } from "./schema/reports.ts";
import type { SystemTables } from "./schema/system.ts";

export type * from "./schema/alerts.ts";
export type * from "./schema/compat.ts";
export type * from "./schema/events.ts";
export type * from "./schema/people.ts";
export type * from "./schema/reports.ts";
export * from "./schema/system.ts";

/**
 * The tables as Kysely sees them. JSON columns are text, booleans 0 or 1, instants integer epoch
 * ms. They are grouped in schema/; the DDL is in migrations/; a test compares the two column by
 * column. Resources add their tables in their own files.
 */
export interface Schema extends AlertTables, CompatTables, EventTables, PeopleTables, ReportTables, SystemTables {
  /** SQLite's own: the last number of each AUTOINCREMENT table. */
  sqlite_sequence: { name: string; seq: number };
}
