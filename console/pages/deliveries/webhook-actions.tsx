import type { ListedWebhook } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { navigate } from "../../app/navigate.ts";
import { invalidate } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Button, confirm, Menu, openDialog, toast } from "../../ui/index.ts";
import { WebhookSecret } from "./webhook-dialog.tsx";

/** How long the previous secret signs, too, after a rotation. */
const GRACE_MS = 24 * 3_600_000;

const onDone = () => invalidate("/webhooks");

export function WebhookActions({ webhook }: { readonly webhook: ListedWebhook }) {
  const path = `/webhooks/${webhook.id}`;
  const test = async () => {
    const { delivered, status, error } = await api.post<{
      delivered: boolean;
      status: number | null;
      error: string | null;
    }>(`${path}/test`);
    if (delivered) toast.ok(`The receiver answered ${status}.`);
    else toast.error(`The test call failed: ${error ?? `status ${status}`}`);
    onDone();
  };
  const toggle = async () => {
    await api.put(path, { active: !webhook.active || webhook.disabledAt !== null });
    onDone();
  };
  const rotate = async () => {
    const text = "Calls carry signatures of both secrets for 24 hours.";
    if (!(await confirm({ title: "Replace the secret?", text, action: "Replace" }))) return;
    const { secret } = await api.put<{ secret?: string }>(path, { rotateSecret: true, graceMs: GRACE_MS });
    if (secret !== undefined) openDialog(<WebhookSecret value={secret} />);
  };
  const remove = async () => {
    const text = "Deliveries that wait are cancelled.";
    await confirmDelete(path, { title: "Delete this webhook?", text }, onDone);
  };
  const isOn = webhook.active && webhook.disabledAt === null;
  return (
    <>
      <Button small onClick={test}>
        Test
      </Button>
      <Menu
        label="More for this webhook"
        small
        items={[
          { label: isOn ? "Disable" : "Enable", onSelect: toggle },
          { label: "Replace the secret", onSelect: rotate },
          ...(can("notifications:read_all")
            ? [{ label: "Show its deliveries", onSelect: () => navigate(`/deliveries?webhook=${webhook.id}`) }]
            : []),
          { label: "Delete", onSelect: remove, danger: true },
        ]}
      />
    </>
  );
}
