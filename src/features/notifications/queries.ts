import { type Selectable, sql } from "kysely";
import { type ReadDb, type Trx, updateRowLater } from "../../store/database.ts";
import type { DeliveriesTable, NotificationRecipientsTable, NotificationsTable } from "../../store/schema.ts";
import {
  bytesOf,
  countOf,
  type FittingRows,
  fittingRows,
  holdsText,
  type RowBytes,
} from "../../store/sqlite/list-queries.ts";
import type { Filters } from "./schema.ts";

const MAX_MARKED = 1000;

/** A notification with the row of one recipient. */
export type InboxRow = Selectable<NotificationsTable> &
  Omit<Selectable<NotificationRecipientsTable>, "delivered" | "deliveredAt"> & { recipientDelivered: 0 | 1 };

function inbox(db: ReadDb | Trx, userId: string) {
  return received(db).where("r.userId", "=", userId).where("r.deletedAt", "is", null);
}

/** Notifications joined with their recipients' rows. */
function received(db: ReadDb | Trx) {
  return db
    .selectFrom("notification_recipients as r")
    .innerJoin("notifications as n", "n.id", "r.notificationId")
    .selectAll("n")
    .select([
      "r.notificationId",
      "r.userId",
      "r.seq",
      "r.readAt",
      "r.acknowledgedAt",
      "r.openedAt",
      "r.deletedAt",
      "r.acknowledgeNote",
      "r.webviewAction",
      "r.delivered as recipientDelivered",
    ]);
}

function filtered(db: ReadDb, userId: string, filters: Filters) {
  const { status = "all", ruleId, from, to, after, q, projectId, kind, minPriority } = filters;
  let query = inbox(db, userId);
  if (status === "unread") query = query.where("r.readAt", "is", null);
  if (status === "read") query = query.where("r.readAt", "is not", null);
  if (status === "acknowledged") query = query.where("r.acknowledgedAt", "is not", null);
  if (status === "undelivered") query = query.where("r.delivered", "=", 0);
  if (ruleId !== undefined) query = query.where("n.ruleId", "=", ruleId);
  if (from !== undefined) query = query.where("n.createdAt", ">=", from);
  if (to !== undefined) query = query.where("n.createdAt", "<", to);
  if (after !== undefined) query = query.where("r.seq", ">", after);
  // Without the index of projects: the page is in the order of the recipient's rows.
  if (projectId !== undefined) query = query.where(sql<boolean>`+n.projectId = ${projectId}`);
  if (kind !== undefined) query = query.where("n.kind", "=", kind);
  if (minPriority !== undefined) query = query.where("n.priority", ">=", minPriority);
  if (q !== undefined) query = query.where((e) => e.or([holdsText("n.title", q), holdsText("n.message", q)]));
  return query;
}

export interface InboxPage {
  readonly before: number | null;
  readonly limit: number;
  readonly offset: number;
}

/** Notifications that a page of a search looks through. */
const SEARCHED_AT_ONCE = 20_000;

/** Whether an index serves these filters; otherwise the whole inbox may have to be read. */
export function isInboxIndexed(filters: Filters): boolean {
  const { status = "all", ruleId, from, to } = filters;
  const isServed = status === "all" || status === "unread" || status === "undelivered";
  return isServed && ruleId === undefined && from === undefined && to === undefined && !isInboxSearch(filters);
}

/** Whether texts and members of notifications are searched, so that a page looks through a part only. */
export function isInboxSearch({ q, projectId, kind, minPriority }: Filters): boolean {
  return [q, projectId, kind, minPriority].some((value) => value !== undefined);
}

/** The message is returned under two names. */
const INBOX_BYTES: RowBytes = {
  bytes: bytesOf("n.title", "n.message", "n.message", "n.data", "n.action", "r.webviewAction", "r.acknowledgeNote"),
  largest: 65_536,
};

