import { Download } from "lucide";
import type { Backup } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { SERVER_URL } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { invalidate } from "../../app/query.ts";
import { Badge, Button, Bytes, type Column, formatBytes, formatRelative, Menu, Time } from "../../ui/index.ts";

export const COLUMNS: readonly Column<Backup>[] = [
  { label: "Archive", cell: ({ name }) => <span class="mono">{name}</span>, card: "title", width: "wide" },
  { label: "Size", cell: ({ bytes }) => <Bytes n={bytes} />, align: "end" },
  { label: "Created", cell: ({ createdAt }) => <Time at={createdAt} />, align: "end" },
  {
    label: "Secrets",
    cell: ({ withSecrets }) => <span class="nowrap">{withSecrets ? "included" : "not included"}</span>,
    priority: 3,
  },
  { label: "Verified", cell: (backup) => <Verified backup={backup} />, card: "aside" },
];

function Verified({ backup: { checkedAt, problem, key } }: { readonly backup: Backup }) {
  if (problem !== null) {
    return (
      <Badge tone="bad" title={problem}>
        damaged
      </Badge>
    );
  }
  if (key === "unknown") return <Badge tone="warn">created with another key</Badge>;
  if (checkedAt === null) return <Badge tone="plain">not yet</Badge>;
  return (
    <span class="nowrap">
      <Badge tone="ok">complete</Badge>{" "}
      <span class="only-wide muted">
        <Time at={checkedAt} />
      </span>
    </span>
  );
}

interface ActionProps {
  readonly backup: Backup;
  readonly isLast: boolean;
  /** Absent: another one runs. */
  readonly onVerify: (() => void) | undefined;
}

export function BackupActions({ backup, isLast, onVerify }: ActionProps) {
  const { name } = backup;
  const items = [
    { label: "Verify", disabled: onVerify === undefined, onSelect: () => onVerify?.() },
    { label: "Delete", danger: true, onSelect: () => remove(backup, isLast) },
  ];
  return (
    <>
      <Button small icon={Download} onClick={() => download(name)}>
        Download
      </Button>
      <Menu label={`More for ${name}`} small items={items} />
    </>
  );
}

async function remove({ name, bytes, createdAt }: Backup, isLast: boolean): Promise<void> {
  const text = `The archive of ${formatBytes(bytes)}, made ${formatRelative(createdAt)}, is deleted from the disk for good.${isLast ? " It is the only archive here: without it, this server has nothing to restore from." : ""}`;
  const question = { title: `Delete ${name}?`, text, done: "The archive is deleted." };
  await confirmDelete(`/backups/${encodeURIComponent(name)}`, question, () => invalidate("/backups"));
}

/** The browser saves it by itself: an archive may be larger than the memory. */
async function download(name: string): Promise<void> {
  const { ticket } = await api.post<{ ticket: string }>("/realtime/ticket");
  const link = document.createElement("a");
  link.href = `${SERVER_URL}/api/v1/backups/${encodeURIComponent(name)}/download?ticket=${ticket}`;
  link.download = name;
  link.click();
}
