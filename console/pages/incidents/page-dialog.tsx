import { useState } from "preact/hooks";
import type { Incident } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { memberFinder } from "../../app/members.ts";
import { canInProject } from "../../app/memberships.ts";
import { navigate } from "../../app/navigate.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { useGet } from "../../app/query.ts";
import {
  Button,
  choices,
  Dialog,
  Field,
  Input,
  MultiCombobox,
  openDialog,
  Select,
  Textarea,
  toast,
} from "../../ui/index.ts";
import { changed } from "./incident-actions.tsx";

const URGENCIES = choices({ high: "High: at once, also in quiet hours", low: "Low" });

/** Pages people without an alert, for those who may. */
export function PageButton() {
  if (canInProject("incidents:act") !== true) return null;
  return <Button onClick={() => openDialog(<PageDialog />)}>Page someone</Button>;
}

function PageDialog() {
  const [projectId, setProject] = useProjectOfNew();
  const [users, setUsers] = useState<readonly string[]>([]);
  const [title, setTitle] = useState("");
  const [message, setMessage] = useState("");
  const [urgency, setUrgency] = useState("high");
  const [policy, setPolicy] = useState("default");
  const policies = useGet<{ data: readonly { readonly name: string }[] }>(
    projectId === undefined ? null : "/policies",
    projectId === undefined ? {} : { projectId },
  );
  const names = policies.data?.data.map(({ name }) => name) ?? ["default"];
  const submit = async () => {
    const body = { projectId, users, title, message, urgency, policy };
    const { id, number } = await api.post<Incident>("/incidents", body);
    changed();
    toast.ok(`Incident ${number} pages them.`);
    navigate(`/incidents/${id}`);
  };
  const choose = (id: string) => {
    setProject(id);
    setUsers([]);
    setPolicy("default");
  };
  return (
    <Dialog
      title="Page someone"
      subtitle="It opens an incident without alerts. If no one acknowledges it for 10 minutes, its policy follows."
      onSubmit={submit}
      action="Page"
      blocked={users.length === 0 || title.trim() === ""}
    >
      <ProjectField value={projectId} onChange={choose} />
      <Field label="Who" required>
        <MultiCombobox
          values={users}
          onChange={setUsers}
          options={[]}
          load={memberFinder(projectId ?? "")}
          placeholder="Name"
        />
      </Field>
      <Field label="What" required>
        <Input value={title} onChange={setTitle} maxLength={255} placeholder="The shop is slow" />
      </Field>
      <Field label="Message" optional>
        <Textarea value={message} onChange={setMessage} rows={3} maxLength={3000} autoGrow />
      </Field>
      <div class="grid2">
        <Field label="Urgency">
          <Select value={urgency} onChange={setUrgency} options={URGENCIES} />
        </Field>
        <Field label="Then">
          <Select value={policy} onChange={setPolicy} options={names.map((name) => ({ value: name, label: name }))} />
        </Field>
      </div>
    </Dialog>
  );
}

const ASKS = {
  responders: {
    title: "Add responders",
    text: "They are paged now, besides those whom the policy notifies.",
    action: "Page them",
    done: "They are paged.",
  },
  reassign: {
    title: "Reassign",
    text: "They are paged now in place of those notified before. If no one acknowledges it for 10 minutes, the policy starts again.",
    action: "Reassign",
    done: "The incident is assigned to them.",
  },
} as const;

interface PeopleProps {
  readonly incident: Pick<Incident, "id" | "number" | "projectId">;
  readonly asking: keyof typeof ASKS;
}

/** Adds people to an incident, or gives it to them. */
export function PeopleDialog({ incident, asking }: PeopleProps) {
  const [users, setUsers] = useState<readonly string[]>([]);
  const [note, setNote] = useState("");
  const { title, text, action, done } = ASKS[asking];
  const submit = async () => {
    await api.post(`/incidents/${incident.id}/${asking}`, { users, ...(note.trim() === "" ? {} : { note }) });
    changed();
    toast.ok(done);
  };
  return (
    <Dialog
      title={`${title}: incident ${incident.number}`}
      subtitle={text}
      onSubmit={submit}
      action={action}
      blocked={users.length === 0}
    >
      <Field label="Who" required>
        <MultiCombobox
          values={users}
          onChange={setUsers}
          options={[]}
          load={memberFinder(incident.projectId)}
          placeholder="Name"
        />
      </Field>
      <Field label="Note" optional hint="Added to the timeline.">
        <Textarea value={note} onChange={setNote} rows={2} maxLength={1000} autoGrow />
      </Field>
    </Dialog>
  );
}
