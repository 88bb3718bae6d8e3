import { useState } from "preact/hooks";
import type { EventInput } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useProjects } from "../../app/projects.ts";
import { invalidate } from "../../app/query.ts";
import { event } from "../../forms/event.gen.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { editedOf } from "../../forms/use-resource.ts";
import { Dialog, Field, Select, Textarea, toast } from "../../ui/index.ts";
import { LEVELS } from "./event-types.ts";

const EXAMPLE = `{
  "message": "Hello from the console"
}`;

type Draft = Pick<EventInput, "type" | "level" | "source">;

const TYPE: readonly FieldOf<Draft>[] = [
  { name: "type", hint: "A dotted name, such as payment.failed", mono: true, autoFocus: true },
];
const LEVEL_AND_SOURCE: readonly FieldOf<Draft>[] = [
  { name: "level", hint: "", words: Object.fromEntries(LEVELS.map((level) => [level, level])) },
  { name: "source", hint: "" },
];

/** Sends an event as a program would, to see what the rules make of it. */
export function SendDialog() {
  const projects = useProjects();
  const [draft, setDraft] = useState<Draft>({ type: "test.hello", level: "info", source: "console" });
  const [project, setProject] = useState("");
  const [payload, setPayload] = useState(EXAMPLE);
  const edited = editedOf<Draft>(event, draft, (changes) => setDraft({ ...draft, ...changes } as Draft));
  const parsed = parseObject(payload);
  const send = async () => {
    const { source, ...rest } = draft;
    const body = { ...rest, payload: parsed, ...(source ? { source } : {}) };
    const chosen = project === "" ? {} : { projectId: project };
    const { id } = await api.post<{ id: string }>("/events", { ...body, ...chosen });
    invalidate("/events", "/stats");
    toast.ok("The event is stored.", { href: href(`/events/${id}`), linkText: "Show what happened" });
  };
  return (
    <Dialog
      title="Send a test event"
      subtitle="It is stored and evaluated like any other event."
      onSubmit={send}
      action="Send"
      blocked={!parsed || draft.type === ""}
    >
      <div class="stack">
        <Fields of={edited} show={TYPE} />
        <div class="grid2">
          <Fields of={edited} show={LEVEL_AND_SOURCE} />
        </div>
        {projects.length > 1 && (
          <Field label="Project">
            <Select
              value={project}
              onChange={setProject}
              options={[
                { value: "", label: "Default" },
                ...projects.map(({ id, name }) => ({ value: id, label: name })),
              ]}
            />
          </Field>
        )}
        <Field label="Payload" {...(parsed ? {} : { error: "This is not a JSON object." })}>
          <Textarea value={payload} onChange={setPayload} mono rows={7} />
        </Field>
      </div>
    </Dialog>
  );
}

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : null;
  } catch {
    return null;
  }
}
