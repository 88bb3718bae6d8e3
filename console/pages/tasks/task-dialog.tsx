import { useEffect, useState } from "preact/hooks";
import type { Task } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { DateTimeInput, Dialog, Field, Input, Select, Textarea } from "../../ui/index.ts";

export const STATUS = {
  TODO: { tone: "warn", text: "to do" },
  IN_PROGRESS: { tone: "info", text: "in progress" },
  DONE: { tone: "ok", text: "done" },
  CANCELLED: { tone: "plain", text: "cancelled" },
} as const;

interface Props {
  /** Undefined: closed. */
  readonly task: Task | "new" | undefined;
  readonly onClose: () => void;
  readonly onSaved: () => void;
}

export function TaskDialog({ task, onClose, onSaved }: Props) {
  const known = task === "new" ? undefined : task;
  const [title, setTitle] = useState("");
  const [description, setDescription] = useState("");
  const [status, setStatus] = useState<string>("TODO");
  const [priority, setPriority] = useState("0");
  const [dueAt, setDueAt] = useState("");
  useEffect(() => {
    setTitle(known?.title ?? "");
    setDescription(known?.description ?? "");
    setStatus(known?.status ?? "TODO");
    setPriority(String(known?.priority ?? 0));
    setDueAt(known?.dueAt ?? "");
  }, [task]);
  const save = async () => {
    const body = { title, description, status, priority: Number(priority), dueAt: dueAt === "" ? null : dueAt };
    if (known) await api.put(`/tasks/${known.id}`, body);
    else await api.post("/tasks", body);
    onSaved();
    onClose();
  };
  return (
    <Dialog
      open={task !== undefined}
      onClose={onClose}
      title={known ? "Change the task" : "New task"}
      onSubmit={save}
      action="Save"
    >
      <Field label="Title" required>
        <Input value={title} onChange={setTitle} maxLength={255} autoFocus />
      </Field>
      <Field label="Description" optional>
        <Textarea value={description} onChange={setDescription} rows={4} />
      </Field>
      <div class="grid3">
        <Field label="Status">
          <Select
            value={status}
            onChange={setStatus}
            options={Object.entries(STATUS).map(([value, { text }]) => ({ value, label: text }))}
          />
        </Field>
        <Field label="Priority">
          <Input type="number" value={priority} onChange={setPriority} step={1} />
        </Field>
        <Field label="Due" optional>
          <DateTimeInput value={dueAt} onChange={setDueAt} />
        </Field>
      </div>
    </Dialog>
  );
}
