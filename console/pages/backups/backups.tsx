import { useState } from "preact/hooks";
import type { Backup } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { ListPage } from "../../app/list-page.tsx";
import { useGet } from "../../app/query.ts";
import { Banner, Button, formatRelative, UserText } from "../../ui/index.ts";
import { type Work, WorkCard } from "./archive-work.tsx";
import { BackupActions, COLUMNS } from "./backup-rows.tsx";
import { Restore } from "./restore.tsx";

interface Backups {
  readonly data: readonly Backup[];
  readonly directory: string;
}

/** The archives of this server: create, verify, download, delete. */
export default function BackupsPage() {
  const query = useGet<Backups>("/backups");
  const [work, setWork] = useState<Work>();
  const all = query.data?.data ?? [];
  const [newest] = all;
  const start = async (path: string, verified?: string) => {
    const { jobId } = await api.post<{ jobId: string }>(path);
    setWork({ jobId, ...(verified === undefined ? {} : { verified }) });
  };
  const verify = ({ name }: Backup) => start(`/backups/${encodeURIComponent(name)}/verify`, name);
  const end = () => {
    setWork(undefined);
    query.reload();
  };
  const make = (
    <Button variant="primary" disabled={work !== undefined} onClick={() => start("/backups")}>
      Back up now
    </Button>
  );
  return (
    <ListPage<Backup>
      of={query}
      title="Backups"
      subtitle={
        newest
          ? `The newest archive was made ${formatRelative(newest.createdAt)}.`
          : "Archives of the database, from which a server can be restored."
      }
      noun="backup"
      columns={COLUMNS}
      actions={make}
      rowKey={({ name }) => name}
      rowActions={(backup) => (
        <BackupActions
          backup={backup}
          isLast={all.length === 1}
          onVerify={work === undefined ? () => verify(backup) : undefined}
        />
      )}
      empty={{
        title: "There is no backup yet",
        text: "Archives appear here. Copy them to another machine, too: a lost disk takes these with it.",
        action: make,
      }}
      below={<Restore directory={query.data?.directory} newest={newest} />}
    >
      {work && <WorkCard key={work.jobId} work={work} onEnd={end} />}
      {all.map(
        ({ name, problem }) =>
          problem !== null && (
            <Banner key={name} tone="bad" title={`${name} cannot be restored`}>
              <UserText>{problem}</UserText>
            </Banner>
          ),
      )}
    </ListPage>
  );
}
