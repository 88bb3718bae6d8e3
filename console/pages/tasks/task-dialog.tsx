import { useState } from "preact/hooks";
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
  /** Undefined: a new one. */
  readonly known?: Task;
  readonly onSaved: () => void;
}

export function TaskDialog({ known, onSaved }: Props) {
  const [title, setTitle] = useState(known?.title ?? "");
  const [description, setDescription] = useState(known?.description ?? "");
  const [status, setStatus] = useState<string>(known?.status ?? "TODO");
  const [priority, setPriority] = useState(String(known?.priority ?? 0));
  const [dueAt, setDueAt] = useState(known?.dueAt ?? "");
  const save = async () => {
    const body = { title, description, status, priority: Number(priority), dueAt: dueAt === "" ? null : dueAt };
    if (known) await api.put(`/tasks/${known.id}`, body);
    else await api.post("/tasks", body);
    onSaved();
  };
  return (
    <Dialog title={known ? "Change the task" : "New task"} onSubmit={save} action="Save">
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
