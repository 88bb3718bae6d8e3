import { useState } from "preact/hooks";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useProjects } from "../../app/projects.ts";
import { invalidate } from "../../app/query.ts";
import { Dialog, Field, Input, Select, Textarea, toast } from "../../ui/index.ts";
import { LEVELS } from "./event-types.ts";

const EXAMPLE = `{
  "message": "Hello from the console"
}`;

/** Sends an event as a program would, to see what the rules make of it. */
export function SendDialog() {
  const projects = useProjects();
  const [type, setType] = useState("test.hello");
  const [level, setLevel] = useState("info");
  const [source, setSource] = useState("console");
  const [project, setProject] = useState("");
  const [payload, setPayload] = useState(EXAMPLE);
  const parsed = parseObject(payload);
  const send = async () => {
    const body = { type, level, payload: parsed, ...(source === "" ? {} : { source }) };
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
      blocked={!parsed || type === ""}
    >
      <div class="stack">
        <Field label="Type" hint="A dotted name, such as payment.failed" required>
          <Input value={type} onChange={setType} mono maxLength={100} autoFocus />
        </Field>
        <div class="grid2">
          <Field label="Level">
            <Select value={level} onChange={setLevel} options={LEVELS.map((value) => ({ value, label: value }))} />
          </Field>
          <Field label="Source" optional>
            <Input value={source} onChange={setSource} maxLength={100} />
          </Field>
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
