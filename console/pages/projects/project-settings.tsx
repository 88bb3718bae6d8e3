import type { ProjectDetail, UpdateProject } from "../../../src/client/api-types.gen.ts";
import { invalidate } from "../../app/query.ts";
import { type FieldOf, Fields, ResourceForm } from "../../forms/fields.tsx";
import { project as described } from "../../forms/project.gen.ts";
import { partOf, useResource } from "../../forms/use-resource.ts";
import { Card, toast } from "../../ui/index.ts";
import { endMirror, MirrorFields, mayBeginMirror } from "./mirror-field.tsx";

interface Props {
  readonly project: ProjectDetail;
  readonly onSaved: () => void;
}

const SETTINGS: readonly FieldOf<NonNullable<UpdateProject["settings"]>>[] = [
  { name: "retentionDays", label: "Keep events for", placeholder: "server's default", suffix: "days" },
  { name: "alertThreshold", label: "Errors that alert the members", placeholder: "server's default" },
  "emailAlerts",
];

/** Name, retention and error mails of a project. */
export function ProjectSettingsForm({ project, onSaved }: Props) {
  const form = useResource<UpdateProject, ProjectDetail>(described, { stored: project, merged: "settings" });
  const settings = partOf(form, "settings");
  const isEnd = project.settings.mirror != null && settings.values.mirror == null;
  const isBegin = project.settings.mirror == null && settings.values.mirror != null;
  const isSure = async () => (isEnd ? endMirror(project.id) : isBegin ? mayBeginMirror(project.id) : true);
  const send = async () => ((await isSure()) ? form.send() : undefined);
  const done = () => {
    // Other pages mark what is of a mirror.
    invalidate("/projects");
    toast.ok("The project is saved.");
    onSaved();
  };
  return (
    <Card title="Settings">
      <ResourceForm of={{ ...form, send }} label="Settings" onSaved={done}>
        <Fields of={form} show={["name"]} />
        <Fields of={settings} show={SETTINGS} />
        <MirrorFields of={settings} />
      </ResourceForm>
    </Card>
  );
}
