import { sql } from "kysely";
import { parseRfc3339 } from "../../../core/clock.ts";
import { findProjectRef, listUsers } from "../../../features/access/operator/queries.ts";
import {
  AUDIT_COLUMNS,
  type AuditLogRow,
  auditCells,
  auditView,
  scanAudit,
} from "../../../features/audit/audit-log.ts";
import { EVENT_COLUMNS, eventCells } from "../../../features/events/cells.ts";
import { eventJson, notificationView } from "../../../features/notifications/schema.ts";
import { allRules, roleNames } from "../../../features/rules/queries.ts";
import { ruleView } from "../../../features/rules/view.ts";
import type { ReadDb } from "../../../store/database.ts";
import type { EventsTable } from "../../../store/schema.ts";
import type { Context } from "../../context.ts";
import { openReadStore, requireDatabase } from "../../data-dir.ts";
import { withExistingStore } from "../access/admin-store.ts";
import { type ExportWish, isSelected, OBJECT_COLUMNS, objectRow, type RowSource } from "./export-kinds.ts";

/**
 * Pages of the exports that are made on the data directory: each a short read of its own, behind
 * the last row of the one before.
 */

const PAGE = 1000;

export interface RowFilter {
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly projectId: string | undefined;
}

/** Events by offset, of all projects unless one is given. */
export async function* scanEvents(db: ReadDb, { from, to, projectId }: RowFilter): AsyncIterable<EventsTable> {
  for (let after = 0; ; ) {
    let query = db.selectFrom("events").selectAll().where("seq", ">", after).orderBy("seq").limit(PAGE);
    if (projectId !== undefined) query = query.where("projectId", "=", projectId);
    if (from !== undefined) query = query.where("receivedAt", ">=", from);
    if (to !== undefined) query = query.where("receivedAt", "<", to);
    const page = await query.execute();
    yield* page;
    const last = page.at(-1);
    if (!last || page.length < PAGE) return;
    after = last.seq;
  }
}

/** A row per recipient who has not deleted it, user by user, oldest first. */
export async function* scanNotifications(db: ReadDb, { from, to, projectId }: RowFilter) {
  for (let after = { userId: "", seq: 0 }; ; ) {
    let query = db
      .selectFrom("notification_recipients as r")
      .innerJoin("notifications as n", "n.id", "r.notificationId")
      .selectAll("n")
      .select([
        "r.userId",
        "r.seq",
        "r.readAt",
        "r.acknowledgedAt",
        "r.acknowledgeNote",
        "r.openedAt",
        "r.webviewAction",
        "r.delivered as recipientDelivered",
      ])
      .where(sql<boolean>`(r.userId, r.seq) > (${after.userId}, ${after.seq})`)
      .where("r.deletedAt", "is", null)
      .orderBy("r.userId")
      .orderBy("r.seq")
      .limit(PAGE);
    if (projectId !== undefined) query = query.where("n.projectId", "=", projectId);
    if (from !== undefined) query = query.where("n.createdAt", ">=", from);
    if (to !== undefined) query = query.where("n.createdAt", "<", to);
    const page = await query.execute();
    yield* page;
    const last = page.at(-1);
    if (!last || page.length < PAGE) return;
    after = last;
  }
}

/**
 * Rows of the data directory's database. Exporting the audit trail is recorded in it first. @throws
 * CommandError 3, 4, PROJECT_NOT_FOUND
 */
export async function offlineRows(context: Context, wish: ExportWish): Promise<RowSource> {
  const loaded = context.loadConfig("none");
  const { config } = loaded;
  requireDatabase(loaded);
  if (wish.kind === "audit") await recordAuditExport(context, wish);
  const { db, close } = openReadStore(config.databaseFile);
  try {
    const { from, to, project } = wish;
    const projectId = project === undefined ? undefined : (await findProjectRef(db, project)).id;
    return { ...rowsOf(db, wish, { from, to, projectId }), close };
  } catch (error) {
    close();
    throw error;
  }
}

async function recordAuditExport(context: Context, { format, from, to }: ExportWish): Promise<void> {
  const filters = [...(from === undefined ? [] : ["from"]), ...(to === undefined ? [] : ["to"])];
  await withExistingStore(context, ({ audit }) =>
    audit.record({ action: "audit.export", resourceType: "audit", metadata: { filters, format } }),
  );
}

function rowsOf(db: ReadDb, wish: ExportWish, filter: RowFilter): Omit<RowSource, "close"> {
  switch (wish.kind) {
    case "events":
      return {
        columns: EVENT_COLUMNS,
        rows: mapRows(scanEvents(db, filter), (event) => ({
          json: () => eventJson(event),
          cells: () => eventCells(event),
        })),
      };
    case "audit":
      return {
        columns: AUDIT_COLUMNS,
        rows: mapRows(scanAudit(db, { from: filter.from, to: filter.to }), (row: AuditLogRow) => ({
          json: () => JSON.stringify(auditView(row)),
          cells: () => auditCells(row),
        })),
      };
    case "notifications":
      return objects("notifications", mapRows(scanNotifications(db, filter), viewOfNotification));
    case "rules":
      return objects("rules", ruleObjects(db, wish, filter.projectId));
    case "users":
      return objects("users", userObjects(db, wish));
  }
}

function viewOfNotification(row: ScannedNotification): Record<string, unknown> {
  return notificationView(row, { ...row, delivered: row.recipientDelivered }, null, noSoundUrl);
}

/** A link would be dead before anybody reads the file. */
const noSoundUrl = (): null => null;

type ScannedNotification = ReturnType<typeof scanNotifications> extends AsyncGenerator<infer Row> ? Row : never;

async function* ruleObjects(db: ReadDb, wish: ExportWish, projectId: string | undefined) {
  const everything = { projectIds: null, withGlobal: true, active: undefined, q: undefined, createdBy: undefined };
  const roles = await roleNames(db);
  const filter = { ...everything, projectId, roleId: undefined };
  for (const rule of await allRules(db, filter, { field: "createdAt", descending: false })) {
    if (isSelected(wish, rule.createdAt)) yield ruleView(rule, roles, noSoundUrl);
  }
}

async function* userObjects(db: ReadDb, wish: ExportWish) {
  for (const user of await listUsers(db)) {
    if (isSelected(wish, parseRfc3339(user.createdAt) ?? 0)) yield user;
  }
}

function objects(
  kind: keyof typeof OBJECT_COLUMNS,
  values: AsyncIterable<Readonly<Record<string, unknown>>>,
): Omit<RowSource, "close"> {
  const columns = OBJECT_COLUMNS[kind];
  return { columns, rows: mapRows(values, (value) => objectRow(value, columns)) };
}

async function* mapRows<T, R>(rows: AsyncIterable<T>, map: (row: T) => R): AsyncIterable<R> {
  for await (const row of rows) yield map(row);
}
