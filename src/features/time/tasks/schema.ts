import * as v from "valibot";
import { column, given, orNull, type RowOf, resource, stored, time } from "../../../http/api/resource.ts";
import {
  doc,
  example,
  instant,
  integer,
  object,
  pageEntries,
  queryInteger,
  queryList,
  text,
} from "../../../http/api/shapes.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    tasks: TaskRow;
  }
}

const STATUSES = ["TODO", "IN_PROGRESS", "DONE", "CANCELLED"] as const;

const MAX_PRIORITY = 1000;
/** Tasks of one answer: as many as most people have, so that most clients need no page. */
export const MAX_TASKS = 1000;
const STATUS = "Default `TODO`";
const status = v.picklist(STATUSES, `must be one of ${STATUSES.join(", ")}`);

/** A task of a user. */
export const Task = resource("Task", "A task", "tasks", () => ({
  id: stored(v.string()),
  userId: stored(v.string()),
  title: given(text(255, 1), "Title"),
  description: given(text(10_000), "Description").or(""),
  status: given(status, STATUS).or("TODO"),
  priority: given(integer(0, MAX_PRIORITY), "Higher is more urgent; default 0").or(0),
  dueAt: given(v.nullable(instant), "Due time", orNull(time)).or(null),
  version: stored(v.number()).or(1),
  createdAt: stored(v.string(), time),
  updatedAt: stored(v.string(), time),
  deletedAt: column(v.nullable(v.number())).or(null),
}));
export type TaskRow = RowOf<typeof Task>;

export const CreateTask = () => example(object(Task.forCreate), { title: "Replace the disk of db-2", priority: 500 });
export type CreateTask = v.InferOutput<ReturnType<typeof CreateTask>>;

export const UpdateTask = () => example(object(Task.forUpdate), { status: "DONE" });
export type UpdateTask = v.InferOutput<ReturnType<typeof UpdateTask>>;

const SORTS = ["createdAt", "updatedAt", "dueAt", "priority", "title"] as const;
export type SortField = (typeof SORTS)[number];

export const ListTasks = object({
  status: v.optional(doc(queryList(doc(status, STATUS)), "States, separated by commas")),
  priority: v.optional(doc(queryInteger(0, MAX_PRIORITY), "Only this priority")),
  q: v.optional(doc(text(100, 1), "Part of the title or the description")),
  userId: v.optional(doc(text(128, 1), "Owner; another user needs `tasks:all`")),
  sort: v.optional(doc(v.picklist(SORTS.flatMap((field) => [field, `-${field}` as const])), "Order; `-` descends")),
  ...pageEntries(MAX_TASKS, MAX_TASKS),
});
export type ListTasks = v.InferOutput<typeof ListTasks>;

export const TaskParams = object({ id: doc(v.string(), "Id of the task") });
