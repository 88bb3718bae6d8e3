import { useState } from "preact/hooks";
import type { ListedWebhook } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useProjects } from "../../app/projects.ts";
import { Dialog, Field, Input, SecretDialog, Select } from "../../ui/index.ts";

interface Props {
  /** Undefined: a new one. */
  readonly known?: ListedWebhook;
  readonly onSaved: () => void;
}

export function WebhookSecret({ value }: { readonly value: string }) {
  const hint = "The receiver checks signatures with it (Standard Webhooks). It is not shown again.";
  return <SecretDialog title="The secret of the webhook" label="Secret" value={value} hint={hint} />;
}

export function WebhookDialog({ known, onSaved }: Props) {
  const [url, setUrl] = useState(known?.url ?? "");
  const [types, setTypes] = useState(known?.eventTypes.join(", ") ?? "*");
  const [projectId, setProject] = useState("");
  const projects = useProjects();
  const save = async () => {
    const eventTypes = types
      .split(",")
      .map((type) => type.trim())
      .filter(Boolean);
    if (known) {
      await api.put(`/webhooks/${known.id}`, { ...(url === known.url ? {} : { url }), eventTypes });
      return onSaved();
    }
    const body = { url, eventTypes, ...(projectId === "" ? {} : { projectId }) };
    const { secret } = await api.post<{ secret?: string }>("/webhooks", body);
    onSaved();
    return secret === undefined ? undefined : <WebhookSecret value={secret} />;
  };
  const options = [
    { value: "", label: "My own notifications" },
    ...projects.map(({ id, name }) => ({ value: id, label: `Notifications of ${name}` })),
  ];
  return (
    <Dialog title={known ? "Change the webhook" : "New webhook"} onSubmit={save} action="Save">
      <Field label="URL" hint="With https. Private addresses need webhooks.allowPrivateCidrs." required>
        <Input type="url" value={url} onChange={setUrl} placeholder="https://example.org/hook" autoFocus />
      </Field>
      <Field label="Event types" hint="With commas; order.* matches all that start like this, * all." required>
        <Input value={types} onChange={setTypes} mono />
      </Field>
      {!known && (
        <Field label="Called for">
          <Select value={projectId} onChange={setProject} options={options} />
        </Field>
      )}
    </Dialog>
  );
}
