import type { Queue } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useStream } from "../../app/live.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  Button,
  type Column,
  confirm,
  DataTable,
  Duration,
  EmptyState,
  formatNumber,
  Menu,
  Page,
  plural,
  toast,
} from "../../ui/index.ts";
import { JobTabs } from "./job-tabs.tsx";

const count = (n: number) => <span class={n === 0 ? "num faint" : "num"}>{formatNumber(n)}</span>;

const COLUMNS: readonly Column<Queue>[] = [
  { label: "Queue", cell: ({ name }) => name, card: "title", width: "wide" },
  { label: "Ready", cell: ({ ready }) => count(ready), align: "end" },
  { label: "Running", cell: ({ running }) => count(running), align: "end" },
  { label: "Scheduled", cell: ({ scheduled }) => count(scheduled), align: "end", priority: 2 },
  { label: "Retrying", cell: ({ retrying }) => count(retrying), align: "end", priority: 2 },
  {
    label: "Dead",
    cell: ({ dead }) => (dead > 0 ? <Badge tone="bad">{formatNumber(dead)}</Badge> : count(0)),
    align: "end",
  },
  {
    label: "Oldest waits",
    cell: ({ oldestReadyAgeMs }) => (oldestReadyAgeMs === null ? "" : <Duration ms={oldestReadyAgeMs} />),
    align: "end",
    priority: 3,
  },
  {
    label: "State",
    cell: ({ paused }) => (paused ? <Badge tone="warn">paused</Badge> : <Badge tone="ok">active</Badge>),
    card: "aside",
  },
];

export default function Queues() {
  const query = useGet<{ queues: readonly Queue[] }>("/queues");
  useStream(
    "system",
    ({ type }) => (type === "jobs.changed" || type.startsWith("queue.")) && query.reload(),
    query.reload,
  );
  const queues = query.data?.queues;
  const paused = queues?.filter((queue) => queue.paused).length ?? 0;
  return (
    <Page
      title="Queues"
      subtitle={paused > 0 ? `${plural(paused, "queue is", "queues are")} paused.` : "All queues are active."}
      tabs={<JobTabs value="queues" />}
    >
      <DataTable<Queue>
        label="Queues"
        rows={queues}
        rowKey={({ name }) => name}
        columns={COLUMNS}
        rowHref={({ name }) => href(`/jobs?queue=${encodeURIComponent(name)}`)}
        rowActions={(queue) => (can("jobs:manage") ? <QueueActions queue={queue} onDone={query.reload} /> : null)}
        loading={query.loading}
        error={query.error}
        retry={query.reload}
        empty={<EmptyState title="There are no queues" text="The server makes them at its start." />}
      />
    </Page>
  );
}

function QueueActions({ queue, onDone }: { readonly queue: Queue; readonly onDone: () => void }) {
  const { name, paused, dead, ready, scheduled, retrying } = queue;
  const path = `/queues/${encodeURIComponent(name)}`;
  const pause = async () => {
    const text = "Running jobs finish. Others wait until the queue is resumed, also after a restart.";
    if (!(await confirm({ title: `Pause ${name}?`, text, action: "Pause" }))) return;
    await api.post(`${path}/pause`);
    toast.ok(`${name} is paused.`, { undo: resume });
    onDone();
  };
  const resume = async () => {
    await api.post(`${path}/resume`);
    toast.ok(`${name} runs again.`);
    onDone();
  };
  const requeue = async () => {
    const title = `Retry ${plural(dead, "dead job")} of ${name}?`;
    if (!(await confirm({ title, text: "They run again, with all attempts.", action: `Retry ${dead}` }))) return;
    await api.post(`${path}/requeue-dead`);
    onDone();
  };
  const drain = async () => {
    const waiting = ready + scheduled + retrying;
    const title = `Cancel ${plural(waiting, "waiting job")} of ${name}?`;
    const text = "They do not run. Running jobs finish.";
    if (!(await confirm({ title, text, action: "Cancel them", danger: true, typed: name }))) return;
    await api.post(`${path}/drain`);
    onDone();
  };
  return (
    <>
      <Button small onClick={paused ? resume : pause}>
        {paused ? "Resume" : "Pause"}
      </Button>
      <Menu
        label={`More for ${name}`}
        small
        items={[
          { label: "Retry dead jobs", onSelect: requeue, disabled: dead === 0 },
          { label: "Cancel waiting jobs", onSelect: drain, danger: true, disabled: ready + scheduled + retrying === 0 },
        ]}
      />
    </>
  );
}