/** Newest first. */
export function listInbox(
  db: ReadDb,
  userId: string,
  filters: Filters,
  page: InboxPage,
): Promise<FittingRows<InboxRow>> {
  const { status } = filters;
  if (isInboxSearch(filters)) {
    const seqs = candidates(db, userId, filters, page).limit(SEARCHED_AT_ONCE);
    const found = filtered(db, userId, filters).where("r.seq", "in", seqs).orderBy("r.seq", "desc");
    return fittingRows(found.offset(page.offset), page.limit, INBOX_BYTES);
  }
  if ((status === "unread" || status === "undelivered") && isInboxIndexed(filters)) {
    let seqs = openSeqs(db, userId, status).orderBy("o.seq", "desc").limit(page.limit).offset(page.offset);
    if (filters.after !== undefined) seqs = seqs.where("o.seq", ">", filters.after);
    if (page.before !== null) seqs = seqs.where("o.seq", "<", page.before);
    return fittingRows(inbox(db, userId).where("r.seq", "in", seqs).orderBy("r.seq", "desc"), page.limit, INBOX_BYTES);
  }
  let query = filtered(db, userId, filters).orderBy("r.seq", "desc").offset(page.offset);
  if (page.before !== null) query = query.where("r.seq", "<", page.before);
  return fittingRows(query, page.limit, INBOX_BYTES);
}

/** Offsets that a page of a search looks through, newest first. */
function candidates(db: ReadDb, userId: string, { status, after }: Filters, { before }: InboxPage) {
  let seqs =
    status === "unread" || status === "undelivered"
      ? openSeqs(db, userId, status)
      : db
          .selectFrom("notification_recipients as o")
          .select("o.seq")
          .where("o.userId", "=", userId)
          .where("o.deletedAt", "is", null);
  if (after !== undefined) seqs = seqs.where("o.seq", ">", after);
  if (before !== null) seqs = seqs.where("o.seq", "<", before);
  return seqs.orderBy("o.seq", "desc");
}

/** The last offset that a page of a search looked through; undefined: there are no older ones. */
export async function lastSearched(
  db: ReadDb,
  userId: string,
  filters: Filters,
  page: InboxPage,
): Promise<number | undefined> {
  const row = await candidates(db, userId, filters, page)
    .offset(SEARCHED_AT_ONCE - 1)
    .limit(1)
    .executeTakeFirst();
  return row?.seq;
}

/**
 * Offsets of a user's unread or undelivered rows, from the partial index of those, which is named:
 * with further conditions or an order SQLite would read the whole inbox. The conditions repeat the
 * index's literally, including the literal for `delivered`.
 */
function openSeqs(db: ReadDb | Trx, userId: string, status: "unread" | "undelivered") {
  const from = sql<Selectable<NotificationRecipientsTable>>`notification_recipients`;
  const index =
    status === "unread"
      ? sql`o indexed by notification_recipients_unread`
      : sql`o indexed by notification_recipients_undelivered`;
  const query = db
    .selectFrom(from.as<"o">(index))
    .select("o.seq")
    .where("o.userId", "=", userId)
    .where("o.deletedAt", "is", null);
  return status === "unread" ? query.where("o.readAt", "is", null) : query.where("o.delivered", "=", sql.lit<0>(0));
}

export function countInbox(db: ReadDb, userId: string, filters: Filters): Promise<number> {
  return countOf(filtered(db, userId, filters));
}

export type MissedSince = { readonly seq: number } | { readonly at: number } | null;

/**
 * Oldest first: what a disconnected client has not seen, without expired ones. @param after the
 * offset after which the page starts.
 * @param now epoch ms
 */
export function listMissed(
  db: ReadDb,
  userId: string,
  since: MissedSince,
  page: { after: number; limit: number; now: number },
): Promise<FittingRows<InboxRow>> {
  if (since === null) {
    const seqs = openSeqs(db, userId, "undelivered")
      .where(({ not, exists, selectFrom }) =>
        not(
          exists(
            selectFrom("notifications as x")
              .select("x.id")
              .whereRef("x.id", "=", "o.notificationId")
              .where("x.expiresAt", "<=", page.now),
          ),
        ),
      )
      .where("o.seq", ">", page.after)
      .orderBy("o.seq")
      .limit(page.limit);
    return fittingRows(inbox(db, userId).where("r.seq", "in", seqs).orderBy("r.seq"), page.limit, INBOX_BYTES);
  }
  let query = inbox(db, userId)
    .where((e) => e.or([e("n.expiresAt", "is", null), e("n.expiresAt", ">", page.now)]))
    .where("r.seq", ">", page.after)
    .orderBy("r.seq");
  if ("seq" in since) query = query.where("r.seq", ">", since.seq);
  else query = query.where("n.createdAt", ">=", since.at);
  return fittingRows(query, page.limit, INBOX_BYTES);
}

