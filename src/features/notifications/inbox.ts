import { setImmediate } from "node:timers/promises";
import type { PermissionHolder, UserPrincipal } from "../../core/caller.ts";
import { invalidField, PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import { parseRfc3339, toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import { cursorOf, isFarPage, MAX_PAGE_BYTES, object, pageBody, pageEntries, readPage } from "../../http/api/shapes.ts";
import { checkShape } from "../../http/body/input.ts";
import { missingPermission } from "../../http/server/access.ts";
import type { Context } from "../../module/feature.ts";
import type { NotificationView, Page, PageInput } from "../../module/module-api.ts";
import type { FittingRows } from "../../store/sqlite/list-queries.ts";
import * as queries from "./queries.ts";
import {
  type ExportNotifications,
  type Filters,
  type ListNotifications,
  MAX_RESPONSES,
  type MissedQuery,
  notificationView,
  type WebviewActionView,
} from "./schema.ts";

export type NotificationsContext = Context<"users" | "sounds" | "realtime" | "incidents">;

const DEFAULT_MISSED = 100;
/** Unread notifications are counted here up to this number, and by the scan thread beyond it. */
const COUNTED_AT_ONCE = 10_000;
/** Limit of recipients read without yielding; a single notification is read completely. */
const READ_AT_ONCE = 2000;
/** Size of an id in JSON, with its quotes and comma. */
const ID_BYTES = 39;

/** @throws UNAUTHORIZED_ROLE for another user's list without the permission, USER_NOT_FOUND */
export function listInbox(
  context: NotificationsContext,
  principal: PermissionHolder,
  { userId = "me", ...query }: ListNotifications,
) {
  const isOwn = context.users.findAny(userId) === principal.userId;
  if (!isOwn && !principal.permissions.has("notifications:read_all")) throw missingPermission("notifications:read_all");
  return inboxPage(context, principal, ownerOf(context, principal, userId), query);
}

export function userHistory(
  context: NotificationsContext,
  principal: PermissionHolder,
  userRef: string,
  query: Pick<ListNotifications, "status" | "limit" | "page" | "offset" | "cursor">,
) {
  return inboxPage(context, principal, ownerOf(context, principal, userRef), query);
}

/** The user's list, for code. @throws USER_NOT_FOUND, INVALID_CURSOR, VALIDATION_FAILED */
export async function historyAsUser(
  context: NotificationsContext,
  userRef: string,
  page: PageInput,
): Promise<Page<NotificationView>> {
  const userId = context.users.findAny(userRef);
  if (userId === undefined) throw noSuchUser();
  const query = checkShape(PageQuery, asQuery(page), "query");
  return inboxPage(context, NO_PERMISSIONS, userId, query);
}

/** Lines of an export: the caller's notifications, or with `notifications:read_all` those of all users. */
export async function* exportNotifications(
  { db }: NotificationsContext,
  { permissions, userId }: PermissionHolder,
  { projectId, from, to }: ExportNotifications,
): AsyncIterable<string> {
  const owner = permissions.has("notifications:read_all") ? null : userId;
  for await (const row of queries.exportedInboxes(db.scan, owner, { projectId, from, to })) {
    const view = notificationView(row, { ...row, delivered: row.recipientDelivered }, null, noSoundUrl);
    yield `${JSON.stringify(view)}\n`;
  }
}

/** A signed link expires before the file is read. */
const noSoundUrl = (): null => null;

export async function getNotification(context: NotificationsContext, principal: PermissionHolder, id: string) {
  const { db } = context;
  const seesAll = principal.permissions.has("notifications:read_all");
  const { userId } = principal;
  const own = isUuid(id) && userId !== null ? await queries.findInInbox(db.read, userId, id) : undefined;
  const row = own ?? (seesAll && isUuid(id) ? await queries.findAnywhere(db.read, id) : undefined);
  if (!row) throw noSuchNotification();
  const deliveries = await queries.deliveriesOf(db.read, id, userId ?? "");
  const view = inboxItemView(row, seesAll ? await queries.allRecipients(db.read, id) : null, context);
  const responses = await queries.responsesTo(db.read, id, seesAll ? null : principal.userId, MAX_RESPONSES);
  return { ...view, deliveries: deliveries.map(deliveryView), responses: responses.map(responseView) };
}

/**
 * Notifications that have not reached the user, or those after an offset or a time. With `ack` the
 * page is marked delivered on disk before this resolves, so repeating the call gives the next page.
 */
export async function listMissed(
  context: NotificationsContext,
  principal: UserPrincipal,
  { since, limit = DEFAULT_MISSED, cursor, ack }: MissedQuery,
) {
  const { db, clock } = context;
  const request = readPage({ limit, cursor }, ["number"]);
  const after = request.after ? Number(request.after[0]) : 0;
  const behind = readSince(since);
  // No index finds a time: the inbox is read from its start.
  const source = behind !== null && "at" in behind ? db.scan : db.read;
  const { rows, isCut } = await queries.listMissed(source, principal.userId, behind, {
    after,
    limit: limit + 1,
    now: clock.now(),
  });
  const view = (row: queries.InboxRow) => inboxItemView(row, null, context);
  const page = pageBody({ ...request, isCut }, rows, view, (row) => [row.seq]);
  if (!ack) return { ...page, page: null };
  const marked = await markDelivered(context, principal.userId, rows.slice(0, page.data.length));
  return { ...page, data: marked.map(view), page: null };
}

/** @returns the updated rows. */
async function markDelivered(
  context: NotificationsContext,
  userId: string,
  rows: readonly queries.InboxRow[],
): Promise<queries.InboxRow[]> {
  const { db, clock, committer } = context;
  if (rows.length === 0) return [];
  const seqs = rows.map(({ seq }) => seq);
  const at = clock.now();
  await committer.storeDelivered(seqs.map((seq) => ({ userId, seq, at })));
  return queries.inboxRows(db.read, userId, seqs);
}

export async function unreadCount(context: NotificationsContext, principal: UserPrincipal) {
  const { db } = context;
  const { userId } = principal;
  const few = await queries.countUnreadUpTo(db.read, userId, COUNTED_AT_ONCE);
  const count = few < COUNTED_AT_ONCE ? few : await queries.countUnread(db.scan, userId);
  return { count, unreadCount: count };
}

async function inboxPage(
  context: NotificationsContext,
  principal: Pick<PermissionHolder, "permissions">,
  userId: string,
  query: Filters & Pick<ListNotifications, "limit" | "page" | "offset" | "cursor">,
) {
  const { db } = context;
  const request = readPage(query, ["number"]);
  const before = request.after ? Number(request.after[0]) : null;
  const source = queries.isInboxIndexed(query) && !isFarPage(request) ? db.read : db.scan;
  const page = { before, limit: request.limit + 1, offset: request.offset };
  const found = await queries.listInbox(source, userId, query, page);
  const last = queries.isInboxSearch(query) ? await queries.lastSearched(source, userId, query, page) : undefined;
  const total = request.wantsTotal ? await queries.countInbox(db.scan, userId, query) : undefined;
  const seesAll = principal.permissions.has("notifications:read_all");
  const { all, rows, isCut } = seesAll
    ? await withRecipients(context, found, request.limit)
    : { ...found, all: new Map<string, queries.AllRecipients>() };
  const body = pageBody(
    { ...request, isCut },
    rows,
    (row) => inboxItemView(row, all.get(row.id) ?? null, context),
    (row) => [row.seq],
    total,
  );
  const next = body.nextCursor ?? (last === undefined ? null : cursorOf([last]));
  return { ...body, nextCursor: next };
}

/** The rows whose recipients fit into a page: a notification may have as many as users exist. */
async function withRecipients(
  context: NotificationsContext,
  { rows, isCut }: FittingRows<queries.InboxRow>,
  limit: number,
) {
  const all = new Map<string, queries.AllRecipients>();
  const ids = rows.slice(0, limit).map(({ id }) => id);
  let bytes = 0;
  for await (const [id, each] of recipientsOf(context, ids)) {
    all.set(id, each);
    bytes += (each.recipients.length + each.acknowledgedBy.length) * ID_BYTES;
    if (bytes > MAX_PAGE_BYTES && all.size < rows.length) return { all, rows: rows.slice(0, all.size), isCut: true };
  }
  return { all, rows, isCut };
}

/** In the order of the ids, in short queries: usually one for a whole page. */
async function* recipientsOf(
  { db }: NotificationsContext,
  ids: readonly string[],
): AsyncGenerator<[string, queries.AllRecipients]> {
  for (let at = 0, count = ids.length; at < ids.length; ) {
    const slice = ids.slice(at, at + count);
    const found = await queries.recipientsOf(db.read, slice, slice.length === 1 ? null : READ_AT_ONCE);
    if (!found) {
      count = Math.ceil(count / 2);
      continue;
    }
    yield* found;
    at += slice.length;
    await setImmediate();
  }
}

/** @throws USER_NOT_FOUND, also for another user without the permission to read all */
function ownerOf(context: NotificationsContext, principal: PermissionHolder, ref: string): string {
  const userId = context.users.findAny(ref);
  const isAllowed = userId === principal.userId || principal.permissions.has("notifications:read_all");
  if (userId === undefined || !isAllowed) throw noSuchUser();
  return userId;
}

export function inboxItemView(
  row: queries.InboxRow,
  all: Parameters<typeof notificationView>[2],
  { sounds }: Pick<NotificationsContext, "sounds">,
) {
  return notificationView(row, { ...row, delivered: row.recipientDelivered }, all, sounds.urlOf);
}

function responseView({ userId, acknowledgedAt, acknowledgeNote, openedAt, webviewAction }: queries.ResponseRow) {
  return {
    userId,
    acknowledgedAt: toRfc3339OrNull(acknowledgedAt),
    note: acknowledgeNote,
    openedAt: toRfc3339OrNull(openedAt),
    webviewAction: webviewAction === null ? null : (JSON.parse(webviewAction) as WebviewActionView),
  };
}

function deliveryView({ createdAt, updatedAt, deliveredAt, ...delivery }: queries.NotificationDeliveryRow) {
  return {
    ...delivery,
    createdAt: toRfc3339(createdAt),
    updatedAt: toRfc3339(updatedAt),
    deliveredAt: toRfc3339OrNull(deliveredAt),
  };
}

const PageQuery = object(pageEntries());

/** Reading another user's inbox uses that user's permissions, not the caller's. */
const NO_PERMISSIONS: Pick<PermissionHolder, "permissions"> = { permissions: new Set() };

/** The given members in the form of a query. */
function asQuery(page: PageInput): Record<string, string> {
  const given = Object.entries(page).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

export function noSuchUser(): PrismError {
  return new PrismError("USER_NOT_FOUND", "No such user");
}

export function noSuchNotification(): PrismError {
  return new PrismError("NOTIFICATION_NOT_FOUND", "No such notification");
}

/** @throws VALIDATION_FAILED */
function readSince(since: string | undefined): { seq: number } | { at: number } | null {
  if (since === undefined) return null;
  if (/^\d{1,16}$/.test(since)) return { seq: Number(since) };
  const at = parseRfc3339(since);
  if (at === undefined) {
    throw invalidField("query", "since", "must be an offset or an RFC 3339 date-time");
  }
  return { at };
}
