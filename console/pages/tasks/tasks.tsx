import type { Task } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useFilters } from "../../app/filters.ts";
import { useStream } from "../../app/live.ts";
import { useList } from "../../app/query.ts";
import {
  Badge,
  type Column,
  DataTable,
  EmptyState,
  NewButton,
  openDialog,
  optionsOf,
  Page,
  plural,
  SearchInput,
  Select,
  Time,
  Toolbar,
  toast,
  UserText,
} from "../../ui/index.ts";
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

function Due({ task: { dueAt, status } }: { readonly task: Task }) {
  const isOpen = status === "TODO" || status === "IN_PROGRESS";
  const isLate = isOpen && dueAt !== null && Date.parse(dueAt) < Date.now();
  return (
    <span class={isLate ? "text-bad" : ""}>
      <Time at={dueAt} empty="no date" />
    </span>
  );
}

const STATUS_OPTIONS = optionsOf("Any status", STATUS);

/** The user's own tasks. */
export default function Tasks() {
  const filters = useFilters({ q: "", status: "" });
  const list = useList<Task>("/tasks", { ...filters.values, limit: 50 });
  useStream("tasks:me", list.reload, list.reload);
  const open = list.items?.filter((task) => task.status === "TODO" || task.status === "IN_PROGRESS").length ?? 0;
  const finish = async (task: Task) => {
    await api.patch(`/tasks/${task.id}`, { status: "DONE" });
    const undo = async () => {
      await api.patch(`/tasks/${task.id}`, { status: task.status });
      list.reload();
    };
    toast.ok("The task is done.", { undo });
    list.reload();
  };
  const remove = async (task: Task) => {
    await confirmDelete(`/tasks/${task.id}`, { title: "Delete this task?", text: task.title }, list.reload);
  };
  const add = <NewButton onClick={() => openDialog(<TaskDialog onSaved={list.reload} />)}>New task</NewButton>;
  const { isFiltered } = filters;
  return (
    <Page
      title="Tasks"
      subtitle={open === 0 ? "Nothing is open here." : `${plural(open, "task is", "tasks are")} open.`}
      actions={add}
    >
      <Toolbar>
        <SearchInput {...filters.bind("q")} placeholder="Title or description" label="Search tasks" />
        <Select {...filters.bind("status")} options={STATUS_OPTIONS} label="Status" />
      </Toolbar>
      <DataTable<Task>
        label="Tasks"
        list={list}
        columns={COLUMNS}
        onOpen={(task) => openDialog(<TaskDialog known={task} onSaved={list.reload} />)}
        rowActions={(task) => [
          (task.status === "TODO" || task.status === "IN_PROGRESS") && { label: "Done", onSelect: () => finish(task) },
          { label: "Delete", onSelect: () => remove(task), variant: "quiet" },
        ]}
        empty={
          <EmptyState
            title={isFiltered ? "No task matches" : "You have no task"}
            text={isFiltered ? "Change the search or the status." : "Tasks also come from programs, over the API."}
            action={isFiltered ? undefined : add}
          />
        }
      />
    </Page>
  );
}
