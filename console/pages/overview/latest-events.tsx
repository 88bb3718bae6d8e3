import { useEffect } from "preact/hooks";
import type { Event } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { Card, CodeInline, type Column, DataTable, EmptyState, Time, UserText, useLatest } from "../../ui/index.ts";
import { summaryOf } from "../events/event-types.ts";
import type { LiveEvents } from "../events/live-events.ts";
import { OutcomeBadge } from "../events/outcome-badge.tsx";
import { openStory } from "../explain/index.ts";

/** The overview shows no more. */
export const SHOWN = 8;
/** In a burst the list changes this often. */
const EVERY_MS = 1000;

const COLUMNS: readonly Column<Event>[] = [
  { label: "Time", cell: ({ receivedAt }) => <Time at={receivedAt} mode="clock" />, card: "meta", width: "min" },
  { label: "Type", cell: ({ type }) => <CodeInline>{type}</CodeInline>, card: "title" },
  { label: "Summary", cell: (event) => <UserText lines={1}>{summaryOf(event)}</UserText>, card: "text", width: "wide" },
  { label: "Result", cell: (event) => <OutcomeBadge event={event} />, card: "aside", width: "min" },
];

export function LatestEvents({ events }: { readonly events: LiveEvents }) {
  const latest = useLatest(events);
  useEffect(() => {
    const timer = setInterval(() => latest.current.waiting > 0 && latest.current.show(), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <Card title="Latest events" link={{ href: href("/events"), text: "All events" }} flush>
      <DataTable<Event>
        label="Latest events"
        rows={events.items?.slice(0, SHOWN)}
        columns={COLUMNS}
        rowHref={({ id }) => href(`/events/${id}`)}
        hotkeys={{ e: ({ id }) => openStory("event", id) }}
        error={events.error}
        retry={events.reload}
        bare
        empty={<EmptyState small title="No events yet" text="They appear here as they arrive." />}
      />
    </Card>
  );
}
