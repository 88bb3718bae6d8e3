import { Download } from "lucide";
import { useEffect, useState } from "preact/hooks";
import type { Backup, Job } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { SERVER_URL } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useStream } from "../../app/live.ts";
import { useGet } from "../../app/query.ts";
import {
  Badge,
  Banner,
  Button,
  Bytes,
  Card,
  CodeBlock,
  type Column,
  DataTable,
  EmptyState,
  formatBytes,
  formatRelative,
  Menu,
  Page,
  Progress,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";

interface Backups {
  readonly data: readonly Backup[];
  readonly directory: string;
}

/** The job that makes or verifies an archive. */
interface ArchiveJob extends Job {
  readonly progress: { readonly bytes: number; readonly ofBytes: number } | null;
  readonly result: { readonly name: string; readonly ok?: boolean; readonly problem?: string | null } | null;
}

interface Work {
  readonly jobId: string;
  /** Absent: a new archive is created. */
  readonly verified?: string;
}

/** The end may pass before the stream is followed. */
const POLL_MS = 2000;
const ENDED = new Set(["succeeded", "dead", "cancelled"]);

const COLUMNS: readonly Column<Backup>[] = [
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

/** The archives of this server: create, verify, download, delete. */
export default function BackupsPage() {
  const query = useGet<Backups>("/backups");
  const [work, setWork] = useState<Work>();
  const [newest] = query.data?.data ?? [];
  const start = async (path: string, verified?: string) => {
    const { jobId } = await api.post<{ jobId: string }>(path);
    setWork({ jobId, ...(verified === undefined ? {} : { verified }) });
  };
  const make = (
    <Button variant="primary" disabled={work !== undefined} onClick={() => start("/backups")}>
      Back up now
    </Button>
  );
  const remove = async ({ name, bytes, createdAt }: Backup) => {
    const isLast = query.data?.data.length === 1;
    const text = `The archive of ${formatBytes(bytes)}, made ${formatRelative(createdAt)}, is deleted from the disk for good.${isLast ? " It is the only archive here: without it, this server has nothing to restore from." : ""}`;
    await confirmDelete(
      `/backups/${encodeURIComponent(name)}`,
      { title: `Delete ${name}?`, text, done: "The archive is deleted." },
      query.reload,
    );
  };
  return (
    <Page
      title="Backups"
      subtitle={
        newest
          ? `The newest archive was made ${formatRelative(newest.createdAt)}.`
          : "Archives of the database, from which a server can be restored."
      }
      actions={make}
    >
      {work && (
        <WorkCard
          key={work.jobId}
          work={work}
          onEnd={() => {
            setWork(undefined);
            query.reload();
          }}
        />
      )}
      {query.data?.data.map(
        ({ name, problem }) =>
          problem !== null && (
            <Banner key={name} tone="bad" title={`${name} cannot be restored`}>
              <UserText>{problem}</UserText>
            </Banner>
          ),
      )}
      <DataTable<Backup>
        label="Backups"
        list={query}
        rowKey={({ name }) => name}
        columns={COLUMNS}
        rowActions={(backup) => (
          <>
            <Button small icon={Download} onClick={() => download(backup.name)}>
              Download
            </Button>
            <Menu
              label={`More for ${backup.name}`}
              small
              items={[
                {
                  label: "Verify",
                  disabled: work !== undefined,
                  onSelect: () => start(`/backups/${encodeURIComponent(backup.name)}/verify`, backup.name),
                },
                { label: "Delete", danger: true, onSelect: () => remove(backup) },
              ]}
            />
          </>
        )}
        empty={
          <EmptyState
            title="There is no backup yet"
            text="Archives appear here. Copy them to another machine, too: a lost disk takes these with it."
            action={make}
          />
        }
      />
      <Card title="Restore" sub="On the host, while the server is stopped.">
        <CodeBlock
          label="Command that restores an archive"
          text={`prism restore ${query.data?.directory ?? "."}/${newest?.name ?? "<archive>"}`}
          wrap
        />
        {newest && !newest.withSecrets && (
          <p class="muted small">
            The archives contain no secrets: keep a copy of the encryption key in another system.
          </p>
        )}
      </Card>
    </Page>
  );
}

/** The browser saves it by itself: an archive may be larger than the memory. */
async function download(name: string): Promise<void> {
  const { ticket } = await api.post<{ ticket: string }>("/realtime/ticket");
  const link = document.createElement("a");
  link.href = `${SERVER_URL}/api/v1/backups/${encodeURIComponent(name)}/download?ticket=${ticket}`;
  link.download = name;
  link.click();
}

/** Follows the job until it ends, and reports how. */
function WorkCard({ work, onEnd }: { readonly work: Work; readonly onEnd: () => void }) {
  const query = useGet<ArchiveJob>(`/jobs/${work.jobId}`);
  useStream("system", ({ type }) => (type === "jobs.changed" || type === "job.dead") && query.reload());
  const job = query.data;
  useEffect(() => {
    const timer = setInterval(() => query.reload(), POLL_MS);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    if (!job || !ENDED.has(job.state)) return;
    if (job.result?.problem) toast.error(`${job.result.name}: ${job.result.problem}`);
    else if (job.result) toast.ok(`${job.result.name} is complete.`);
    else toast.error(job.lastError ?? "It was cancelled.");
    onEnd();
  }, [job]);
  const { bytes = 0, ofBytes = 0 } = job?.progress ?? {};
  return (
    <Card>
      <Progress
        label={work.verified === undefined ? "Making an archive" : `Verifying ${work.verified}`}
        value={ofBytes > 0 ? bytes : undefined}
        max={ofBytes}
        showValue
      />
    </Card>
  );
}
