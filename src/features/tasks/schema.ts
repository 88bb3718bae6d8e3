import * as v from "valibot";
import { pageEntries } from "../../http/pagination.ts";
import { instant, integer, named, object, queryInteger, queryList, text } from "../../http/shapes.ts";

export const STATUSES = ["TODO", "IN_PROGRESS", "DONE", "CANCELLED"] as const;

const MAX_PRIORITY = 1000;
/**
 * Tasks of one answer: as many as most people have, so that a client which asks without a page has
 * them all.
 */
export const MAX_TASKS = 1000;
const status = v.picklist(STATUSES, `must be one of ${STATUSES.join(", ")}`);

const entries = {
  title: text(255, 1),
  description: v.optional(text(10_000)),
  status: v.optional(status),
  priority: v.optional(v.pipe(integer(0, MAX_PRIORITY), v.description("The larger, the more urgent; 0 unless said"))),
  dueAt: v.optional(v.nullable(instant)),
};

export const CreateTask = object(entries);
export type CreateTask = v.InferOutput<typeof CreateTask>;

export const UpdateTask = object({ ...entries, title: v.optional(entries.title) });
export type UpdateTask = v.InferOutput<typeof UpdateTask>;

const SORTS = ["createdAt", "updatedAt", "dueAt", "priority", "title"] as const;
export type SortField = (typeof SORTS)[number];

export const ListTasks = object({
  status: v.optional(queryList(status)),
  priority: v.optional(queryInteger(0, MAX_PRIORITY)),
  q: v.optional(v.pipe(text(100, 1), v.description("Stands in the title or the description"))),
  userId: v.optional(v.pipe(text(128, 1), v.description("Whose; another's needs tasks:all"))),
  sort: v.optional(v.picklist(SORTS.flatMap((field) => [field, `-${field}` as const]))),
  ...pageEntries(MAX_TASKS),
});
export type ListTasks = v.InferOutput<typeof ListTasks>;

export const TaskParams = object({ id: v.string() });

export const TaskView = named(
  "Task",
  v.object({
    id: v.string(),
    userId: v.string(),
    title: v.string(),
    description: v.string(),
    status: v.picklist(STATUSES),
    priority: v.number(),
    dueAt: v.nullable(v.string()),
    version: v.number(),
    createdAt: v.string(),
    updatedAt: v.string(),
  }),
);
