import type { Queue } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { ListPage } from "../../app/list-page.tsx";
import { useStream } from "../../app/live.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Badge, type Column, Duration, formatNumber, plural } from "../../ui/index.ts";
import { JobTabs } from "./job-tabs.tsx";
import { QueueActions } from "./queue-actions.tsx";

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
  const { data, ...query } = useGet<{ queues: readonly Queue[] }>("/queues");
  const { reload } = query;
  useStream("system", ({ type }) => (type === "jobs.changed" || type.startsWith("queue.")) && reload(), reload);
  const paused = data?.queues.filter((queue) => queue.paused).length ?? 0;
  return (
    <ListPage<Queue>
      of={{ ...query, items: data?.queues }}
      title="Queues"
      subtitle={paused > 0 ? `${plural(paused, "queue is", "queues are")} paused.` : "All queues are active."}
      noun="queue"
      columns={COLUMNS}
      rowKey={({ name }) => name}
      rowHref={({ name }) => href(`/jobs?queue=${encodeURIComponent(name)}`)}
      rowActions={(queue) => (can("jobs:manage") ? <QueueActions queue={queue} onDone={reload} /> : null)}
      tabs={<JobTabs value="queues" />}
      empty={{ title: "There are no queues", text: "The server makes them at its start." }}
    />
  );
}
