import { Inbox, RefreshCw, X } from "lucide";
import { useMemo, useState } from "preact/hooks";
import {
  Badge,
  Button,
  Card,
  CodeInline,
  type Column,
  DataTable,
  Duration,
  EmptyState,
  IconButton,
  Menu,
  Num,
  Time,
  type Tone,
  toast,
  UserText,
} from "../ui/index.ts";
import { HOSTILE, NOW } from "./samples.ts";

interface Job {
  readonly id: string;
  readonly kind: string;
  readonly state: "waiting" | "running" | "dead" | "done";
  readonly attempts: number;
  readonly error: string;
  readonly at: number;
  readonly tookMs: number;
}

const STATE_TONE: Record<Job["state"], Tone> = { waiting: "plain", running: "info", dead: "bad", done: "ok" };
const ERRORS = ["", "connection refused by mail.example.org", HOSTILE.rightToLeft, HOSTILE.markup, HOSTILE.long];

function jobs(count: number): readonly Job[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `job-${1000 + index}`,
    kind: ["mail.send", "backup.run", "webhook.deliver", HOSTILE.long][index % 4] ?? "",
    state: (["waiting", "running", "dead", "done"] as const)[index % 4] ?? "done",
    attempts: index % 7,
    error: ERRORS[index % 5] ?? "",
    at: NOW - index * 47_000,
    tookMs: 17 ** (index % 4),
  }));
}

const COLUMNS: readonly Column<Job>[] = [
  { label: "Kind", cell: (job) => <CodeInline>{job.kind}</CodeInline>, sortBy: "kind", card: "title" },
  {
    label: "State",
    cell: (job) => <Badge tone={STATE_TONE[job.state]}>{job.state}</Badge>,
    card: "aside",
    width: "min",
  },
  {
    label: "Error",
    cell: (job) => job.error && <UserText lines={2}>{job.error}</UserText>,
    card: "text",
    width: "wide",
  },
  {
    label: "Attempts",
    cell: (job) => <Num n={job.attempts} />,
    align: "end",
    sortBy: "attempts",
    priority: 2,
    width: "min",
  },
  { label: "Took", cell: (job) => <Duration ms={job.tookMs} />, align: "end", priority: 3, width: "min" },
  { label: "Created", cell: (job) => <Time at={job.at} />, sortBy: "at", width: "min" },
];

/** Lists in each of their states. */
export function TableSection() {
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set(["job-1001", "job-1002"]));
  const [sort, setSort] = useState({ by: "at", desc: true });
  const [count, setCount] = useState(8);
  const rows = useMemo(() => jobs(count), [count]);
  return (
    <>
      <DataTable
        label="Jobs"
        rows={rows}
        columns={COLUMNS}
        onOpen={(job) => toast.info(`Opens ${job.id}`)}
        rowTone={(job) => (job.state === "dead" ? "bad" : undefined)}
        isUnread={(job) => job.state === "running"}
        hotkeys={{ a: (job) => toast.ok(`Acknowledged ${job.id}`) }}
        rowActions={(job) => (
          <>
            <Button small onClick={() => toast.ok(`Retries ${job.id}`)}>
              Retry
            </Button>
            <Menu small label={`More of ${job.id}`} items={[{ label: "Cancel", danger: true }]} />
          </>
        )}
        selection={{
          selected,
          onChange: setSelected,
          bulk: (ids) => (
            <>
              <Button small icon={RefreshCw}>
                Retry {ids.length}
              </Button>
              <Button small variant="danger" icon={X}>
                Cancel
              </Button>
            </>
          ),
        }}
        sort={{ ...sort, onChange: (by, desc) => setSort({ by, desc }) }}
        more={{ has: count < 2000, load: () => setCount(count === 8 ? 200 : 2000), total: 2000 }}
      />
      <div class="grid2">
        <DataTable
          label="Stale"
          loading
          rows={rows.slice(0, 2)}
          error={new Error("The connection was lost")}
          retry={() => undefined}
          columns={COLUMNS.slice(0, 2)}
        />
        <DataTable label="Loading" rows={undefined} loading rowKey={(job: Job) => job.id} columns={COLUMNS} />
        <DataTable
          label="Failed"
          rows={undefined}
          error={Object.assign(new Error("The database is busy"), { code: "STORAGE_BUSY" })}
          retry={() => undefined}
          rowKey={(job: Job) => job.id}
          columns={COLUMNS}
        />
        <DataTable
          label="Empty"
          rows={[]}
          empty={<EmptyState icon={Inbox} title="No jobs" text="Jobs that are waiting or have failed appear here." />}
          rowKey={(job: Job) => job.id}
          columns={COLUMNS}
        />
        <Card title="Dense, inside a card" flush>
          <DataTable
            label="Dense"
            bare
            dense
            rows={rows.slice(0, 4)}
            columns={COLUMNS.slice(0, 2)}
            rowHref={() => "#tables"}
            rowActions={() => <IconButton small icon={X} label="Remove" />}
          />
        </Card>
      </div>
    </>
  );
}
