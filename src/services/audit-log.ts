import type { Selectable } from "kysely";
import { toRfc3339 } from "../base/clock.ts";
import { csvLine } from "../base/csv.ts";
import { auditHash, GENESIS_HASH } from "../store/audit-chain.ts";
import type { ReadDb } from "../store/database.ts";
import type { AuditLogTable } from "../store/schema.ts";

export type AuditLogRow = Selectable<AuditLogTable>;

export interface AuditSelection {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly userId?: string | undefined;
  /** Exact, or `resource.*`. */
  readonly action?: string | undefined;
  readonly resourceType?: string | undefined;
  readonly resourceId?: string | undefined;
  readonly requestId?: string | undefined;
}

const PAGE = 1000;

/** Rows that pass the filters; the caller orders and limits. */
export function auditRows(db: ReadDb, selection: AuditSelection) {
  const { from, to, userId, action, resourceType, resourceId, requestId } = selection;
  let query = db.selectFrom("audit_log").selectAll();
  if (from !== undefined) query = query.where("timestamp", ">=", from);
  if (to !== undefined) query = query.where("timestamp", "<", to);
  if (userId !== undefined) query = query.where("userId", "=", userId);
  if (action?.endsWith(".*"))
    query = query.where("action", ">=", action.slice(0, -1)).where("action", "<", `${action.slice(0, -2)}/`);
  else if (action !== undefined) query = query.where("action", "=", action);
  if (resourceType !== undefined) query = query.where("resourceType", "=", resourceType);
  if (resourceId !== undefined) query = query.where("resourceId", "=", resourceId);
  if (requestId !== undefined) query = query.where("requestId", "=", requestId);
  return query;
}

/** All rows that pass, oldest first, in pages that are short reads each. */
export async function* scanAudit(db: ReadDb, selection: AuditSelection): AsyncIterable<AuditLogRow> {
  for (let after = 0; ; ) {
    const page = await auditRows(db, selection).where("seq", ">", after).orderBy("seq").limit(PAGE).execute();
    yield* page;
    const last = page.at(-1);
    if (!last || page.length < PAGE) return;
    after = last.seq;
  }
}

const CSV_COLUMNS = [
  "seq",
  "id",
  "timestamp",
  "action",
  "userId",
  "actor",
  "resourceType",
  "resourceId",
  "metadata",
  "ip",
  "requestId",
  "prevHash",
  "hash",
] as const;

/** The audit trail as CSV: header row, then one line per row (contract 4.11). */
export async function* auditCsv(db: ReadDb, selection: AuditSelection): AsyncIterable<string> {
  yield csvLine(CSV_COLUMNS);
  for await (const row of scanAudit(db, selection)) {
    const shown = { ...row, timestamp: toRfc3339(row.timestamp) };
    yield csvLine(CSV_COLUMNS.map((column) => shown[column]));
  }
}

export interface AuditVerdict {
  readonly ok: boolean;
  readonly checked: number;
  readonly firstBad?: { readonly seq: number; readonly id: string };
  /** The last rows are missing. */
  readonly truncated?: boolean;
}

/**
 * Recomputes the chain. Each row must follow the one before it and carry the hash of its own content; the last must be the last that was
 * ever given. A part of the log is checked from its first row on, whose own link is taken as given.
 */
export async function verifyAudit(
  db: ReadDb,
  key: Uint8Array,
  lastGiven: number,
  selection: Pick<AuditSelection, "from" | "to"> = {},
): Promise<AuditVerdict> {
  const isWhole = selection.from === undefined && selection.to === undefined;
  let checked = 0;
  let previous: AuditLogRow | null = null;
  for await (const row of scanAudit(db, selection)) {
    const follows: boolean = previous
      ? row.prevHash === previous.hash && row.seq === previous.seq + 1
      : !isWhole || row.prevHash === GENESIS_HASH;
    if (!follows || row.hash !== auditHash(key, row))
      return { ok: false, checked, firstBad: { seq: row.seq, id: row.id } };
    previous = row;
    checked++;
  }
  if (isWhole && (previous?.seq ?? 0) < lastGiven) return { ok: false, checked, truncated: true };
  return { ok: true, checked };
}

/** The number of the row that was appended last, whether it is still there or not. */
export async function lastAuditSeq(db: ReadDb): Promise<number> {
  const row = await db.selectFrom("sqlite_sequence").select("seq").where("name", "=", "audit_log").executeTakeFirst();
  return row?.seq ?? 0;
}
