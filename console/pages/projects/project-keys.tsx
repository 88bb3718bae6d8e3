import type { ApiKey, CreateApiKey, ProjectDetail } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useGet } from "../../app/query.ts";
import { apiKey } from "../../forms/api-key.gen.ts";
import { Fields } from "../../forms/fields.tsx";
import { useResource } from "../../forms/use-resource.ts";
import {
  Button,
  Card,
  Checkbox,
  type Column,
  confirm,
  DataTable,
  Dialog,
  EmptyState,
  openDialog,
  SecretDialog,
  Time,
  UserText,
} from "../../ui/index.ts";

const SCOPES = [
  { name: "events:write", text: "send events" },
  { name: "events:read", text: "read events" },
  { name: "realtime:subscribe", text: "follow streams" },
  { name: "realtime:publish", text: "publish to channels" },
  { name: "notifications:send", text: "send notifications to members" },
  { name: "silences:write", text: "silence alerts" },
  { name: "silences:broad", text: "silence many alerts at once, besides silences:write" },
] as const;

type Scope = (typeof SCOPES)[number]["name"];

/** How long the previous key works after a rotation. */
const GRACE_MS = 24 * 3_600_000;

const COLUMNS: readonly Column<ApiKey>[] = [
  { label: "Name", cell: ({ name }) => <UserText>{name}</UserText>, card: "title" },
  { label: "Starts with", cell: ({ prefix }) => <span class="mono">{prefix}…</span> },
  { label: "May", cell: ({ scopes }) => textOf(scopes), card: "text", width: "wide" },
  { label: "Ends", cell: ({ expiresAt }) => <Time at={expiresAt} empty="never" />, priority: 2 },
  { label: "Last used", cell: ({ lastUsedAt }) => <Time at={lastUsedAt} empty="never" />, align: "end" },
];

function textOf(scopes: readonly string[]): string {
  return scopes.map((scope) => SCOPES.find(({ name }) => name === scope)?.text ?? scope).join(", ");
}

interface Props {
  readonly project: ProjectDetail;
  readonly isOwner: boolean;
}

/** The API keys of a project. A secret is shown once, when a key is created. */
export function ProjectKeys({ project, isOwner }: Props) {
  const path = `/projects/${project.id}/keys`;
  const query = useGet<{ data: readonly ApiKey[] }>(path);
  const rotate = async (key: ApiKey) => {
    const text = "You get a new secret now. The old one works for 24 more hours.";
    if (!(await confirm({ title: `Replace the secret of ${key.name}?`, text, action: "Replace" }))) return;
    const made = await api.post<{ key: string }>(`${path}/${key.id}/rotate`, { graceMs: GRACE_MS });
    openDialog(<KeyDialog value={made.key} />);
    query.reload();
  };
  const revoke = async (key: ApiKey) => {
    const text = "Programs that use it are refused from the next request on.";
    await confirmDelete(
      `${path}/${key.id}`,
      { title: `Revoke the key ${key.name}?`, text, action: "Revoke", done: "The key is revoked." },
      query.reload,
    );
  };
  const make = (
    <Button small variant="primary" onClick={() => openDialog(<NewKey path={path} />)}>
      New key
    </Button>
  );
  return (
    <Card title="API keys" sub="Programs use them to send and read events." flush actions={isOwner ? make : undefined}>
      <DataTable<ApiKey>
        bare
        label="API keys"
        list={query}
        columns={COLUMNS}
        rowActions={(key) =>
          isOwner
            ? [
                { label: "Replace", onSelect: () => rotate(key) },
                { label: "Revoke", onSelect: () => revoke(key), variant: "danger" },
              ]
            : []
        }
        empty={<EmptyState small title="This project has no key" text="Programs need one to send events." />}
      />
    </Card>
  );
}

function KeyDialog({ value }: { readonly value: string }) {
  return <SecretDialog title="The secret of the key" label="API key" value={value} hint="It is not shown again." />;
}

function NewKey({ path }: { readonly path: string }) {
  const form = useResource<CreateApiKey, ApiKey & { readonly key: string }>(apiKey, {
    path,
    start: { scopes: ["events:write", "events:read"] },
  });
  const { scopes = [] } = form.values;
  const create = async () => {
    const made = await form.send();
    return made === undefined ? false : <KeyDialog value={made.key} />;
  };
  const grant = (scope: Scope, isGranted: boolean) =>
    form.change({ scopes: isGranted ? [...scopes, scope] : scopes.filter((other) => other !== scope) });
  return (
    <Dialog title="New API key" size="sm" onSubmit={create} action="Create key" blocked={scopes.length === 0}>
      <Fields of={form} show={[{ name: "name", required: true, autoFocus: true }]} />
      <fieldset class="stack s2">
        <legend>It may</legend>
        {SCOPES.map(({ name, text }) => (
          <Checkbox
            key={name}
            label={text}
            hint={name}
            checked={scopes.includes(name)}
            onChange={(isGranted) => grant(name, isGranted)}
          />
        ))}
      </fieldset>
      <Fields of={form} show={[{ name: "expiresAt", label: "Ends" }]} />
    </Dialog>
  );
}
