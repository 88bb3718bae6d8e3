import type { CreateOnCallSchedule, OnCallSchedule } from "../../../src/client/api-types.gen.ts";
import { navigate } from "../../app/navigate.ts";
import { ProjectField, useProjectOfNew } from "../../app/project-choice.tsx";
import { me } from "../../app/session.ts";
import { Fields } from "../../forms/fields.tsx";
import { onCallSchedule } from "../../forms/on-call-schedule.gen.ts";
import { useResource } from "../../forms/use-resource.ts";
import { Dialog } from "../../ui/index.ts";

export function ScheduleDialog() {
  const [projectId, setProject] = useProjectOfNew();
  const form = useResource<CreateOnCallSchedule, OnCallSchedule>(onCallSchedule, {
    start: { timezone: me.value?.timezone ?? "UTC" },
    given: projectId === undefined ? {} : { projectId },
  });
  const create = async () => {
    const made = await form.send();
    if (made === undefined) return false;
    navigate(`/oncall/${made.id}?tab=rotations`);
  };
  return (
    <Dialog title="New on-call schedule" onSubmit={create} action="Create schedule">
      <Fields of={form} show={[{ name: "name", autoFocus: true, placeholder: "Database" }]} />
      <ProjectField value={projectId} onChange={setProject} hint="Its members can be on call." />
      <Fields of={form} show={["timezone", { name: "description", rows: 2 }]} />
    </Dialog>
  );
}
