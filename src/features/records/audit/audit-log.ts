import { type Selectable, sql } from "kysely";
import { actorOf, currentCaller } from "../../../core/caller.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { csvLine } from "../../../core/text/csv.ts";
import type { Json } from "../../../core/text/json-text.ts";
import { type Clock, toRfc3339 } from "../../../core/time/clock.ts";
import { auditHash, GENESIS_HASH } from "../../../store/commit/audit-chain.ts";
import type { AuditRow } from "../../../store/commit/write-set.ts";
import type { Database, InTransaction, ReadDb, Trx } from "../../../store/database.ts";
import type { AuditLogTable } from "../../../store/schema.ts";
import { bytesOf, fittingRows, type RowBytes } from "../../../store/sqlite/list-queries.ts";

export interface AuditEntry {
  /** `resource.verb` (docs/security.md). */
  readonly action: string;
  readonly resourceType?: string;
  readonly resourceId?: string;
  /** The acting user, if the request does not identify one in advance: logging in. */
  readonly byUser?: string;
  /** Ids and counts; never a mail address, a phone number, a name or a secret. */
  readonly metadata?: Readonly<Record<string, Json>>;
}

/** The audit trail. Actor, address and request id come from the current request, job or command. */
export class AuditLog {
  readonly #db: Database;
  readonly #clock: Clock;

  constructor(db: Database, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
  }

  /** Records an entry, in the change's transaction if `trx` is given. */
  async record(entry: AuditEntry, options: InTransaction = {}): Promise<void> {
    currentCaller().onAudit?.(entry.action, entry.resourceId);
    const row = auditRow(entry, this.#clock.now());
    await this.#db.writeIn(options, async (trx) => this.#db.audit(trx, row));
  }
}

/** The part of the audit trail that features write to. */
export type AuditTrail = Pick<AuditLog, "record">;

/** Adds the entry of a change, in its transaction. @param action `resource.verb`, which names the type of the resource */
export function recordAction(
  { audit }: { readonly audit: AuditTrail },
  trx: Trx,
  action: string,
  resourceId: string,
  metadata: NonNullable<AuditEntry["metadata"]> = {},
): Promise<void> {
  const [resourceType = ""] = action.split(".", 1);
  return audit.record({ action, resourceType, resourceId, metadata }, { trx });
}

/** The row of an entry, before it is chained. */
export function auditRow({ action, resourceType, resourceId, byUser, metadata }: AuditEntry, now: number): AuditRow {
  const caller = currentCaller();
  const actor =
    byUser === undefined || caller.principal
      ? actorOf(caller)
      : { actor: JSON.stringify({ type: "user", id: byUser }), userId: byUser };
  return {
    id: uuidv7(),
    action,
    ...actor,
    resourceType: resourceType ?? null,
    resourceId: resourceId ?? null,
    metadata: JSON.stringify({ ...metadata, ...caller.audited }),
    ip: caller.ip,
    requestId: caller.requestId,
    timestamp: now,
  };
}

export type AuditLogRow = Selectable<AuditLogTable>;

interface AuditSelection {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly userId?: string | undefined;
  /** Exact; with `*` at the end, or without a dot, the beginning. */
  readonly action?: string | undefined;
  /** False: without `notification.*`. */
  readonly notifications?: boolean | undefined;
  readonly resourceType?: string | undefined;
  readonly resourceId?: string | undefined;
  readonly requestId?: string | undefined;
}

const PAGE = 1000;
/** A clock set back by up to this much hides no row from a selection by time. */
const CLOCK_STEP_MS = 86_400_000;

/** Range of numbers that contains all rows of a selection. */
interface SeqBounds {
  readonly fromSeq: number;
  readonly toSeq: number;
}

/** Numbers follow the order of time, so a time range is found by binary search. */
export async function seqBounds(db: ReadDb, { from, to }: AuditSelection): Promise<SeqBounds> {
  return {
    fromSeq: from === undefined ? 0 : await firstSeqSince(db, from - CLOCK_STEP_MS),
    toSeq: to === undefined ? Number.MAX_SAFE_INTEGER : await firstSeqSince(db, to + CLOCK_STEP_MS),
  };
}

async function firstSeqSince(db: ReadDb, at: number): Promise<number> {
  let low = 0;
  let high = (await lastAuditSeq(db)) + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const row = await db
      .selectFrom("audit_log")
      .select(["seq", "timestamp"])
      .where("seq", ">=", middle)
      .orderBy("seq")
      .limit(1)
      .executeTakeFirst();
    if (row && row.timestamp < at) low = row.seq + 1;
    else high = middle;
  }
  return low;
}

