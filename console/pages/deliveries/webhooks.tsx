import type { ListedWebhook } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { navigate, useQueryState } from "../../app/navigate.ts";
import { useList } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  Button,
  type Column,
  choices,
  confirm,
  DataTable,
  EmptyState,
  Menu,
  NewButton,
  openDialog,
  Page,
  plural,
  Segmented,
  Time,
  Toolbar,
  toast,
  UserText,
} from "../../ui/index.ts";
import { WebhookDialog, WebhookSecret } from "./webhook-dialog.tsx";

/** How long the previous secret signs, too, after a rotation. */
const GRACE_MS = 24 * 3_600_000;

const COLUMNS: readonly Column<ListedWebhook>[] = [
  { label: "URL", cell: ({ url }) => <UserText lines={1}>{url}</UserText>, card: "title", width: "wide" },
  { label: "Events", cell: ({ eventTypes }) => <UserText lines={1}>{eventTypes.join(", ")}</UserText>, card: "text" },
  { label: "State", cell: (webhook) => <WebhookState webhook={webhook} />, card: "aside" },
  { label: "Last call", cell: ({ lastResult }) => <LastCall result={lastResult ?? null} />, align: "end" },
];

function WebhookState({ webhook }: { readonly webhook: ListedWebhook }) {
  if (webhook.disabledAt !== null) return <Badge tone="bad">disabled: gone</Badge>;
  if (!webhook.active) return <Badge tone="plain">off</Badge>;
  if (webhook.failures > 0) return <Badge tone="warn">{plural(webhook.failures, "failure")}</Badge>;
  return <Badge tone="ok">active</Badge>;
}

function LastCall({ result }: { readonly result: ListedWebhook["lastResult"] }) {
  if (!result) return <span class="muted">none</span>;
  return (
    <span class="nowrap" title={result.error ?? undefined}>
      {`${result.state} `}
      <Time at={result.at} />
    </span>
  );
}

/** Signed calls to other servers. */
export default function Webhooks() {
  const [scope, setScope] = useQueryState("scope", "own");
  const list = useList<ListedWebhook>("/webhooks", {
    scope: scope === "own" ? "" : scope,
    include: "result",
    limit: 50,
  });
  const add = <NewButton onClick={() => openDialog(<WebhookDialog />)}>New webhook</NewButton>;
  const failing = list.items?.filter(({ disabledAt }) => disabledAt !== null).length ?? 0;
  return (
    <Page
      title="Webhooks"
      subtitle={
        failing > 0
          ? `${plural(failing, "webhook was", "webhooks were")} disabled: the receiver says it is gone.`
          : "Notifications as signed calls to other servers."
      }
      actions={add}
    >
      {can("projects:all") && (
        <Toolbar>
          <Segmented label="Owner" value={scope} onChange={setScope} options={choices({ own: "Mine", all: "All" })} />
        </Toolbar>
      )}
      <DataTable<ListedWebhook>
        label="Webhooks"
        list={list}
        columns={COLUMNS}
        onOpen={(webhook) => openDialog(<WebhookDialog known={webhook} />)}
        rowActions={(webhook) => <Actions webhook={webhook} onDone={list.reload} />}
        empty={
          <EmptyState
            title="There is no webhook"
            text="Prism calls its URL for each notification, with a signature."
            action={add}
          />
        }
      />
    </Page>
  );
}

function Actions({ webhook, onDone }: { readonly webhook: ListedWebhook; readonly onDone: () => void }) {
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
