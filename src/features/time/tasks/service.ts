import { sql } from "kysely";
import type { PermissionHolder, UserPrincipal } from "../../../core/caller.ts";
import { sha256Hex } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { isUuid, uuidv7 } from "../../../core/ids.ts";
import type { AnswerOf } from "../../../http/api/resource.ts";
import { jsonOf } from "../../../http/api/route.ts";
import { isFarPage, type PageBody, type PageRequest, pageBody, readPage } from "../../../http/api/shapes.ts";
import { requireVersion, tagOf } from "../../../http/body/negotiation.ts";
import { missingPermission, requireAccount } from "../../../http/server/access.ts";
import type { Context } from "../../../module/feature.ts";
import { addEffect, insertLater, type ReadDb, type Trx, updateLater } from "../../../store/database.ts";
import {
  bytesOf,
  countOf,
  type FittingRows,
  fittingRows,
  holdsText,
  type RowBytes,
} from "../../../store/sqlite/list-queries.ts";
import { type KeptAnswer, keptAnswer } from "../../access/index.ts";
import {
  type CreateTask,
  type ListTasks,
  MAX_TASKS,
  type SortField,
  Task,
  type TaskRow,
  type UpdateTask,
} from "./schema.ts";

export type TasksContext = Context<"users" | "reads" | "realtime">;

interface TaskFilter {
  readonly userId: string;
  readonly status: readonly TaskRow["status"][] | undefined;
  readonly priority: number | undefined;
  readonly q: string | undefined;
}

interface TaskSort {
  readonly field: SortField;
  readonly descending: boolean;
}

/** Sorts a task without a due date last. */
const NEVER = Number.MAX_SAFE_INTEGER;

