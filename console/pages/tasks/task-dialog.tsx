import type { CreateTask, Task } from "../../../src/client/api-types.gen.ts";
import { Fields } from "../../forms/fields.tsx";
import { task } from "../../forms/task.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Dialog } from "../../ui/index.ts";

export const STATUS = {
  TODO: { tone: "warn", text: "to do" },
  IN_PROGRESS: { tone: "info", text: "in progress" },
  DONE: { tone: "ok", text: "done" },
  CANCELLED: { tone: "plain", text: "cancelled" },
} as const;

const WORDS = Object.fromEntries(Object.entries(STATUS).map(([value, { text }]) => [value, text]));

/** @param known undefined: a new one */
export function TaskDialog({ known }: { readonly known?: Task }) {
  const form = useResource<CreateTask, Task>(task, { stored: known });
  const save = async () => (await form.send()) !== undefined;
  return (
    <Dialog title={known ? "Change the task" : "New task"} onSubmit={save} action="Save">
      <Fields
        of={form}
        show={[
          { name: "title", autoFocus: true },
          { name: "description", rows: 4 },
        ]}
      />
      <div class="grid3">
        <Fields of={form} show={[{ name: "status", words: WORDS }, "priority", { name: "dueAt", hint: "" }]} />
      </div>
    </Dialog>
  );
}