export function findInInbox(db: ReadDb | Trx, userId: string, notificationId: string): Promise<InboxRow | undefined> {
  return inbox(db, userId).where("r.notificationId", "=", notificationId).executeTakeFirst();
}

/** A user's notifications of an incident that the user has not acknowledged; the newest of very many. */
export function unacknowledgedOf(trx: Trx, incidentId: string, userId: string): Promise<InboxRow[]> {
  return inbox(trx, userId)
    .where("n.incidentId", "=", incidentId)
    .where("r.acknowledgedAt", "is", null)
    .orderBy("r.seq", "desc")
    .limit(MAX_MARKED)
    .execute();
}

/** The row of the recipient with the lowest offset, for callers who may read all. */
export function findAnywhere(db: ReadDb | Trx, notificationId: string): Promise<InboxRow | undefined> {
  return received(db).where("r.notificationId", "=", notificationId).orderBy("r.seq").limit(1).executeTakeFirst();
}

export interface AllRecipients {
  readonly recipients: readonly string[];
  readonly acknowledgedBy: readonly string[];
}

/** All recipients of a notification, and those who acknowledged it. */
export async function allRecipients(db: ReadDb | Trx, notificationId: string): Promise<AllRecipients> {
  const found = await recipientsOf(db, [notificationId], null);
  return found?.get(notificationId) ?? { recipients: [], acknowledgedBy: [] };
}

/**
 * {@link allRecipients} of several notifications, in the order of the ids.
 * @param limit null: none. @returns undefined when they have more recipients than the limit
 */
export async function recipientsOf(
  db: ReadDb | Trx,
  notificationIds: readonly string[],
  limit: number | null,
): Promise<Map<string, AllRecipients> | undefined> {
  let query = db
    .selectFrom("notification_recipients")
    .select(["notificationId", "userId", "seq", "acknowledgedAt"])
    .where("notificationId", "in", notificationIds);
  if (limit !== null) query = query.limit(limit + 1);
  const rows = await query.execute();
  if (limit !== null && rows.length > limit) return undefined;
  rows.sort((a, b) => a.seq - b.seq);
  const all = new Map(
    notificationIds.map((id) => [id, { recipients: [] as string[], acknowledgedBy: [] as string[] }] as const),
  );
  for (const { notificationId, userId, acknowledgedAt } of rows) {
    const each = all.get(notificationId);
    each?.recipients.push(userId);
    if (acknowledgedAt !== null) each?.acknowledgedBy.push(userId);
  }
  return all;
}

/** Recipients who acknowledged it or opened something from it. @param userId null: all of them */
export function responsesTo(db: ReadDb, notificationId: string, userId: string | null, limit: number) {
  let query = db
    .selectFrom("notification_recipients")
    .select(["userId", "acknowledgedAt", "acknowledgeNote", "openedAt", "webviewAction"])
    .where("notificationId", "=", notificationId)
    .where((e) => e.or([e("acknowledgedAt", "is not", null), e("openedAt", "is not", null)]));
  if (userId !== null) query = query.where("userId", "=", userId);
  return query.orderBy("userId").limit(limit).execute();
}

export type ResponseRow = Awaited<ReturnType<typeof responsesTo>>[number];

/** Rows of a user's inbox by offset, oldest first. */
export function inboxRows(db: ReadDb | Trx, userId: string, seqs: readonly number[]): Promise<InboxRow[]> {
  return inbox(db, userId).where("r.seq", "in", seqs).orderBy("r.seq").execute();
}

/** Counts by the partial index of unread rows. */
export function countUnread(db: ReadDb | Trx, userId: string): Promise<number> {
  return countOf(openSeqs(db, userId, "unread"));
}

/** {@link countUnread} that stops at `limit`. */
export function countUnreadUpTo(db: ReadDb, userId: string, limit: number): Promise<number> {
  return countOf(db.selectFrom(openSeqs(db, userId, "unread").limit(limit).as("u")));
}