/** Whether an index gives these tasks in this order; otherwise all of the user may be read. */
function isIndexed({ status, priority, q }: TaskFilter, { field }: TaskSort): boolean {
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

function taskRows(db: ReadDb, filter: TaskFilter, sort: TaskSort, page: PageRequest): Promise<FittingRows<TaskRow>> {
  const column = sort.field === "dueAt" ? sql<number>`ifnull("dueAt", ${NEVER})` : sql.ref(sort.field);
  const direction = sort.descending ? "desc" : "asc";
  let query = filtered(db, filter).selectAll();
  if (page.after) {
    const [value, id] = page.after;
    // As row values, which SQLite finds through the index (sqlite.org/rowvalue.html, section 3.1).
    query = query.where(
      sort.descending
        ? sql<boolean>`(${column}, "id") < (${value}, ${id})`
        : sql<boolean>`(${column}, "id") > (${value}, ${id})`,
    );
  }
  const ordered = query.orderBy(column, direction).orderBy("id", direction).offset(page.offset);
  return fittingRows(ordered, page.limit + 1, TASK_BYTES);
}

function positionOf(row: TaskRow, { field }: TaskSort): readonly (string | number)[] {
  return [row[field] ?? NEVER, row.id];
}

function replaceTask(trx: Trx, { id, ...columns }: TaskRow): void {
  updateLater(trx, "tasks", id, columns);
}

type TaskView = AnswerOf<typeof Task>;
type KeptTask = KeptAnswer<TaskView>;
type KeptPage = KeptAnswer<PageBody<TaskView>>;
type TaskChange = "TASK_CREATED" | "TASK_UPDATED" | "TASK_DELETED";

// A task belongs to one user, who alone changes it. A task and its entry in the stream
// `tasks:<userId>` share a transaction. Reads are cached by owner (`OwnerCache`); searches are not,
// because they are rarely repeated.

/** A page of tasks, newest first. @throws UNAUTHORIZED_ROLE, USER_NOT_FOUND, INVALID_CURSOR */
export function listTasks(
  context: TasksContext,
  principal: PermissionHolder,
  { userId: ref = "me", ...query }: ListTasks,
): Promise<KeptPage> {
  const userId = requireOwner(context, principal, ref);
  const sort = readSort(query.sort ?? "-createdAt");
  const load = () =>
    taskPage(context, { userId, status: query.status, priority: query.priority, q: query.q }, sort, query);
  if (query.q !== undefined) return load();
  const { status, priority, limit, page, offset, cursor } = query;
  const key = JSON.stringify([status, priority, sort, limit, page, offset, cursor]);
  return context.reads.tasks.read(`tasks:${userId}:${key}`, load);
}

/** @throws UNAUTHORIZED_ROLE, TASK_NOT_FOUND, also for a task that the caller may not see */
export async function getTask(context: TasksContext, principal: PermissionHolder, id: string): Promise<KeptTask> {
  const { permissions } = principal;
  if (!permissions.has("tasks:own") && !permissions.has("tasks:all")) throw missingPermission("tasks:own");
  const { reads } = context;
  const found = isUuid(id) ? await reads.tasks.read(`task:${id}`, () => keptTask(context, id)) : undefined;
  if (!found || !maySee(principal, found.ownerId)) throw noSuchTask();
  return found;
}

export async function createTask(
  context: TasksContext,
  principal: UserPrincipal,
  input: CreateTask,
  trx: Trx,
): Promise<TaskRow> {
  const { clock, storage } = context;
  storage.requireSpace();
  const now = clock.now();
  const task = Task.newRow(input, { id: uuidv7(), userId: principal.userId, createdAt: now, updatedAt: now });
  insertLater(trx, "tasks", task);
  await announce(context, "TASK_CREATED", task, trx);
  return task;
}

/** @throws TASK_NOT_FOUND, FORBIDDEN for a task that the caller may only read, VERSION_CONFLICT */
export function updateTask(
  context: TasksContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdateTask,
): Promise<TaskRow> {
  const { db, clock, storage } = context;
  storage.requireSpace();
  return db.write(
    async (trx) => {
      const old = await requireOwn(principal, id, trx);
      requireVersion(ifMatch, old.version);
      const task = { ...old, ...Task.columns(input), version: old.version + 1, updatedAt: clock.now() };
      replaceTask(trx, task);
      await announce(context, "TASK_UPDATED", task, trx);
      return task;
    },
    { sharesCommit: true },
  );
}

/** A soft delete: the row stays hidden. @throws TASK_NOT_FOUND, FORBIDDEN */
export async function deleteTask(context: TasksContext, principal: PermissionHolder, id: string): Promise<void> {
  const { db, clock } = context;
  await db.write(
    async (trx) => {
      const task = await requireOwn(principal, id, trx);
      replaceTask(trx, { ...task, deletedAt: clock.now() });
      await announce(context, "TASK_DELETED", task, trx);
    },
    { sharesCommit: true },
  );
}

/** @param task its current state; for a deletion, its last one. */
async function announce(context: TasksContext, change: TaskChange, task: TaskRow, trx: Trx): Promise<void> {
  const { realtime } = context;
  // Before the entry is published: a reader who reacts to it must not get a cached answer.
  addEffect(trx, { type: "answers-changed", of: "tasks", userId: task.userId });
  await realtime.publish(`tasks:${task.userId}`, change, Task.view(task), { trx });
}

async function taskPage(
  context: TasksContext,
  filter: TaskFilter,
  sort: TaskSort,
  query: ListTasks,
): Promise<KeptPage> {
  const { db } = context;
  const request = readPage(query, [sort.field === "title" ? "string" : "number", "string"], MAX_TASKS);
  const source = isIndexed(filter, sort) && !isFarPage(request) ? db.read : db.scan;
  const { rows, isCut } = await taskRows(source, filter, sort, request);
  const isAll = request.after === null && request.offset === 0 && rows.length <= request.limit && !isCut;
  const total = isAll ? rows.length : await countOf(filtered(db.scan, filter));
  const body = pageBody(
    { ...request, isCut },
    rows,
    (row) => Task.view(row),
    (row) => positionOf(row, sort),
    total,
  );
  const json = jsonOf(body);
  return keptAnswer(filter.userId, json, `"${sha256Hex(json).slice(0, 32)}"`);
}

async function keptTask(context: TasksContext, id: string): Promise<KeptTask | undefined> {
  const task = await Task.find(context.db.read, id);
  return task && keptAnswer(task.userId, jsonOf(Task.view(task)), tagOf(task.version));
}

async function requireOwn(principal: PermissionHolder, id: string, trx: Trx): Promise<TaskRow> {
  const { userId } = requireAccount(principal);
  const task = await Task.find(trx, id);
  if (!task || !maySee(principal, task.userId)) throw noSuchTask();
  if (task.userId !== userId) throw new PrismError("FORBIDDEN", "Only the task's owner may change it");
  return task;
}

/** @throws UNAUTHORIZED_ROLE for another user's tasks without the permission, USER_NOT_FOUND */
function requireOwner(context: TasksContext, { userId, permissions }: PermissionHolder, ref: string): string {
  const ownerId = context.users.findAny(ref);
  if (ownerId !== userId && !permissions.has("tasks:all")) throw missingPermission("tasks:all");
  if (ownerId === undefined) throw new PrismError("USER_NOT_FOUND", "No such user");
  return ownerId;
}

function maySee({ userId, permissions }: PermissionHolder, ownerId: string): boolean {
  return permissions.has("tasks:all") || (ownerId === userId && permissions.has("tasks:own"));
}

function noSuchTask(): PrismError {
  return new PrismError("TASK_NOT_FOUND", "No such task");
}

function readSort(sort: string): TaskSort {
  return { field: sort.replace("-", "") as SortField, descending: sort.startsWith("-") };
}
