import { useState } from "preact/hooks";
import type { ProjectDetail } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
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
  const [name, setName] = useState(project.name);
  const [days, setDays] = useState(settings.retentionDays?.toString() ?? "");
  const [threshold, setThreshold] = useState(settings.alertThreshold?.toString() ?? "");
  const [hasMails, setMails] = useState(settings.emailAlerts ?? false);
  const save = async () => {
    const numbers = { retentionDays: numberOf(days), alertThreshold: numberOf(threshold) };
    await api.patch(`/projects/${project.id}`, { name, settings: { ...numbers, emailAlerts: hasMails } });
    toast.ok("The project is saved.");
    invalidate("/projects");
    onSaved();
  };
  return (
    <Card title="Settings">
      <Form onSubmit={save}>
        <Field label="Name" required>
          <Input value={name} onChange={setName} maxLength={255} />
        </Field>
        <Field label="Keep events for" hint="Days. Empty: the server's default." optional>
          <Input type="number" value={days} onChange={setDays} min={1} suffix="days" />
        </Field>
        <Field label="Errors that alert the members" hint="Within five minutes. Empty: the server's default." optional>
          <Input type="number" value={threshold} onChange={setThreshold} min={1} />
        </Field>
        <Switch checked={hasMails} onChange={setMails} label="Also send alerts by mail" />
        <SubmitButton>Save</SubmitButton>
      </Form>
    </Card>
  );
}

/** null removes the setting. */
function numberOf(text: string): number | null {
  return text === "" ? null : Number(text);
}
