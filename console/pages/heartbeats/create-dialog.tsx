import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { navigate } from "../../app/navigate.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { Fields } from "../../forms/fields.tsx";
import { heartbeat } from "../../forms/heartbeat.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Dialog, displayZone } from "../../ui/index.ts";
import { FED_BY, type HeartbeatBody, PlanForm } from "./plan-form.tsx";

/** What the server takes as the plan of one that an alert feeds, if no other is chosen. */
const FED_PLAN = { timeoutMs: 300_000, graceMs: 60_000 };

/** Creates a heartbeat and opens its page, which shows the ping URL. */
export function CreateDialog() {
  const [projectId, setProject] = useProjectOfNew();
  const form = useResource<HeartbeatBody, Heartbeat>(heartbeat, {
    given: projectId === undefined ? {} : { projectId },
  });
  const create = async () => {
    const made = await form.send();
    if (made === undefined) return false;
    navigate(`/heartbeats/${made.id}`);
  };
  const isPlanned = form.edits.kind !== undefined || form.edits.timeoutMs !== undefined;
  const change: typeof form.change = (part) => form.change(part.fedBy && !isPlanned ? { ...FED_PLAN, ...part } : part);
  return (
    <Dialog title="New heartbeat" subtitle="Its ping URL is shown next." onSubmit={create} action="Create heartbeat">
      <Fields of={form} show={[{ name: "name", autoFocus: true, placeholder: "Nightly backup" }]} />
      <ProjectField value={projectId} onChange={setProject} />
      <PlanForm of={form} projectId={projectId} zone={displayZone.value} />
      <Fields of={{ ...form, change }} show={[FED_BY, { name: "tags", placeholder: "backup" }]} />
    </Dialog>
  );
}
