import type { ProjectDetail } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { controlsOf } from "../../app/controls.ts";
import { useEdits } from "../../app/edits.ts";
import { invalidate } from "../../app/query.ts";
import { SubmitButton } from "../../app/submit-button.tsx";
import { Card, Field, Form, Input, Switch, toast } from "../../ui/index.ts";

interface Props {
  readonly project: ProjectDetail;
  readonly onSaved: () => void;
}

/** Name, retention and error mails of a project. */
export function ProjectSettingsForm({ project, onSaved }: Props) {
  const { settings } = project;
  const { values, change } = useEdits({
    name: project.name,
    days: settings.retentionDays?.toString() ?? "",
    threshold: settings.alertThreshold?.toString() ?? "",
    emailAlerts: settings.emailAlerts ?? false,
  });
  const { bind, flag } = controlsOf(values, change);
  const save = async () => {
    const { name, days, threshold, emailAlerts } = values;
    const numbers = { retentionDays: numberOf(days), alertThreshold: numberOf(threshold) };
    await api.patch(`/projects/${project.id}`, { name, settings: { ...numbers, emailAlerts } });
    toast.ok("The project is saved.");
    invalidate("/projects");
    onSaved();
  };
  return (
    <Card title="Settings">
      <Form onSubmit={save}>
        <Field label="Name" required>
          <Input {...bind("name")} maxLength={255} />
        </Field>
        <Field label="Keep events for" hint="Days. Empty: the server's default." optional>
          <Input type="number" {...bind("days")} min={1} suffix="days" />
        </Field>
        <Field label="Errors that alert the members" hint="Within five minutes. Empty: the server's default." optional>
          <Input type="number" {...bind("threshold")} min={1} />
        </Field>
        <Switch {...flag("emailAlerts")} label="Also send alerts by mail" />
        <SubmitButton>Save</SubmitButton>
      </Form>
    </Card>
  );
}

/** null removes the setting. */
function numberOf(text: string): number | null {
  return text === "" ? null : Number(text);
}
