import { parseRfc3339, toRfc3339, toRfc3339OrNull } from "../../base/clock.ts";
import { PrismError } from "../../base/errors.ts";
import { isUuid } from "../../base/ids.ts";
import type { UserPrincipal } from "../../base/principal.ts";
import { missingPermission } from "../../http/access.ts";
import { checkShape } from "../../http/input.ts";
import { isFarPage, pageBody, pageEntries, readPage } from "../../http/pagination.ts";
import { object } from "../../http/shapes.ts";
import { notificationView, type WebviewActionView } from "../../pipeline/views.ts";
import type { CoreServices } from "../../services/module.ts";
import type { NotificationView, Page, PageInput } from "../../services/module-api.ts";
import * as queries from "./queries.ts";
import { type Filters, type ListQuery, MAX_RESPONSES, type MissedQuery } from "./schema.ts";

const DEFAULT_MISSED = 100;
/** Unread notifications that are counted at once; the scan thread counts those who have more. */
const COUNTED_AT_ONCE = 10_000;

/** Reading notifications: one's own, and others' with the right to. */
export class Inbox {
  readonly #services: CoreServices;

  constructor(services: CoreServices) {
    this.#services = services;
  }

  /** @throws UNAUTHORIZED_ROLE for somebody else's list without the right to read it, USER_NOT_FOUND */
  list(principal: UserPrincipal, { userId = "me", ...query }: ListQuery) {
    const isOwn = this.#services.users.findAny(userId) === principal.userId;
    if (!isOwn && !principal.permissions.has("notifications:read_all"))
      throw missingPermission("notifications:read_all");
    return this.#page(principal, this.#owner(principal, userId), query);
  }

  history(
    principal: UserPrincipal,
    userRef: string,
    query: Pick<ListQuery, "status" | "limit" | "page" | "offset" | "cursor">,
  ) {
    return this.#page(principal, this.#owner(principal, userRef), query);
  }

  /** For code that is nobody's own: what the user would see. @throws USER_NOT_FOUND, INVALID_CURSOR, VALIDATION_FAILED */
  async historyOf(userRef: string, page: PageInput): Promise<Page<NotificationView>> {
    const userId = this.#services.users.findAny(userRef);
    if (userId === undefined) throw noSuchUser();
    const query = checkShape(PageQuery, asQuery(page), "query");
    return this.#page(NOBODY, userId, query);
  }