type Mark = "readAt" | "acknowledgedAt" | "openedAt" | "deletedAt";

type Response = Partial<Pick<InboxRow, "acknowledgeNote" | "webviewAction">>;

/**
 * Sets times that are not set yet, because the first one counts, and replaces the recipient's
 * earlier response.
 * @param row as read in this transaction. @returns the new row; the same object if nothing changed
 */
export function mark<R extends InboxRow>(
  trx: Trx,
  row: R,
  { times, now, response = {} }: { times: readonly Mark[]; now: number; response?: Response },
): R {
  const unset = times.filter((column) => row[column] === null);
  const changes = { ...Object.fromEntries(unset.map((column) => [column, now])), ...response };
  if (Object.keys(changes).length === 0) return row;
  updateRowLater(trx, "notification_recipients", { userId: row.userId, seq: row.seq }, changes);
  return { ...row, ...changes };
}

/** The first `limit` unread offsets of a user in (`after`, `upTo`], ascending. */
export async function unreadSeqs(
  trx: Trx,
  userId: string,
  range: { after: number; upTo: number; limit: number },
): Promise<number[]> {
  const rows = await openSeqs(trx, userId, "unread")
    .where("o.seq", ">", range.after)
    .where("o.seq", "<=", range.upTo)
    .orderBy("o.seq")
    .limit(range.limit)
    .execute();
  return rows.map(({ seq }) => seq);
}

/** Marks these as read, or only those created before a time. @returns the number of changes */
export async function markRead(
  trx: Trx,
  userId: string,
  seqs: readonly number[],
  before: number | null,
  now: number,
): Promise<number> {
  let query = trx
    .updateTable("notification_recipients")
    .set({ readAt: now })
    .where("userId", "=", userId)
    .where("seq", "in", seqs);
  if (before !== null)
    query = query.where(sql<boolean>`(select createdAt from notifications where id = notificationId) < ${before}`);
  const { numUpdatedRows } = await query.executeTakeFirst();
  return Number(numUpdatedRows);
}

const DELIVERY_COLUMNS = [
  "id",
  "channel",
  "target",
  "state",
  "reason",
  "attempts",
  "lastError",
  "createdAt",
  "updatedAt",
  "deliveredAt",
] as const;
export type NotificationDeliveryRow = Pick<Selectable<DeliveriesTable>, (typeof DELIVERY_COLUMNS)[number]>;

/** A user's deliveries of a notification, one per target. */
export function deliveriesOf(db: ReadDb, notificationId: string, userId: string): Promise<NotificationDeliveryRow[]> {
  return db
    .selectFrom("deliveries")
    .select(DELIVERY_COLUMNS)
    .where("notificationId", "=", notificationId)
    .where("userId", "=", userId)
    .orderBy("channel")
    .orderBy("target")
    .execute();
}

const EXPORT_PAGE = 1000;

export interface InboxSelection {
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly projectId: string | undefined;
}

/**
 * A row per recipient who has not deleted it, user by user, oldest first; of one user, or of all of
 * them: null. Each page is a read of its own.
 */
export async function* exportedInboxes(
  db: ReadDb,
  userId: string | null,
  { from, to, projectId }: InboxSelection,
): AsyncIterable<InboxRow> {
  for (let after = { userId: userId ?? "", seq: 0 }; ; ) {
    let query = (userId === null ? received(db) : received(db).where("r.userId", "=", userId))
      .where(sql<boolean>`(r.userId, r.seq) > (${after.userId}, ${after.seq})`)
      .where("r.deletedAt", "is", null)
      .orderBy("r.userId")
      .orderBy("r.seq")
      .limit(EXPORT_PAGE);
    // Without the indexes of these columns: the page is in the order of the recipients' rows.
    if (projectId !== undefined) query = query.where(sql<boolean>`+n.projectId = ${projectId}`);
    if (from !== undefined) query = query.where(sql<boolean>`+n.createdAt >= ${from}`);
    if (to !== undefined) query = query.where(sql<boolean>`+n.createdAt < ${to}`);
    const page = await query.execute();
    yield* page;
    const last = page.at(-1);
    if (!last || page.length < EXPORT_PAGE) return;
    after = last;
  }
}
