import { type Clock, toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid, uuidv7 } from "../../core/ids.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import { sha256Hex } from "../../core/tokens.ts";
import { missingPermission } from "../../http/access.ts";
import type { Idempotency } from "../../http/idempotency.ts";
import { requireVersion, tagOf } from "../../http/negotiation.ts";
import { isFarPage, pageBody, readPage } from "../../http/pagination.ts";
import type { CoreServices } from "../../module/module-api.ts";
import { addEffect, type Database, type Trx } from "../../store/database.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import { type KeptAnswer, keptAnswer, type ReadCaches, type UserDirectory } from "../access/index.ts";
import * as queries from "./queries.ts";
import { type CreateTask, type ListTasks, MAX_TASKS, type SortField, type UpdateTask } from "./schema.ts";

/** What the feature needs besides the services of every module. */
export interface TasksOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly users: UserDirectory;
  readonly reads: ReadCaches;
  readonly storage: StorageGuard;
  readonly idempotency: Idempotency;
}

export type TasksContext = TasksOwn & Pick<CoreServices, "realtime">;

type TaskChange = "TASK_CREATED" | "TASK_UPDATED" | "TASK_DELETED";

// A task belongs to one user, who alone changes it. A task and its entry in the stream `tasks:<userId>` are one transaction. Reads are cached by
// owner (`OwnerCache`); searches are not, since the same search is rarely repeated.

/** A page of somebody's tasks, newest first unless the query says otherwise. @throws UNAUTHORIZED_ROLE, USER_NOT_FOUND, INVALID_CURSOR */
export function listTasks(
  context: TasksContext,
  principal: UserPrincipal,
  { userId: ref = "me", ...query }: ListTasks,
): Promise<KeptAnswer> {
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
export async function getTask(context: TasksContext, principal: UserPrincipal, id: string): Promise<KeptAnswer> {
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
): Promise<queries.TaskRow> {
  const { clock, storage } = context;
  storage.requireSpace();
  const now = clock.now();
  const task: queries.TaskRow = {
    id: uuidv7(),
    userId: principal.userId,
    title: input.title,
    description: input.description ?? "",
    status: input.status ?? "TODO",
    priority: input.priority ?? 0,
    dueAt: input.dueAt ?? null,
    version: 1,
    deletedAt: null,
    createdAt: now,
    updatedAt: now,
  };
  await queries.insertTask(trx, task);
  await announce(context, "TASK_CREATED", task, trx);
  return task;
}

/** @throws TASK_NOT_FOUND, FORBIDDEN for a task that the caller may see only, VERSION_CONFLICT */
export function updateTask(
  context: TasksContext,
  principal: UserPrincipal,
  id: string,
  ifMatch: string,
  input: UpdateTask,
): Promise<queries.TaskRow> {
  const { db, clock, storage } = context;
  storage.requireSpace();
  return db.write(
    async (trx) => {
      const old = await requireOwn(principal, id, trx);
      requireVersion(ifMatch, old.version);
      const task: queries.TaskRow = {
        ...old,
        title: input.title ?? old.title,
        description: input.description ?? old.description,
        status: input.status ?? old.status,
        priority: input.priority ?? old.priority,
        dueAt: input.dueAt === undefined ? old.dueAt : input.dueAt,
        version: old.version + 1,
        updatedAt: clock.now(),
      };
      await queries.replaceTask(trx, task);
      await announce(context, "TASK_UPDATED", task, trx);
      return task;
    },
    { sharesCommit: true },
  );
}

/** A soft delete: the row stays, nobody is shown it again. @throws TASK_NOT_FOUND, FORBIDDEN */
export async function deleteTask(context: TasksContext, principal: UserPrincipal, id: string): Promise<void> {
  const { db, clock } = context;
  await db.write(
    async (trx) => {
      const task = await requireOwn(principal, id, trx);
      await queries.replaceTask(trx, { ...task, deletedAt: clock.now() });
      await announce(context, "TASK_DELETED", task, trx);
    },
    { sharesCommit: true },
  );
}

/** @param task as it is now; of a deletion, as it was last. */
async function announce(context: TasksContext, change: TaskChange, task: queries.TaskRow, trx: Trx): Promise<void> {
  const { realtime } = context;
  // Before the entry goes out: whoever hears of the change and reads at once must not be given what was kept.
  addEffect(trx, { type: "answers-changed", of: "tasks", userId: task.userId });
  await realtime.publish(`tasks:${task.userId}`, change, taskView(task), { trx });
}

async function taskPage(
  context: TasksContext,
  filter: queries.TaskFilter,
  sort: queries.TaskSort,
  query: ListTasks,
): Promise<KeptAnswer> {
  const { db } = context;
  const request = readPage(query, positionOf(sort), MAX_TASKS);
  const source = queries.isIndexed(filter, sort) && !isFarPage(request) ? db.read : db.scan;
  const { rows, isCut } = await queries.listTasks(source, filter, sort, request);
  const isAll = request.after === null && request.offset === 0 && rows.length <= request.limit && !isCut;
  const total = isAll ? rows.length : await queries.countTasks(db.scan, filter);
  const body = pageBody({ ...request, isCut }, rows, taskView, (row) => queries.positionOf(row, sort), total);
  const json = JSON.stringify(body);
  return keptAnswer(filter.userId, json, `"${sha256Hex(json).slice(0, 32)}"`);
}

async function keptTask(context: TasksContext, id: string): Promise<KeptAnswer | undefined> {
  const task = await queries.findTask(context.db.read, id);
  return task && keptAnswer(task.userId, JSON.stringify(taskView(task)), tagOf(task.version));
}

async function requireOwn(principal: UserPrincipal, id: string, trx: Trx): Promise<queries.TaskRow> {
  const task = isUuid(id) ? await queries.findTask(trx, id) : undefined;
  if (!task || !maySee(principal, task.userId)) throw noSuchTask();
  if (task.userId !== principal.userId) throw new PrismError("FORBIDDEN", "Only the task's owner may change it");
  return task;
}

/** @throws UNAUTHORIZED_ROLE for somebody else's tasks without the right to read them, USER_NOT_FOUND */
function requireOwner(context: TasksContext, { userId, permissions }: UserPrincipal, ref: string): string {
  const ownerId = context.users.findAny(ref);
  if (ownerId === userId) return userId;
  if (!permissions.has("tasks:all")) throw missingPermission("tasks:all");
  if (ownerId === undefined) throw new PrismError("USER_NOT_FOUND", "No such user");
  return ownerId;
}

export function taskView(task: queries.TaskRow) {
  return {
    id: task.id,
    userId: task.userId,
    title: task.title,
    description: task.description,
    status: task.status,
    priority: task.priority,
    dueAt: toRfc3339OrNull(task.dueAt),
    version: task.version,
    createdAt: toRfc3339(task.createdAt),
    updatedAt: toRfc3339(task.updatedAt),
  };
}

function maySee({ userId, permissions }: UserPrincipal, ownerId: string): boolean {
  return permissions.has("tasks:all") || (ownerId === userId && permissions.has("tasks:own"));
}

function noSuchTask(): PrismError {
  return new PrismError("TASK_NOT_FOUND", "No such task");
}

function readSort(sort: string): queries.TaskSort {
  return { field: sort.replace("-", "") as SortField, descending: sort.startsWith("-") };
}

/** The types of what a cursor of this order is made of. */
function positionOf({ field }: queries.TaskSort): readonly ["number" | "string", "string"] {
  return [field === "title" ? "string" : "number", "string"];
}