  async get(principal: UserPrincipal, id: string) {
    const { db } = this.#services;
    const seesAll = principal.permissions.has("notifications:read_all");
    const own = isUuid(id) ? await queries.findInInbox(db.read, principal.userId, id) : undefined;
    const row = own ?? (seesAll && isUuid(id) ? await queries.findAnywhere(db.read, id) : undefined);
    if (!row) throw notFound();
    const deliveries = await queries.deliveriesOf(db.read, id, principal.userId);
    const view = viewOf(row, seesAll ? await queries.allRecipients(db.read, id) : null, this.#services);
    const responses = await queries.responsesTo(db.read, id, seesAll ? null : principal.userId, MAX_RESPONSES);
    return { ...view, deliveries: deliveries.map(deliveryView), responses: responses.map(responseView) };
  }

  /**
   * What has not reached the user, or lies behind an offset or at or after a time. With `ack` what is shown is marked delivered on disk before
   * this resolves: asking again gives the next page.
   */
  async missed(principal: UserPrincipal, { since, limit = DEFAULT_MISSED, cursor, ack }: MissedQuery) {
    const { db, clock } = this.#services;
    const request = readPage({ limit, cursor }, ["number"]);
    const after = request.after ? Number(request.after[0]) : 0;
    const behind = readSince(since);
    // No index finds a time: the inbox is read from its beginning.
    const source = behind !== null && "at" in behind ? db.scan : db.read;
    const rows = await queries.listMissed(source, principal.userId, behind, {
      after,
      limit: limit + 1,
      now: clock.now(),
    });
    const shown = ack ? await this.#markDelivered(principal.userId, rows, limit) : rows;
    const page = pageBody(
      request,
      shown,
      (row) => viewOf(row, null, this.#services),
      (row) => [row.seq],
    );
    return { ...page, page: null };
  }

  /** @returns the rows as they are afterwards; those beyond the page are left alone. */
  async #markDelivered(userId: string, rows: readonly queries.InboxRow[], limit: number): Promise<queries.InboxRow[]> {
    const { db, clock, system } = this.#services;
    const seqs = rows.slice(0, limit).map(({ seq }) => seq);
    const at = clock.now();
    await system.store.committer.storeDelivered(seqs.map((seq) => ({ userId, seq, at })));
    return [...(await queries.inboxRows(db.read, userId, seqs)), ...rows.slice(limit)];
  }

  async unreadCount(principal: UserPrincipal) {
    const { db } = this.#services;
    const { userId } = principal;
    const few = await queries.countUnreadUpTo(db.read, userId, COUNTED_AT_ONCE);
    const count = few < COUNTED_AT_ONCE ? few : await queries.countUnread(db.scan, userId);
    return { count, unreadCount: count };
  }

  async #page(
    principal: Pick<UserPrincipal, "permissions">,
    userId: string,
    query: Filters & Pick<ListQuery, "limit" | "page" | "offset" | "cursor">,
  ) {
    const { db } = this.#services;
    const request = readPage(query, ["number"]);
    const before = request.after ? Number(request.after[0]) : null;
    const source = queries.isInboxIndexed(query) && !isFarPage(request) ? db.read : db.scan;
    const rows = await queries.listInbox(source, userId, query, {
      before,
      limit: request.limit + 1,
      offset: request.offset,
    });
    const total = request.wantsTotal ? await queries.countInbox(db.scan, userId, query) : undefined;
    const everybody = principal.permissions.has("notifications:read_all");
    const all = new Map(
      everybody
        ? await Promise.all(
            rows
              .slice(0, request.limit)
              .map(async (row) => [row.id, await queries.allRecipients(db.read, row.id)] as const),
          )
        : [],
    );
    return pageBody(
      request,
      rows,
      (row) => viewOf(row, all.get(row.id) ?? null, this.#services),
      (row) => [row.seq],
      total,
    );
  }

  /** @throws USER_NOT_FOUND, also for somebody else without the right to read everybody's */
  #owner(principal: UserPrincipal, ref: string): string {
    const userId = this.#services.users.findAny(ref);
    const isAllowed = userId === principal.userId || principal.permissions.has("notifications:read_all");
    if (userId === undefined || !isAllowed) throw noSuchUser();
    return userId;
  }
}

export function viewOf(
  row: queries.InboxRow,
  all: Parameters<typeof notificationView>[2],
  { system }: Pick<CoreServices, "system">,
) {
  return notificationView(row, { ...row, delivered: row.recipientDelivered }, all, system.sounds.urlOf);
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

function deliveryView({ createdAt, updatedAt, deliveredAt, ...delivery }: queries.DeliveryRow) {
  return {
    ...delivery,
    createdAt: toRfc3339(createdAt),
    updatedAt: toRfc3339(updatedAt),
    deliveredAt: toRfc3339OrNull(deliveredAt),
  };
}

const PageQuery = object(pageEntries());

/** Whoever asks for somebody is told what that one would be told. */
const NOBODY: Pick<UserPrincipal, "permissions"> = { permissions: new Set() };

/** Members that are given, as they would stand in a query. */
function asQuery(page: PageInput): Record<string, string> {
  const given = Object.entries(page).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]));
}

function noSuchUser(): PrismError {
  return new PrismError("USER_NOT_FOUND", "No such user");
}

export function notFound(): PrismError {
  return new PrismError("NOTIFICATION_NOT_FOUND", "No such notification");
}

/** @throws VALIDATION_FAILED */
function readSince(since: string | undefined): { seq: number } | { at: number } | null {
  if (since === undefined) return null;
  if (/^\d{1,16}$/.test(since)) return { seq: Number(since) };
  const at = parseRfc3339(since);
  if (at === undefined) {
    throw new PrismError("VALIDATION_FAILED", "The query is not valid", {
      details: [{ path: "since", code: "VALUE", message: "must be an offset or an RFC 3339 date-time" }],
    });
  }
  return { at };
}
