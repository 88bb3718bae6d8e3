import type { CreateWebhook, ListedWebhook } from "../../../src/client/api-types.gen.ts";
import { Managed } from "../../app/managed.tsx";
import { useProjects } from "../../app/projects.ts";
import { type FieldOf, Fields } from "../../forms/fields.tsx";
import { useResource } from "../../forms/use-resource.ts";
import { webhook } from "../../forms/webhook.gen.ts";
import { Dialog, SecretDialog, Select } from "../../ui/index.ts";

interface Props {
  /** Undefined: a new one. */
  readonly known?: ListedWebhook;
}

export function WebhookSecret({ value }: { readonly value: string }) {
  const hint = "The receiver checks signatures with it (Standard Webhooks). It is not shown again.";
  return <SecretDialog title="The secret of the webhook" label="Secret" value={value} hint={hint} />;
}

export function WebhookDialog({ known }: Props) {
  const form = useResource<CreateWebhook, ListedWebhook & { readonly secret?: string }>(webhook, { stored: known });
  const projects = useProjects();
  const options = [
    { value: "", label: "My own notifications" },
    ...projects.map(({ id, name }) => ({ value: id, label: `Notifications of ${name}` })),
  ];
  const owner: FieldOf<CreateWebhook> = {
    name: "projectId",
    label: "Called for",
    as: (value = "", change) => <Select value={value} onChange={(id) => change(id || undefined)} options={options} />,
  };
  const save = async () => {
    const answer = await form.send();
    if (answer === undefined) return false;
    return answer.secret === undefined ? undefined : <WebhookSecret value={answer.secret} />;
  };
  return (
    <Dialog title={known ? "Change the webhook" : "New webhook"} onSubmit={save} action="Save">
      <Managed kind="webhooks" id={known?.id ?? ""}>
        <Fields
          of={form}
          show={[
            { name: "url", placeholder: "https://example.org/hook", autoFocus: true },
            { name: "eventTypes", mono: true },
            ...(known ? [] : [owner]),
          ]}
        />
      </Managed>
    </Dialog>
  );
}
