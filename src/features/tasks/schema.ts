import * as v from "valibot";
import { pageEntries } from "../../http/pagination.ts";
import { doc, example, instant, integer, named, object, queryInteger, queryList, text } from "../../http/shapes.ts";

export const STATUSES = ["TODO", "IN_PROGRESS", "DONE", "CANCELLED"] as const;

const MAX_PRIORITY = 1000;
/** Tasks of one answer: as many as most people have, so that most clients need no page. */
export const MAX_TASKS = 1000;
const status = doc(v.picklist(STATUSES, `must be one of ${STATUSES.join(", ")}`), "Default `TODO`");

const entries = {
  title: doc(text(255, 1), "Title"),
  description: v.optional(doc(text(10_000), "Description")),
  status: v.optional(status),
  priority: v.optional(doc(integer(0, MAX_PRIORITY), "Higher is more urgent; default 0")),
  dueAt: v.optional(doc(v.nullable(instant), "Due time")),
};

export const CreateTask = example(object(entries), { title: "Replace the disk of db-2", priority: 500 });
export type CreateTask = v.InferOutput<typeof CreateTask>;

export const UpdateTask = example(object({ ...entries, title: v.optional(entries.title) }), { status: "DONE" });
export type UpdateTask = v.InferOutput<typeof UpdateTask>;

const SORTS = ["createdAt", "updatedAt", "dueAt", "priority", "title"] as const;
export type SortField = (typeof SORTS)[number];

export const ListTasks = object({
  status: v.optional(doc(queryList(status), "States, separated by commas")),
  priority: v.optional(doc(queryInteger(0, MAX_PRIORITY), "Only this priority")),
  q: v.optional(doc(text(100, 1), "Part of the title or the description")),
  userId: v.optional(doc(text(128, 1), "Owner; another user needs `tasks:all`")),
  sort: v.optional(doc(v.picklist(SORTS.flatMap((field) => [field, `-${field}` as const])), "Order; `-` descends")),
  ...pageEntries(MAX_TASKS, MAX_TASKS),
});
export type ListTasks = v.InferOutput<typeof ListTasks>;

export const TaskParams = object({ id: doc(v.string(), "Id of the task") });

export const TaskView = named(
  "Task",
  "A task",
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
