import type { ListedWebhook } from "../../../src/client/api-types.gen.ts";
import { type Controls, segmentFilter, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { can } from "../../app/session.ts";
import { Badge, type Column, choices, openDialog, plural, Time, UserText } from "../../ui/index.ts";
import { WebhookActions } from "./webhook-actions.tsx";
import { WebhookDialog } from "./webhook-dialog.tsx";

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

const OWNER = { scope: segmentFilter("Owner", choices({ "": "Mine", all: "All" })) };
const EMPTY = {
  title: "There is no webhook",
  text: "Prism calls its URL for each notification, with a signature.",
};

function subtitleOf(webhooks: readonly ListedWebhook[] = []): string {
  const failing = webhooks.filter(({ disabledAt }) => disabledAt !== null).length;
  if (failing === 0) return "Notifications as signed calls to other servers.";
  return `${plural(failing, "webhook was", "webhooks were")} disabled: the receiver says it is gone.`;
}

/** Signed calls to other servers. */
export default function Webhooks() {
  const filters: Controls = can("projects:all") ? OWNER : {};
  const list = useListOf<ListedWebhook>("/webhooks", filters, { include: "result" });
  return (
    <ListPage<ListedWebhook>
      of={list}
      title="Webhooks"
      subtitle={subtitleOf(list.items)}
      noun="webhook"
      managedAs="webhooks"
      columns={COLUMNS}
      make={() => <WebhookDialog />}
      onOpen={(webhook) => openDialog(<WebhookDialog known={webhook} />)}
      rowActions={(webhook) => <WebhookActions webhook={webhook} />}
      empty={EMPTY}
    />
  );
}
