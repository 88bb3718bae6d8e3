import { useEffect, useState } from "preact/hooks";
import type { ListedWebhook } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useProjects } from "../../app/projects.ts";
import { Dialog, Field, Input, Select } from "../../ui/index.ts";

interface Props {
  /** Undefined: closed. */
  readonly webhook: ListedWebhook | "new" | undefined;
  readonly onClose: () => void;
  readonly onSaved: () => void;
  readonly onSecret: (secret: string) => void;
}

export function WebhookDialog({ webhook, onClose, onSaved, onSecret }: Props) {
  const known = webhook === "new" ? undefined : webhook;
  const [url, setUrl] = useState("");
  const [types, setTypes] = useState("*");
  const [projectId, setProject] = useState("");
  const projects = useProjects();
  useEffect(() => {
    setUrl(known?.url ?? "");
    setTypes(known?.eventTypes.join(", ") ?? "*");
    setProject("");
  }, [webhook]);
  const save = async () => {
    const eventTypes = types
      .split(",")
      .map((type) => type.trim())
      .filter(Boolean);
    if (known) await api.put(`/webhooks/${known.id}`, { ...(url === known.url ? {} : { url }), eventTypes });
    else {
      const body = { url, eventTypes, ...(projectId === "" ? {} : { projectId }) };
      const { secret } = await api.post<{ secret?: string }>("/webhooks", body);
      if (secret !== undefined) onSecret(secret);
    }
    onSaved();
    onClose();
  };
  const options = [
    { value: "", label: "My own notifications" },
    ...projects.map(({ id, name }) => ({ value: id, label: `Notifications of ${name}` })),
  ];
  return (
    <Dialog
      open={webhook !== undefined}
      onClose={onClose}
      title={known ? "Change the webhook" : "New webhook"}
      onSubmit={save}
      action="Save"
    >
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
