import { useState } from "preact/hooks";
import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { navigate } from "../../app/navigate.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { invalidate } from "../../app/query.ts";
import { Dialog, displayZone, Field, Input, MultiCombobox } from "../../ui/index.ts";
import { FedByField, fedPlan, type Plan, PlanForm, planBody } from "./plan-form.tsx";

const DAY_MS = 86_400_000;

/** Creates a heartbeat and opens its page, which shows the ping URL. */
export function CreateDialog() {
  const [name, setName] = useState("");
  const [tags, setTags] = useState<readonly string[]>([]);
  const [projectId, setProject] = useProjectOfNew();
  const [plan, setPlan] = useState<Plan>(emptyPlan);
  const [fedBy, setFedBy] = useState("");
  const changeFedBy = (next: string) => {
    setFedBy(next);
    if (next !== "") setPlan(fedPlan(plan, emptyPlan()));
  };
  const create = async () => {
    const feed = fedBy === "" ? {} : { fedBy };
    const body = { name, tags, ...feed, ...planBody(plan), ...(projectId === undefined ? {} : { projectId }) };
    const { id } = await api.post<Heartbeat>("/heartbeats", body);
    invalidate("/heartbeats");
    navigate(`/heartbeats/${id}`);
  };
  return (
    <Dialog title="New heartbeat" subtitle="Its ping URL is shown next." onSubmit={create} action="Create heartbeat">
      <Field label="Name" required>
        <Input value={name} onChange={setName} maxLength={100} autoFocus placeholder="Nightly backup" />
      </Field>
      <ProjectField value={projectId} onChange={setProject} />
      <PlanForm plan={plan} projectId={projectId} onChange={setPlan} />
      <FedByField value={fedBy} onChange={changeFedBy} />
      <Field label="Tags" hint="Words for badges and lists." optional>
        <MultiCombobox values={tags} onChange={setTags} custom placeholder="backup" />
      </Field>
    </Dialog>
  );
}

function emptyPlan(): Plan {
  return {
    kind: "simple",
    timeoutMs: DAY_MS,
    graceMs: DAY_MS / 24,
    schedule: "30 2 * * *",
    timezone: displayZone.value,
  };
}
