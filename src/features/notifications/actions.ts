import { setImmediate } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { PermissionHolder, UserPrincipal } from "../../core/caller.ts";
import type { Json } from "../../core/text/json-text.ts";
import { toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import { requireLink } from "../../http/api/shapes.ts";
import { missingPermission, requireAccount } from "../../http/server/access.ts";
import type { InTransaction, Trx } from "../../store/database.ts";
import type { NewEntry } from "../events/streams/index.ts";
import type { AuditEntry } from "../records/audit/index.ts";
import type { HeldRow } from "./held-rows.ts";
import { inboxItemView, type NotificationsContext, noSuchNotification, noSuchUser } from "./inbox.ts";
import { changeAlone, changeInQueue, type InboxChanges, type InboxReader } from "./inbox-changes.ts";
import * as queries from "./queries.ts";
import type { ReadAllBody, WebviewActionView, WebviewBody } from "./schema.ts";

/*
 * Actions of a recipient on a notification. Each change is an entry of the user's stream, so that
 * all devices agree; repeating it changes and publishes nothing.
 */

/** The signed button or link by which a user acknowledges without a login. */
export type AcknowledgedThrough = "webpush" | "mail";

/** Rows per transaction of read-all: ingest waits no longer than for a commit. */
const READ_SLICE = 1000;

/**
 * Whose notifications are changed: the caller's, or with `ref` those of another user.
 * @throws UNAUTHORIZED_ROLE, USER_NOT_FOUND; FORBIDDEN for the operator's own
 */
function readerOf({ users }: NotificationsContext, principal: PermissionHolder, ref = "me"): InboxReader {
  if (ref === "me") return requireAccount(principal);
  const userId = users.findAny(ref);
  if (principal.kind !== "operator" && userId === principal.userId) return principal;
  for (const permission of ["users:manage", "notifications:read_all"] as const)
    if (!principal.permissions.has(permission)) throw missingPermission(permission);
  if (userId === undefined) throw noSuchUser();
  return { userId, permissions: principal.permissions };
}

/** @param userRef whose, if not the caller's. @throws NOTIFICATION_NOT_FOUND and as {@link readerOf} */
export async function markNotificationRead(
  context: NotificationsContext,
  changes: InboxChanges,
  principal: PermissionHolder,
  id: string,
  userRef?: string,
) {
  const reader = readerOf(context, principal, userRef);
  const isOpened = reader.userId === principal.userId;
  return changeInQueue(context, changes, { reader, id, apply: reading(context, { isOpened }) });
}

/** {@link markNotificationRead}, for code without a principal. @throws NOTIFICATION_NOT_FOUND */
export async function markReadAsUser(
  context: NotificationsContext,
  id: string,
  userRef: string,
  options: InTransaction = {},
): Promise<void> {
  const userId = context.users.findAny(userRef);
  if (userId === undefined) throw noSuchNotification();
  const reader = { userId, permissions: new Set<never>() };
  await changeAlone(context, { reader, id, apply: reading(context, { isOpened: false }) }, options);
}

/** Also marks it read. Keeps the first time and the last note. */
export async function acknowledgeNotification(
  context: NotificationsContext,
  changes: InboxChanges,
  principal: PermissionHolder,
  id: string,
  note: string | undefined,
  userRef?: string,
) {
  const reader = readerOf(context, principal, userRef);
  const behalf = reader.userId === principal.userId ? {} : { onBehalfOf: reader.userId };
  const apply = acknowledging(context, { note, audited: { metadata: behalf } });
  return changeInQueue(context, changes, { reader, id, apply });
}

/**
 * {@link acknowledgeNotification} by the button of a push message or the link of a mail, which name
 * the user. @throws NOTIFICATION_NOT_FOUND
 */
export async function acknowledgeAsUser(
  context: NotificationsContext,
  id: string,
  userId: string,
  through: AcknowledgedThrough,
): Promise<void> {
  const audited = { byUser: userId, metadata: { through } };
  const reader = { userId, permissions: new Set<never>() };
  await changeAlone(context, { reader, id, apply: acknowledging(context, { note: undefined, audited }) });
}

function acknowledging(
  context: NotificationsContext,
  { note, audited }: { readonly note: string | undefined; readonly audited: Pick<AuditEntry, "byUser" | "metadata"> },
) {
  return async (trx: Trx, { row, unread }: HeldRow, now: number): Promise<queries.InboxRow> => {
    const hasNewNote = note !== undefined && note !== row.acknowledgeNote;
    const through = String(audited.metadata?.["through"] ?? "notification");
    const response = hasNewNote ? { acknowledgeNote: note } : {};
    const changed = queries.mark(trx, row, { times: ["readAt", "acknowledgedAt"], now, response });
    if (row.acknowledgedAt === null || hasNewNote) {
      const metadata = { ...audited.metadata, ...(note === undefined ? {} : { noteLength: note.length }) };
      const resource = { resourceType: "notification", resourceId: row.id };
      await context.audit.record({ action: "notification.acknowledged", ...audited, ...resource, metadata }, { trx });
      await publishChange(context, trx, changed, { type: "notification.acknowledged", now, unread });
    }
    // Acknowledges the person's other notifications of it too.
    if (row.incidentId !== null)
      await context.incidents.acknowledgeByNotification(trx, row.incidentId, row.userId, through);
    return changed;
  };
}

/** A person has acknowledged an incident: so are the person's notifications of it, and they are read. */
export async function acknowledgeOfIncident(
  context: NotificationsContext,
  trx: Trx,
  incidentId: string,
  userId: string,
): Promise<void> {
  const now = context.clock.now();
  const rows = await queries.unacknowledgedOf(trx, incidentId, userId);
  for (const row of rows) {
    const changed = queries.mark(trx, row, { times: ["readAt", "acknowledgedAt"], now });
    await publishChange(context, trx, changed, { type: "notification.acknowledged", now });
  }
  if (rows.some(({ readAt }) => readAt === null)) await publishCount(context, trx, userId);
}

/** Records that the app opened something from the notification. */
export async function recordWebviewAction(
  context: NotificationsContext,
  principal: UserPrincipal,
  id: string,
  { action = "open", url, metadata }: WebviewBody,
) {
  requireLink(url, "url", context.config);
  const apply = async (trx: Trx, { row }: HeldRow, now: number): Promise<queries.InboxRow> => {
    const view: WebviewActionView = { action, url: url ?? null, metadata: metadata ?? null, at: toRfc3339(now) };
    const isNew = !isSameAction(row.webviewAction, view);
    const response = isNew ? { webviewAction: JSON.stringify(view) } : {};
    if (row.incidentId !== null) await context.incidents.openedByNotification(trx, row.incidentId, row.userId);
    const changed = queries.mark(trx, row, { times: ["openedAt"], now, response });
    if (isNew) await publishChange(context, trx, changed, { type: "notification.updated", now });
    await recordAudit(
      context,
      "notification.webview",
      row.id,
      { action, metadataMembers: Object.keys(metadata ?? {}).length },
      trx,
    );
    return changed;
  };
  await changeAlone(context, { reader: principal, id, apply });
  return { logged: true };
}

export async function deleteNotification(
  context: NotificationsContext,
  principal: UserPrincipal,
  id: string,
): Promise<void> {
  const apply = async (trx: Trx, { row, unread }: HeldRow, now: number): Promise<queries.InboxRow> => {
    const changed = await markDeleted(context, trx, row, now);
    if (unread !== null) await context.realtime.publishAll([countEntry(row.userId, unread - 1)], { trx });
    return changed;
  };
  await changeAlone(context, { reader: principal, id, apply });
}

/** {@link deleteNotification} of several, by offset, for code. @returns how many were in the list */
export function removeAsUser(
  context: NotificationsContext,
  userId: string,
  offsets: readonly number[],
): Promise<number> {
  const { db, clock } = context;
  return db.write(async (trx) => {
    const rows = await queries.inboxRows(trx, userId, offsets);
    for (const row of rows) await markDeleted(context, trx, row, clock.now());
    if (rows.some(({ readAt }) => readAt === null)) await publishCount(context, trx, userId);
    return rows.length;
  });
}

async function markDeleted(context: NotificationsContext, trx: Trx, row: queries.InboxRow, now: number) {
  const changed = queries.mark(trx, row, { times: ["deletedAt"], now });
  await context.realtime.publish(streamOf(row), "notification.deleted", { id: row.id, offset: row.seq }, { trx });
  return changed;
}

/**
 * Marks everything up to this moment, or up to a creation time, as read; later ones stay unread.
 * Runs in slices of one transaction each, oldest first, and publishes the progress of each in the
 * stream: after an interruption, repeating it continues.
 */
export async function readAllNotifications(
  context: NotificationsContext,
  principal: PermissionHolder,
  { before, ids }: ReadAllBody,
  userRef?: string,
) {
  const reader = readerOf(context, principal, userRef);
  const { userId } = reader;
  if (ids !== undefined) return { updated: await readSome(context, reader, [...new Set(ids)], before) };
  let end: number | null = null;
  let updated = 0;
  for (let after: number | null = 0; after !== null; await setImmediate()) {
    const slice = await readSlice(context, userId, { after, end, before: before ?? null, earlier: updated });
    ({ after, end } = slice);
    updated += slice.updated;
  }
  return { updated };
}

/** In one transaction; ids of others are left out. @returns the number of changes */
function readSome(
  context: NotificationsContext,
  { userId }: InboxReader,
  ids: readonly string[],
  before = Number.POSITIVE_INFINITY,
): Promise<number> {
  const { db, clock } = context;
  return db.write(async (trx) => {
    const now = clock.now();
    let updated = 0;
    for (const id of ids) {
      const row = await queries.findInInbox(trx, userId, id);
      if (!row || row.readAt !== null || row.createdAt >= before) continue;
      const changed = queries.mark(trx, row, { times: ["readAt"], now });
      await publishChange(context, trx, changed, { type: "notification.read", now });
      updated += 1;
    }
    if (updated > 0) await publishCount(context, trx, userId);
    return updated;
  });
}

/** @param isOpened the recipient did it, not someone for the recipient */
function reading(context: NotificationsContext, { isOpened }: { readonly isOpened: boolean }) {
  return async (trx: Trx, { row, unread }: HeldRow, now: number): Promise<queries.InboxRow> => {
    if (isOpened && row.incidentId !== null)
      await context.incidents.openedByNotification(trx, row.incidentId, row.userId);
    const changed = queries.mark(trx, row, { times: ["readAt"], now });
    if (changed === row) return row;
    await publishChange(context, trx, changed, { type: "notification.read", now, unread });
    return changed;
  };
}

/** @returns the offset after which the next slice starts; null after the last one. */
function readSlice(
  context: NotificationsContext,
  userId: string,
  { after, end, before, earlier }: { after: number; end: number | null; before: number | null; earlier: number },
): Promise<{ after: number | null; end: number; updated: number }> {
  const { db, clock, realtime, committer } = context;
  return db.write(async (trx) => {
    // Read in the first slice: only the holder of the writer knows the last offset.
    const last = end ?? committer.sequences.streams.last;
    const seqs = await queries.unreadSeqs(trx, userId, { after, upTo: last, limit: READ_SLICE + 1 });
    const isLast = seqs.length <= READ_SLICE;
    const slice = seqs.slice(0, READ_SLICE);
    const upTo = isLast ? last : (slice.at(-1) ?? last);
    const updated = slice.length === 0 ? 0 : await queries.markRead(trx, userId, slice, before, clock.now());
    if (updated > 0) {
      const data = { all: true, upTo, before: toRfc3339OrNull(before), updated };
      await realtime.publish({ kind: "user", userId }, "notification.read", data, { trx });
    }
    if (isLast && earlier + updated > 0) await publishCount(context, trx, userId);
    return { after: isLast ? null : upTo, end: last, updated };
  });
}

interface Change {
  readonly type: string;
  readonly now: number;
  /** The user's unread notifications with this one, which the change marks read; null: it was read. */
  readonly unread?: number | null;
}

async function publishChange(
  { realtime, sounds }: NotificationsContext,
  trx: Trx,
  row: queries.InboxRow,
  { type, now, unread = null }: Change,
): Promise<void> {
  const data = { ...inboxItemView(row, null, { sounds }), at: toRfc3339(now) };
  const entries: NewEntry[] = [{ to: streamOf(row), type, data }];
  await realtime.publishAll(unread === null ? entries : [...entries, countEntry(row.userId, unread - 1)], { trx });
}

async function publishCount(context: NotificationsContext, trx: Trx, userId: string): Promise<void> {
  const count = await queries.countUnread(trx, userId);
  await context.realtime.publishAll([countEntry(userId, count)], { trx });
}

function countEntry(userId: string, count: number): NewEntry {
  return { to: { kind: "user", userId }, type: "unread-count", data: { count, unreadCount: count } };
}

async function recordAudit(
  context: NotificationsContext,
  action: string,
  id: string,
  metadata: Readonly<Record<string, Json>>,
  trx: Trx,
): Promise<void> {
  await context.audit.record({ action, resourceType: "notification", resourceId: id, metadata }, { trx });
}

/** Whether the app opened the same thing last, at any time. */
function isSameAction(stored: string | null, { at: _at, ...action }: WebviewActionView): boolean {
  if (stored === null) return false;
  const { at: _stored, ...last } = JSON.parse(stored) as WebviewActionView;
  return isDeepStrictEqual(last, JSON.parse(JSON.stringify(action)));
}

function streamOf(row: Pick<queries.InboxRow, "userId">) {
  return { kind: "user", userId: row.userId } as const;
}
