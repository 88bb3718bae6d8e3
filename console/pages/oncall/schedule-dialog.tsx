import { useState } from "preact/hooks";
import type { OnCallSchedule } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { navigate } from "../../app/navigate.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { me } from "../../app/session.ts";
import { ZONES } from "../../app/zones.ts";
import { Combobox, Dialog, Field, Input, Textarea } from "../../ui/index.ts";

export function ScheduleDialog() {
  const [name, setName] = useState("");
  const [description, setDescription] = useState("");
  const [projectId, setProject] = useProjectOfNew();
  const [timezone, setZone] = useState(me.value?.timezone ?? "UTC");
  const create = async () => {
    const body = { name, description, timezone, ...(projectId === undefined ? {} : { projectId }) };
    const { id } = await api.post<OnCallSchedule>("/oncall/schedules", body);
    navigate(`/oncall/${id}?tab=rotations`);
  };
  return (
    <Dialog title="New on-call schedule" onSubmit={create} action="Create schedule">
      <Field label="Name" required>
        <Input value={name} onChange={setName} maxLength={100} autoFocus placeholder="Database" />
      </Field>
      <ProjectField value={projectId} onChange={setProject} hint="Its members can be on call." />
      <Field label="Time zone" hint="Shifts start in this time zone." required>
        <Combobox value={timezone} onChange={setZone} options={ZONES} />
      </Field>
      <Field label="Description" optional>
        <Textarea value={description} onChange={setDescription} rows={2} maxLength={4000} />
      </Field>
    </Dialog>
  );
}