/** Metadata of modules may be large. */
export const AUDIT_BYTES: RowBytes = { bytes: bytesOf("metadata", "actor"), largest: 131_072 };

/** Rows that match the filters; the caller sorts and limits. */
export function auditRows(db: ReadDb, selection: AuditSelection, { fromSeq, toSeq }: SeqBounds) {
  const { from, to, userId, action, notifications, resourceType, resourceId, requestId } = selection;
  let query = db.selectFrom("audit_log").selectAll();
  // One bound each way: with two SQLite would begin at the first one, and walk to the other.
  if (from !== undefined || fromSeq > 0) query = query.where("seq", ">=", fromSeq);
  if (to !== undefined || toSeq < Number.MAX_SAFE_INTEGER) query = query.where("seq", "<", toSeq);
  if (from !== undefined) query = query.where("timestamp", ">=", from);
  if (to !== undefined) query = query.where("timestamp", "<", to);
  if (userId !== undefined) query = query.where("userId", "=", userId);
  if (action !== undefined && (action.endsWith("*") || !action.includes("."))) {
    const start = action.replace("*", "");
    query = query.where("action", ">=", start).where("action", "<", `${start}~`);
  } else if (action !== undefined) query = query.where("action", "=", action);
  // By the order of rows: an index of actions has no range for "all others".
  if (notifications === false) query = query.where(sql<boolean>`+action not glob 'notification.*'`);
  if (resourceType !== undefined) query = query.where("resourceType", "=", resourceType);
  if (resourceId !== undefined) query = query.where("resourceId", "=", resourceId);
  if (requestId !== undefined) query = query.where("requestId", "=", requestId);
  return query;
}

/** All matching rows, oldest first, in short reads. */
export async function* scanAudit(db: ReadDb, selection: AuditSelection): AsyncIterable<AuditLogRow> {
  const bounds = await seqBounds(db, selection);
  for (let { fromSeq } = bounds; ; ) {
    const query = auditRows(db, selection, { ...bounds, fromSeq }).orderBy("seq");
    const { rows, isCut } = await fittingRows(query, PAGE, AUDIT_BYTES);
    yield* rows;
    const last = rows.at(-1);
    if (!last || (rows.length < PAGE && !isCut)) return;
    fromSeq = last.seq + 1;
  }
}

/** A row as clients see it. */
export function auditView(row: AuditLogRow) {
  return {
    ...row,
    actor: JSON.parse(row.actor) as Record<string, unknown>,
    metadata: JSON.parse(row.metadata) as Record<string, unknown>,
    timestamp: toRfc3339(row.timestamp),
  };
}

