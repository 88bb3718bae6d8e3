import { type Selectable, sql } from "kysely";
import type { PageRequest } from "../../http/pagination.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { TaskStatus, TasksTable } from "../../store/schema.ts";
import {
  bytesOf,
  countOf,
  type FittingRows,
  fittingRows,
  holdsText,
  type RowBytes,
} from "../../store/sqlite/list-queries.ts";
import type { SortField } from "./schema.ts";

export type TaskRow = Selectable<TasksTable>;

export interface TaskFilter {
  readonly userId: string;
  readonly status: readonly TaskStatus[] | undefined;
  readonly priority: number | undefined;
  readonly q: string | undefined;
}

export interface TaskSort {
  readonly field: SortField;
  readonly descending: boolean;
}

/** Where a task without a due date stands among the others. */
const NEVER = Number.MAX_SAFE_INTEGER;

/** Whether an index gives these tasks in this order: for anything else all tasks of the user may have to be looked at. */
export function isIndexed({ status, priority, q }: TaskFilter, { field }: TaskSort): boolean {
  if (priority !== undefined || q !== undefined) return false;
  if (status === undefined) return field === "createdAt" || field === "updatedAt";
  return status.length === 1 && field === "priority";
}

function filtered(db: ReadDb, { userId, status, priority, q }: TaskFilter) {
  let query = db.selectFrom("tasks").where("userId", "=", userId).where("deletedAt", "is", null);
  if (status !== undefined) query = query.where("status", "in", status);
  if (priority !== undefined) query = query.where("priority", "=", priority);
  if (q !== undefined) query = query.where((e) => e.or([holdsText("title", q), holdsText("description", q)]));
  return query;
}

/** A title of 255 and a description of 10 000 characters. */
const TASK_BYTES: RowBytes = { bytes: bytesOf("title", "description"), largest: 41_020 };

/** A page of tasks and the first of the next one. */
export function listTasks(
  db: ReadDb,
  filter: TaskFilter,
  sort: TaskSort,
  page: PageRequest,
): Promise<FittingRows<TaskRow>> {
  const column = sort.field === "dueAt" ? sql<number>`ifnull("dueAt", ${NEVER})` : sql.ref(sort.field);
  const direction = sort.descending ? "desc" : "asc";
  let query = filtered(db, filter).selectAll();
  if (page.after) {
    const [value, id] = page.after;
    // As row values, for which SQLite goes to the place in the index (sqlite.org/rowvalue.html, section 3.1).
    query = query.where(
      sort.descending
        ? sql<boolean>`(${column}, "id") < (${value}, ${id})`
        : sql<boolean>`(${column}, "id") > (${value}, ${id})`,
    );
  }
  const ordered = query.orderBy(column, direction).orderBy("id", direction).offset(page.offset);
  return fittingRows(ordered, page.limit + 1, TASK_BYTES);
}

/** What a cursor is made of. */
export function positionOf(row: TaskRow, { field }: TaskSort): readonly (string | number)[] {
  return [row[field] ?? NEVER, row.id];
}

export function countTasks(db: ReadDb, filter: TaskFilter): Promise<number> {
  return countOf(filtered(db, filter));
}

export function findTask(db: ReadDb | Trx, id: string): Promise<TaskRow | undefined> {
  return db.selectFrom("tasks").selectAll().where("id", "=", id).where("deletedAt", "is", null).executeTakeFirst();
}

export async function insertTask(trx: Trx, row: TaskRow): Promise<void> {
  await trx.insertInto("tasks").values(row).execute();
}

/** Writes a task as it is now. */
export async function replaceTask(trx: Trx, { id, ...columns }: TaskRow): Promise<void> {
  await trx.updateTable("tasks").set(columns).where("id", "=", id).execute();
}
