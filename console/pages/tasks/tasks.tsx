import type { Task } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { searchFilter, selectFilter, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { useStream } from "../../app/live.ts";
import { invalidate } from "../../app/query.ts";
import { Badge, type Column, openDialog, optionsOf, plural, Time, toast, UserText } from "../../ui/index.ts";
import { STATUS, TaskDialog } from "./task-dialog.tsx";

const COLUMNS: readonly Column<Task>[] = [
  { label: "Task", cell: ({ title }) => <UserText>{title}</UserText>, card: "title", width: "wide" },
  {
    label: "Status",
    cell: ({ status }) => <Badge {...STATUS[status]} />,
    card: "aside",
  },
  { label: "Priority", cell: ({ priority }) => priority, align: "end", priority: 2 },
  { label: "Due", cell: (task) => <Due task={task} />, align: "end" },
];

function Due({ task }: { readonly task: Task }) {
  const { dueAt } = task;
  const isLate = isOpen(task) && dueAt !== null && Date.parse(dueAt) < Date.now();
  return (
    <span class={isLate ? "text-bad" : ""}>
      <Time at={dueAt} empty="no date" />
    </span>
  );
}

const FILTERS = {
  q: searchFilter("Search tasks", "Title or description"),
  status: selectFilter("Status", optionsOf("Any status", STATUS)),
};
const EMPTY = { title: "You have no task", text: "Tasks also come from programs, over the API." };

const isOpen = ({ status }: Task) => status === "TODO" || status === "IN_PROGRESS";

function subtitleOf(tasks: readonly Task[] = []): string {
  const open = tasks.filter(isOpen).length;
  return open === 0 ? "Nothing is open here." : `${plural(open, "task is", "tasks are")} open.`;
}

async function finish({ id, status }: Task): Promise<void> {
  const change = async (next: Task["status"]) => {
    await api.patch(`/tasks/${id}`, { status: next });
    invalidate("/tasks");
  };
  await change("DONE");
  toast.ok("The task is done.", { undo: () => change(status) });
}

async function remove({ id, title }: Task): Promise<void> {
  await confirmDelete(`/tasks/${id}`, { title: "Delete this task?", text: title }, () => invalidate("/tasks"));
}

/** The user's own tasks. */
export default function Tasks() {
  const list = useListOf<Task>("/tasks", FILTERS);
  useStream("tasks:me", list.reload, list.reload);
  return (
    <ListPage<Task>
      of={list}
      title="Tasks"
      subtitle={subtitleOf(list.items)}
      noun="task"
      columns={COLUMNS}
      make={() => <TaskDialog />}
      onOpen={(task) => openDialog(<TaskDialog known={task} />)}
      rowActions={(task) => [
        isOpen(task) && { label: "Done", onSelect: () => finish(task) },
        { label: "Delete", onSelect: () => remove(task), variant: "quiet" },
      ]}
      empty={EMPTY}
    />
  );
}
