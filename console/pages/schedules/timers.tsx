import type { Timer } from "../../../src/client/api-types.gen.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { CronText } from "../../app/cron-text.tsx";
import { useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { PersonName } from "../../app/person-name.tsx";
import { invalidate } from "../../app/query.ts";
import { Badge, type Column, formatDuration, formatRelative, Time, UserText } from "../../ui/index.ts";
import { NewTimer } from "./new-timer.tsx";

function titleOf(action: Timer["action"]): unknown {
  switch (action.type) {
    case "notify":
      return action.payload["title"];
    case "event":
      return action.event;
    case "message":
      return action.channel;
  }
}

/** Timers of schedules have no label. */
function nameOf({ label, action }: Timer): string {
  const title = titleOf(action);
  return label || (typeof title === "string" ? title : "Timer");
}

const ACTIONS = { notify: "notifies", event: "sends an event", message: "publishes" } as const;

const COLUMNS: readonly Column<Timer>[] = [
  { label: "Timer", cell: (timer) => <UserText>{nameOf(timer)}</UserText>, card: "title", width: "wide" },
  { label: "Action", cell: ({ action }) => <span class="nowrap">{ACTIONS[action.type]}</span> },
  { label: "Created by", cell: ({ createdBy }) => <PersonName id={createdBy} />, priority: 2 },
  {
    label: "Repeats",
    cell: ({ cron, timezone, everyMs }) =>
      cron !== null ? (
        <CronText cron={cron} more={timezone === null ? "" : `in ${timezone}`} />
      ) : (
        <Badge tone="plain">{everyMs === null ? "once" : `every ${formatDuration(everyMs)}`}</Badge>
      ),
    card: "aside",
  },
  {
    label: "Due",
    cell: ({ runAt, state }) => (
      <Time at={state === "paused" ? null : runAt} empty={state === "paused" ? "paused" : undefined} />
    ),
    align: "end",
  },
];

const EMPTY = { title: "No timer is pending", text: "A timer reminds you, or sends an event, at a given time." };

function subtitleOf(timers: readonly Timer[] = []): string {
  const pending = timers.flatMap(({ runAt, state }) => (runAt !== null && state !== "paused" ? [runAt] : []));
  const [next] = pending.sort();
  return next ? `The next one fires ${formatRelative(next)}.` : "Notifications, events and messages at a later time.";
}

async function cancel(timer: Timer): Promise<void> {
  const text = timer.scheduleId === null ? "It does not fire." : "It does not fire any more.";
  const title = `Cancel ${nameOf(timer)}?`;
  const question = { title, text, action: "Cancel timer", done: "The timer is cancelled." };
  await confirmDelete(`/timers/${timer.scheduleId ?? timer.jobId}`, question, () => invalidate("/timers"));
}

/** Pending timers. */
export default function Timers() {
  const list = useListOf<Timer>("/timers", {});
  return (
    <ListPage<Timer>
      of={list}
      title="Timers"
      subtitle={subtitleOf(list.items)}
      noun="timer"
      columns={COLUMNS}
      make={() => <NewTimer />}
      rowKey={({ jobId }) => jobId}
      rowActions={(timer) => [{ label: "Cancel", onSelect: () => cancel(timer) }]}
      empty={EMPTY}
    />
  );
}
