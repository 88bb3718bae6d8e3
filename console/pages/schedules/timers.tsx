import { useState } from "preact/hooks";
import type { Timer } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { PersonName } from "../../app/person-name.tsx";
import { useList } from "../../app/query.ts";
import {
  Badge,
  type Column,
  DataTable,
  DateTimeInput,
  Dialog,
  EmptyState,
  Field,
  formatDuration,
  formatRelative,
  Input,
  NewButton,
  openDialog,
  Page,
  Textarea,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";

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
  { label: "Then", cell: ({ action }) => <span class="nowrap">{ACTIONS[action.type]}</span> },
  { label: "Created by", cell: ({ createdBy }) => <PersonName id={createdBy} />, priority: 2 },
  {
    label: "Repeats",
    cell: ({ cron, timezone, everyMs }) =>
      cron !== null ? (
        <span class="mono nowrap">{`${cron} ${timezone ?? ""}`}</span>
      ) : (
        <Badge tone="plain">{everyMs === null ? "once" : `every ${formatDuration(everyMs)}`}</Badge>
      ),
    card: "aside",
  },
  {
    label: "Fires",
    cell: ({ runAt, state }) => (
      <Time at={state === "paused" ? null : runAt} empty={state === "paused" ? "paused" : undefined} />
    ),
    align: "end",
  },
];

/** Pending timers. */
export default function Timers() {
  const list = useList<Timer>("/timers", { limit: 50 });
  const cancel = async (timer: Timer) => {
    const text = timer.scheduleId === null ? "It does not fire." : "It does not fire any more.";
    await confirmDelete(
      `/timers/${timer.scheduleId ?? timer.jobId}`,
      { title: `Cancel ${nameOf(timer)}?`, text, action: "Cancel timer", done: "The timer is cancelled." },
      list.reload,
    );
  };
  const make = <NewButton onClick={() => openDialog(<NewTimer onDone={list.reload} />)}>New timer</NewButton>;
  const [next] = (list.items ?? [])
    .filter(({ runAt, state }) => runAt !== null && state !== "paused")
    .sort((a, b) => (a.runAt ?? "").localeCompare(b.runAt ?? ""));
  return (
    <Page
      title="Timers"
      subtitle={
        next?.runAt
          ? `The next one fires ${formatRelative(next.runAt)}.`
          : "Notifications, events and messages at a later time."
      }
      actions={make}
    >
      <DataTable<Timer>
        label="Timers"
        list={list}
        rowKey={({ jobId }) => jobId}
        columns={COLUMNS}
        rowActions={(timer) => [{ label: "Cancel", onSelect: () => cancel(timer) }]}
        empty={
          <EmptyState
            title="No timer is pending"
            text="A timer reminds you, or sends an event, at a given time."
            action={make}
          />
        }
      />
    </Page>
  );
}

/** A reminder for oneself; other actions need the API. */
function NewTimer({ onDone }: { readonly onDone: () => void }) {
  const [label, setLabel] = useState("");
  const [message, setMessage] = useState("");
  const [runAt, setRunAt] = useState("");
  const create = async () => {
    const action = { type: "notify", payload: { userId: "me", title: label, message } };
    await api.post("/time/trigger", { label, runAt, action });
    toast.ok("The timer is set.");
    onDone();
  };
  return (
    <Dialog
      title="New timer"
      subtitle="It notifies you."
      size="sm"
      onSubmit={create}
      action="Set timer"
      blocked={label.trim() === "" || message.trim() === "" || runAt === ""}
    >
      <Field label="Title" required>
        <Input value={label} onChange={setLabel} maxLength={100} autoFocus />
      </Field>
      <Field label="Text" required>
        <Textarea value={message} onChange={setMessage} rows={3} />
      </Field>
      <Field label="Fires at" required>
        <DateTimeInput value={runAt} onChange={setRunAt} />
      </Field>
    </Dialog>
  );
}
