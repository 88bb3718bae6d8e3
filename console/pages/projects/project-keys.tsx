import type { ApiKey, ProjectDetail } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useGet } from "../../app/query.ts";
import {
  Button,
  Card,
  type Column,
  confirm,
  DataTable,
  EmptyState,
  openDialog,
  Time,
  UserText,
} from "../../ui/index.ts";
import { KeyDialog, NewKey, textOf } from "./new-key.tsx";

/** How long the previous key works after a rotation. */
const GRACE_MS = 24 * 3_600_000;

const COLUMNS: readonly Column<ApiKey>[] = [
  { label: "Name", cell: ({ name }) => <UserText>{name}</UserText>, card: "title" },
  { label: "Starts with", cell: ({ prefix }) => <span class="mono">{prefix}…</span> },
  { label: "May", cell: ({ scopes }) => textOf(scopes), card: "text", width: "wide" },
  { label: "Ends", cell: ({ expiresAt }) => <Time at={expiresAt} empty="never" />, priority: 2 },
  { label: "Last used", cell: ({ lastUsedAt }) => <Time at={lastUsedAt} empty="never" />, align: "end" },
];

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
