import { type SelectQueryBuilder, sql } from "kysely";
import * as v from "valibot";
import { firstIdAt, isUuid } from "../../core/ids.ts";
import { toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import {
  cursorOf,
  doc,
  instant,
  named,
  object,
  pageBody,
  pageEntries,
  queryInteger,
  readPage,
  text,
} from "../../http/api/shapes.ts";
import type { Database, ReadDb } from "../../store/database.ts";
import type { Schema } from "../../store/schema.ts";
import { holdsText } from "../../store/sqlite/list-queries.ts";
import { noSuchNotification } from "./inbox.ts";
import { NotificationView } from "./schema.ts";

/** Notifications of all users, as operators see them: each once, with counts of its recipients. */

const STATES = ["unseen", "seen", "unacknowledged", "acknowledged", "undelivered"] as const;
const { id, ruleId, eventId, projectId, kind, title, message, priority, aggregateCount } = NotificationView.entries;

export const ListAll = object({
  q: v.optional(doc(text(100, 1), "Text in title or message")),
  ruleId: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Id of the rule that sent it")),
  projectId: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Id of the project")),
  kind: v.optional(doc(kind, "Kind of notification")),
  minPriority: v.optional(doc(queryInteger(0, 1000), "Lowest priority; 500 and above are urgent")),
  state: v.optional(
    doc(
      v.picklist(STATES),
      "`seen` and `acknowledged`: by at least one recipient; `undelivered`: to at least one not yet",
    ),
  ),
  from: v.optional(doc(instant, "Created at or after")),
  to: v.optional(doc(instant, "Created before")),
  limit: pageEntries().limit,
  cursor: pageEntries().cursor,
});
export type ListAll = v.InferOutput<typeof ListAll>;
type Filters = Omit<ListAll, "limit" | "cursor">;

const Counts = v.object({
  recipients: doc(v.number(), "Counted up to 10 000, like the others"),
  delivered: v.number(),
  seen: v.number(),
  acknowledged: v.number(),
});

export const NotificationSummary = named(
  "NotificationSummary",
  "A notification with counts of its recipients",
  v.object({
    ...{ id, ruleId, eventId, projectId, kind, title, message, priority, aggregateCount },
    ruleName: v.nullable(v.string()),
    createdAt: v.string(),
    counts: Counts,
  }),
);

export const ListRecipients = object({ limit: pageEntries().limit, cursor: pageEntries().cursor });

export const RecipientState = named(
  "RecipientState",
  "A recipient of a notification",
  v.object({
    userId: v.string(),
    name: v.string(),
    delivered: v.boolean(),
    deliveredAt: v.nullable(v.string()),
    readAt: v.nullable(v.string()),
    acknowledgedAt: v.nullable(v.string()),
    acknowledgeNote: v.nullable(v.string()),
    openedAt: v.nullable(v.string()),
    deletedAt: v.nullable(v.string()),
  }),
);

/** Notifications that a page looks through when no index finds them. */
const SEARCHED_AT_ONCE = 20_000;
const COUNTED = 10_000;

/** Newest first. @throws INVALID_CURSOR */
export async function listAll({ scan }: Pick<Database, "scan">, { limit, cursor, ...filters }: ListAll) {
  const request = readPage({ limit, cursor }, ["number", "string"]);
  const after = request.after ? { at: Number(request.after[0]), id: String(request.after[1]) } : null;
  const last = isSearch(filters) ? await lastSearched(scan, filters, after) : undefined;
  const rows = await matching(scan, filters, after, last, request.limit + 1);
  const counts = new Map<string, v.InferOutput<typeof Counts>>();
  for (const row of rows.slice(0, request.limit)) counts.set(row.id, await countsOf(scan, row.id));
  const view = ({ createdAt, ...row }: (typeof rows)[number]) => ({
    ...row,
    createdAt: toRfc3339(createdAt),
    counts: counts.get(row.id) ?? NONE,
  });
  const body = pageBody(request, rows, view, (row) => [row.createdAt, row.id]);
  const next = body.nextCursor ?? (last ? cursorOf([last.createdAt, last.id]) : null);
  return { ...body, page: null, nextCursor: next };
}

const NONE = { recipients: 0, delivered: 0, seen: 0, acknowledged: 0 };

interface Position {
  readonly at: number;
  readonly id: string;
}

/** Whether rows that an index finds must be looked through. */
function isSearch({ q, kind: ofKind, minPriority, state, ruleId: rule, projectId: project }: Filters): boolean {
  const isUnindexed = [q, ofKind, minPriority, state].some((filter) => filter !== undefined);
  return isUnindexed || (rule !== undefined && project !== undefined);
}

/** Notifications by their index: of a rule, of a project, or all in the order of their ids. */
function indexed(db: ReadDb, { ruleId: rule, projectId: project, from, to }: Filters, after: Position | null) {
  let query = db.selectFrom("notifications");
  if (rule !== undefined) query = query.where("notifications.ruleId", "=", rule);
  else if (project !== undefined) query = query.where("notifications.projectId", "=", project);
  else {
    if (from !== undefined) query = query.where("notifications.id", ">=", firstIdAt(from));
    if (to !== undefined) query = query.where("notifications.id", "<", firstIdAt(to));
    if (after !== null) query = query.where("notifications.id", "<", after.id);
    return query.orderBy("notifications.id", "desc");
  }
  if (from !== undefined) query = query.where("notifications.createdAt", ">=", from);
  if (to !== undefined) query = query.where("notifications.createdAt", "<", to);
  if (after !== null)
    query = query.where(sql<boolean>`(notifications.createdAt, notifications.id) < (${after.at}, ${after.id})`);
  return query.orderBy("notifications.createdAt", "desc").orderBy("notifications.id", "desc");
}

function lastSearched(db: ReadDb, filters: Filters, after: Position | null) {
  return indexed(db, filters, after)
    .select(["notifications.createdAt", "notifications.id"])
    .limit(1)
    .offset(SEARCHED_AT_ONCE)
    .executeTakeFirst();
}

function matching(
  db: ReadDb,
  filters: Filters,
  after: Position | null,
  last: { readonly createdAt: number; readonly id: string } | undefined,
  limit: number,
) {
  const { q, kind: ofKind, minPriority, state, ruleId: rule, projectId: project } = filters;
  let query = indexed(db, filters, after);
  if (last !== undefined) {
    const isByTime = rule !== undefined || project !== undefined;
    query = isByTime
      ? query.where(sql<boolean>`(notifications.createdAt, notifications.id) >= (${last.createdAt}, ${last.id})`)
      : query.where("notifications.id", ">=", last.id);
  }
  if (rule !== undefined && project !== undefined)
    query = query.where(sql<boolean>`+notifications.projectId = ${project}`);
  if (ofKind !== undefined) query = query.where("notifications.kind", "=", ofKind);
  if (minPriority !== undefined) query = query.where("notifications.priority", ">=", minPriority);
  if (q !== undefined)
    query = query.where((e) => e.or([holdsText("notifications.title", q), holdsText("notifications.message", q)]));
  if (state !== undefined) query = inState(query, state);
  return query
    .select([
      "notifications.id",
      "notifications.ruleId",
      "notifications.eventId",
      "notifications.projectId",
      "notifications.kind",
      "notifications.title",
      "notifications.message",
      "notifications.priority",
    ])
    .select(["notifications.aggregateCount", "notifications.createdAt"])
    .select(sql<string | null>`(select name from rules where id = notifications.ruleId)`.as("ruleName"))
    .limit(limit)
    .execute();
}

type Selection = SelectQueryBuilder<Schema, "notifications", object>;

function inState(query: Selection, state: (typeof STATES)[number]): Selection {
  const [isAny, condition] = CONDITIONS[state];
  const found = sql<boolean>`exists (
    select 1 from notification_recipients r where r.notificationId = notifications.id and ${condition}
  )`;
  return isAny ? query.where(found) : query.where(sql<boolean>`not ${found}`);
}

/** Whether some recipient, or none, has this state. */
const CONDITIONS = {
  seen: [true, sql`r.readAt is not null`],
  unseen: [false, sql`r.readAt is not null`],
  acknowledged: [true, sql`r.acknowledgedAt is not null`],
  unacknowledged: [false, sql`r.acknowledgedAt is not null`],
  undelivered: [true, sql`r.delivered = 0`],
} as const;

async function countsOf(db: ReadDb, notificationId: string): Promise<v.InferOutput<typeof Counts>> {
  const { rows } = await sql<v.InferOutput<typeof Counts>>`
    select count(*) as recipients, coalesce(sum(delivered), 0) as delivered, count(readAt) as seen,
      count(acknowledgedAt) as acknowledged
    from (
      select delivered, readAt, acknowledgedAt from notification_recipients
      where notificationId = ${notificationId} limit ${COUNTED}
    )`.execute(db);
  return rows[0] ?? NONE;
}

/** The recipients of a notification, by id. @throws NOTIFICATION_NOT_FOUND, INVALID_CURSOR */
export async function listRecipients(
  { read }: Pick<Database, "read">,
  notificationId: string,
  query: v.InferOutput<typeof ListRecipients>,
) {
  const request = readPage(query, ["string"]);
  const known = isUuid(notificationId)
    ? await read.selectFrom("notifications").select("id").where("id", "=", notificationId).executeTakeFirst()
    : undefined;
  if (!known) throw noSuchNotification();
  const rows = await read
    .selectFrom("notification_recipients as r")
    .leftJoin("users as u", "u.id", "r.userId")
    .select(["r.userId", "r.delivered", "r.deliveredAt", "r.readAt", "r.acknowledgedAt", "r.acknowledgeNote"])
    .select(["r.openedAt", "r.deletedAt", "u.name", "u.username"])
    .where("r.notificationId", "=", notificationId)
    .where("r.userId", ">", request.after ? String(request.after[0]) : "")
    .orderBy("r.userId")
    .limit(request.limit + 1)
    .execute();
  const view = ({ username, name, ...row }: (typeof rows)[number]) => ({
    userId: row.userId,
    name: name || username || row.userId,
    delivered: row.delivered === 1,
    deliveredAt: toRfc3339OrNull(row.deliveredAt),
    readAt: toRfc3339OrNull(row.readAt),
    acknowledgedAt: toRfc3339OrNull(row.acknowledgedAt),
    acknowledgeNote: row.acknowledgeNote,
    openedAt: toRfc3339OrNull(row.openedAt),
    deletedAt: toRfc3339OrNull(row.deletedAt),
  });
  return { ...pageBody(request, rows, view, ({ userId }) => [userId]), page: null };
}