/** The columns of the audit trail in CSV, for HTTP and the command line. */
export const AUDIT_COLUMNS = [
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

/** The audit trail as CSV: a header and one line per row. */
export async function* auditCsv(db: ReadDb, selection: AuditSelection): AsyncIterable<string> {
  yield csvLine(AUDIT_COLUMNS);
  for await (const row of scanAudit(db, selection)) yield csvLine(auditCells(row));
}

/** A row's cells, in the order of {@link AUDIT_COLUMNS}. */
export function auditCells(row: AuditLogRow): (string | number | null)[] {
  const shown = { ...row, timestamp: toRfc3339(row.timestamp) };
  return AUDIT_COLUMNS.map((column) => shown[column]);
}

export interface AuditVerdict {
  readonly ok: boolean;
  readonly checked: number;
  readonly firstBad?: { readonly seq: number; readonly id: string };
  /** Rows are missing at the start, without a checkpoint that accounts for them, or at the end. */
  readonly truncated?: boolean;
}

/** Marks removal by retention; its metadata names the last removed row. */
export const CHECKPOINT_ACTION = "audit.checkpoint";

/** A row of the chain by number, recorded outside the database. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: string;
}

/**
 * Recomputes the chain. Each row must follow the previous one, carry the hash of its content, and
 * match the recorded heads; the last row must be the last one ever given. The first row must be the
 * first of all, or follow the row named by a later checkpoint: only retention writes such rows, and
 * their own hash protects them. A part of the log is verified from its first row, whose link is
 * taken as given.
 * @param heads heads recorded elsewhere, which a writer of the database cannot change.
 */
export async function verifyAudit(
  db: ReadDb,
  key: Uint8Array,
  lastGiven: number,
  selection: Pick<AuditSelection, "from" | "to"> = {},
  heads: readonly AuditHead[] = [],
): Promise<AuditVerdict> {
  const isWhole = selection.from === undefined && selection.to === undefined;
  const noted = new Map(heads.map(({ seq, hash }) => [seq, hash]));
  let checked = 0;
  let previous: AuditLogRow | null = null;
  /** Predecessor of the first row, until a checkpoint accounts for it. */
  let removed: (AuditHead & { readonly before: string }) | null = null;
  for await (const row of rowsOfTime(db, selection)) {
    const follows: boolean = previous
      ? row.prevHash === previous.hash && row.seq === previous.seq + 1
      : row.seq > 1 || row.prevHash === GENESIS_HASH;
    if (!follows && previous && previous.seq < (await firstAuditSeq(db)) - 1)
      // Retention removed rows during the verification: start again with the remaining ones.
      return verifyAudit(db, key, lastGiven, selection, heads);
    if (!follows || row.hash !== auditHash(key, row) || (noted.get(row.seq) ?? row.hash) !== row.hash)
      return { ok: false, checked, firstBad: { seq: row.seq, id: row.id } };
    if (!previous && isWhole && row.seq > 1) removed = { seq: row.seq - 1, hash: row.prevHash, before: row.id };
    if (removed && accountsFor(row, removed)) removed = null;
    previous = row;
    checked++;
  }
  const last = Math.max(lastGiven, ...noted.keys());
  if (removed) return { ok: false, checked, firstBad: { seq: removed.seq + 1, id: removed.before }, truncated: true };
  if (isWhole && (previous?.seq ?? 0) < last) return { ok: false, checked, truncated: true };
  return { ok: true, checked };
}

function accountsFor({ action, metadata }: AuditLogRow, removed: AuditHead): boolean {
  if (action !== CHECKPOINT_ACTION) return false;
  const { seq, hash } = JSON.parse(metadata) as Partial<AuditHead>;
  return seq === removed.seq && hash === removed.hash;
}

/**
 * The rows from the first to the last of a time range, without gaps: after a clock was set back,
 * other times are in between.
 */
async function* rowsOfTime(db: ReadDb, { from, to }: Pick<AuditSelection, "from" | "to">): AsyncIterable<AuditLogRow> {
  const first = from === undefined ? 0 : await edgeSeq(db, { from }, "asc");
  const last = to === undefined ? Number.MAX_SAFE_INTEGER : await edgeSeq(db, { to }, "desc");
  if (first === undefined || last === undefined) return;
  for (let after = first - 1; ; ) {
    const page = await db
      .selectFrom("audit_log")
      .selectAll()
      .where("seq", ">", after)
      .where("seq", "<=", last)
      .orderBy("seq")
      .limit(PAGE)
      .execute();
    yield* page;
    const end = page.at(-1);
    if (!end || page.length < PAGE) return;
    after = end.seq;
  }
}

async function edgeSeq(db: ReadDb, selection: AuditSelection, direction: "asc" | "desc"): Promise<number | undefined> {
  const bounds = await seqBounds(db, selection);
  const row = await auditRows(db, selection, bounds).orderBy("seq", direction).limit(1).executeTakeFirst();
  return row?.seq;
}

/** Number of the oldest stored row; 0 for an empty trail. */
export async function firstAuditSeq(db: ReadDb): Promise<number> {
  const row = await db.selectFrom("audit_log").select("seq").orderBy("seq").limit(1).executeTakeFirst();
  return row?.seq ?? 0;
}

/** Number of the last appended row, stored or not. */
export async function lastAuditSeq(db: ReadDb): Promise<number> {
  const row = await db.selectFrom("sqlite_sequence").select("seq").where("name", "=", "audit_log").executeTakeFirst();
  return row?.seq ?? 0;
}
