import type { Integration, IssuedIntegration } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { SERVER_URL } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useFileColumn } from "../../app/managed.tsx";
import { LabelChips } from "../../app/matcher-field.tsx";
import { canInProject } from "../../app/memberships.ts";
import { invalidate, useList } from "../../app/query.ts";
import {
  Card,
  type Column,
  CopyButton,
  confirm,
  DataTable,
  DescriptionList,
  openDialog,
  SecretDialog,
  Time,
  UserText,
  Waiting,
} from "../../ui/index.ts";
import { ForwardBadge, openForward, useMayForward } from "./forward.tsx";

export type Kind = Integration["kind"];

interface Protocol {
  readonly title: string;
  /** The program's word for the key. */
  readonly key: string;
  /** What a program has as its address, in place of what. */
  readonly addresses: readonly { readonly label: string; readonly path: string; readonly instead: string }[];
  /** A receiver of Alertmanager, as an example of a program. */
  sample(key: string): string;
}

/** The APIs of other services that Prism answers, and what their programs need. */
export const PROTOCOLS: Readonly<Record<Kind, Protocol>> = {
  pagerduty: {
    title: "PagerDuty API",
    key: "Integration key",
    addresses: [
      { label: "URL", path: "/v2/enqueue", instead: "https://events.pagerduty.com/v2/enqueue" },
      {
        label: "URL of Events API v1",
        path: "/generic/2010-04-15/create_event.json",
        instead: "https://events.pagerduty.com/generic/2010-04-15/create_event.json",
      },
    ],
    sample: (key) => sampleOf("pagerduty", `routing_key: ${key}`, `url: ${SERVER_URL}/v2/enqueue`),
  },
  opsgenie: {
    title: "Opsgenie API",
    key: "API key",
    addresses: [{ label: "URL", path: "/", instead: "https://api.opsgenie.com/" }],
    sample: (key) => sampleOf("opsgenie", `api_key: ${key}`, `api_url: ${SERVER_URL}/`),
  },
};

function sampleOf(kind: Kind, ...lines: readonly [string, string]): string {
  const [first, second] = lines;
  return `receivers:\n  - name: prism\n    ${kind}_configs:\n      - ${first}\n        ${second}\n`;
}

/** Which settings of a program to change; the key is entered where that of the service was. */
export function Addresses({ kind }: { readonly kind: Kind }) {
  return (
    <DescriptionList
      items={PROTOCOLS[kind].addresses.map(({ label, path, instead }) => ({
        label,
        value: (
          <span class="inline">
            <UserText mono>{SERVER_URL + path}</UserText>
            <CopyButton text={SERVER_URL + path} quiet label={`Copy ${label}`} />
          </span>
        ),
        hint: (
          <>
            in place of <UserText>{instead}</UserText>
          </>
        ),
      }))}
    />
  );
}

/** How long the previous key works after a replacement. */
const GRACE_MS = 24 * 3_600_000;

const COLUMNS: readonly Column<Integration>[] = [
  {
    label: "Name",
    cell: (integration) => (
      <>
        <UserText>{integration.name}</UserText> <ForwardBadge of={integration} />
      </>
    ),
  },
  { label: "From", cell: ({ kind }) => PROTOCOLS[kind].title, card: "aside" },
  { label: "Key", cell: ({ prefix }) => <span class="mono">{prefix}…</span> },
  { label: "Labels of its alerts", cell: ({ labels }) => <LabelChips labels={labels} />, priority: 2 },
  {
    label: "Last request",
    cell: ({ lastUsedAt }) => <Time at={lastUsedAt} empty="none yet" />,
    align: "end",
  },
];

/** The keys of a project for programs that speak the API of another service; nothing without any. */
export function IntegrationKeys({ project, q }: { readonly project: string; readonly q: string }) {
  const list = useList<Integration>("/integrations", { projectId: project, limit: 100 });
  const isWriter = canInProject("policies:write") === true;
  const files = useFileColumn<Integration>("integrations", ({ id }) => id);
  const mayForward = useMayForward();
  const wanted = q.trim().toLowerCase();
  const rows = list.items?.filter(({ name, kind }) =>
    `${name} ${PROTOCOLS[kind].title}`.toLowerCase().includes(wanted),
  );
  if (rows === undefined) return list.loading ? <Waiting /> : null;
  if (rows.length === 0) return null;
  return (
    <Card title="Integration keys" sub="Programs send alerts with them as to PagerDuty or Opsgenie." flush>
      <DataTable<Integration>
        bare
        label="Integration keys"
        list={list}
        rows={rows}
        columns={[...COLUMNS, ...files]}
        rowActions={(integration) =>
          isWriter
            ? [
                mayForward(integration.projectId) && {
                  label: "Pass on",
                  onSelect: () => openForward("integrations", integration, () => invalidate("/integrations")),
                },
                { label: "Replace", onSelect: () => replaceKey(integration) },
                { label: "Revoke", onSelect: () => revoke(integration), variant: "danger" },
              ]
            : []
        }
      />
    </Card>
  );
}

async function replaceKey({ id, kind, name }: Integration): Promise<void> {
  const text = "You get a new key now. The old one works for 24 more hours.";
  if (!(await confirm({ title: `Replace the key of ${name}?`, text, action: "Replace" }))) return;
  const { key } = await api.post<IssuedIntegration>(`/integrations/${id}/rotate`, { graceMs: GRACE_MS });
  invalidate("/integrations");
  openDialog(
    <SecretDialog title="The new key" size="md" label={PROTOCOLS[kind].key} value={key} hint="It is not shown again.">
      <Addresses kind={kind} />
    </SecretDialog>,
  );
}

async function revoke({ id, name }: Integration): Promise<void> {
  const text = "Requests with its key are refused from the next one on. Its alerts stay.";
  const question = { title: `Revoke the key of ${name}?`, text, action: "Revoke", done: "The key is revoked." };
  await confirmDelete(`/integrations/${id}`, question, () => invalidate("/integrations"));
}
