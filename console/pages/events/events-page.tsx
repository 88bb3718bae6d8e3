import { Activity, Pause, Play, Send, SlidersHorizontal } from "lucide";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Event } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { connection } from "../../app/live.ts";
import { navigate } from "../../app/navigate.ts";
import { streamsOf, useProjects } from "../../app/projects.ts";
import { saveFile } from "../../app/save-file.ts";
import { can } from "../../app/session.ts";
import { ChosenTime, rangeOf } from "../../app/time-range.tsx";
import {
  Button,
  CodeInline,
  type Column,
  DataTable,
  EmptyState,
  formatNumber,
  hasDialog,
  IconButton,
  Menu,
  openDialog,
  Page,
  plural,
  Time,
  UserText,
} from "../../ui/index.ts";
import { openStory } from "../explain/index.ts";
import { EventFilters } from "./event-filters.tsx";
import { EventHistogram } from "./event-histogram.tsx";
import { summaryOf } from "./event-types.ts";
import { type FilterValues, isFiltered, queryOf, useFilters } from "./filters.ts";
import { type LiveEvents, MAX_ROWS, useLiveEvents } from "./live-events.ts";
import { LevelText, OutcomeBadge } from "./outcome-badge.tsx";
import { SendDialog } from "./send-dialog.tsx";

/** With a filter by result, older pages are read until so many rows match. */
const ENOUGH_MATCHES = 25;

const COLUMNS: readonly Column<Event>[] = [
  { label: "Time", cell: ({ receivedAt }) => <Time at={receivedAt} mode="clock" />, card: "meta", width: "min" },
  { label: "Type", cell: ({ type }) => <CodeInline>{type}</CodeInline>, card: "title" },
  { label: "Level", cell: ({ level }) => <LevelText level={level} />, width: "min", priority: 2 },
  {
    label: "Source",
    cell: ({ source }) => (source === null ? <span class="faint">—</span> : <UserText lines={1}>{source}</UserText>),
    priority: 2,
  },
  { label: "Summary", cell: (event) => <UserText lines={1}>{summaryOf(event)}</UserText>, card: "text", width: "wide" },
  { label: "Result", cell: (event) => <OutcomeBadge event={event} />, card: "aside", width: "min" },
];

const send = () => openDialog(<SendDialog />);

export default function EventsPage() {
  const [filters, setFilter, setFilters] = useFilters();
  const projects = useProjects();
  const [isPaused, setPaused] = useState(false);
  const [isHovered, setHovered] = useState(false);
  const [isWide, setWide] = useState(
    filters.level + filters.source + filters.from + filters.to + filters.project !== "",
  );
  const streams = streamsOf(projects, filters.project);
  const events = useLiveEvents(filters, streams, isPaused || isHovered || hasDialog());
  const rows = useMatching(events, filters);
  const clear = () => navigate("/events", { replace: true });
  return (
    <Page
      title="Events"
      subtitle={subtitleOf(rows, filters, isPaused)}
      width="wide"
      actions={
        <>
          <span class="only-wide">
            <Menu label="Export" text="Export" items={exportItems(filters)} />
          </span>
          {can("events:write") && (
            <Button icon={Send} onClick={send}>
              Send test event
            </Button>
          )}
        </>
      }
    >
      <div class="stack">
        <EventFilters
          filters={filters}
          setFilter={setFilter}
          projects={projects}
          isWide={isWide}
          end={
            <>
              <ChosenTime range={rangeOf(filters)} onClear={() => setFilters({ from: "", to: "" })} />
              {isFiltered(filters) && (
                <Button variant="quiet" onClick={clear}>
                  Clear filters
                </Button>
              )}
              <IconButton
                icon={SlidersHorizontal}
                label="More filters"
                pressed={isWide}
                onClick={() => setWide(!isWide)}
              />
              <Button icon={isPaused ? Play : Pause} onClick={() => setPaused(!isPaused)}>
                {isPaused ? "Resume" : "Pause"}
              </Button>
            </>
          }
        />
        <EventHistogram filters={filters} onRange={setFilters} />
        <HeldWhileUsed onHeld={setHovered}>
          <NewEvents events={events} />
          <DataTable<Event>
            label="Events"
            list={events}
            rows={rows}
            columns={COLUMNS}
            rowHref={({ id }) => href(`/events/${id}`)}
            rowTone={({ level }) => (level === "error" || level === "fatal" ? "bad" : undefined)}
            hotkeys={{ e: ({ id }) => openStory("event", id) }}
            dense
            empty={<NoEvents isFiltered={isFiltered(filters)} onClear={clear} onSend={send} />}
          />
          <OlderEvents rows={rows} onOlder={(to) => setFilter("to", to)} />
        </HeldWhileUsed>
      </div>
    </Page>
  );
}

function subtitleOf(rows: readonly Event[] | undefined, filters: FilterValues, isPaused: boolean): string {
  if (!rows) return "Received events, and the outcome of their rules.";
  const fired = rows.filter(({ outcome }) => outcome?.result === "fired").length;
  const state = isPaused ? "paused" : connection.value === "live" ? "live" : "reconnecting";
  const what = isFiltered(filters) ? "that match" : "shown";
  return `${plural(rows.length, "event")} ${what}, ${fired} caused a notification · ${state}`;
}

/** The result is not a filter of the server: more pages are read until enough rows match. */
function useMatching({ items, hasMore, loading, more }: LiveEvents, { outcome }: FilterValues) {
  const rows = outcome === "" ? items : items?.filter((event) => event.outcome?.result === outcome);
  const isShort = outcome !== "" && rows !== undefined && rows.length < ENOUGH_MATCHES;
  useEffect(() => {
    if (isShort && hasMore && !loading) more();
  });
  return rows;
}

/** Holds new rows back while the pointer or the focus is in the list. */
function HeldWhileUsed(props: {
  readonly onHeld: (isHeld: boolean) => void;
  readonly children: preact.ComponentChildren;
}) {
  const { onHeld, children } = props;
  const box = useRef<HTMLDivElement>(null);
  return (
    <div
      ref={box}
      class="stack s2"
      onPointerEnter={({ pointerType }) => pointerType === "mouse" && onHeld(true)}
      onPointerLeave={() => onHeld(box.current?.contains(document.activeElement) ?? false)}
      onFocusIn={() => onHeld(true)}
      onFocusOut={({ relatedTarget }) =>
        relatedTarget instanceof Node && box.current?.contains(relatedTarget) ? undefined : onHeld(false)
      }
    >
      {children}
    </div>
  );
}

function NewEvents({ events: { waiting, show } }: { readonly events: LiveEvents }) {
  return (
    <div class="new-events" aria-live="polite">
      {waiting > 0 && (
        <Button small onClick={show}>
          {plural(waiting, "new event")}, show
        </Button>
      )}
    </div>
  );
}

interface OlderProps {
  readonly rows: readonly Event[] | undefined;
  readonly onOlder: (to: string) => void;
}

function OlderEvents({ rows = [], onOlder }: OlderProps) {
  const last = rows.at(-1);
  if (rows.length < MAX_ROWS || !last) return null;
  return (
    <div class="spread">
      <span class="muted small">The newest {formatNumber(MAX_ROWS)} events are shown.</span>
      <Button small onClick={() => onOlder(last.receivedAt)}>
        Older events
      </Button>
    </div>
  );
}

interface NoEventsProps {
  readonly isFiltered: boolean;
  readonly onClear: () => void;
  readonly onSend: () => void;
}

function NoEvents({ isFiltered: hasFilters, onClear, onSend }: NoEventsProps) {
  if (hasFilters)
    return (
      <EmptyState
        icon={Activity}
        title="No event matches these filters"
        text="New ones appear here as they arrive."
        action={<Button onClick={onClear}>Clear filters</Button>}
      />
    );
  return (
    <EmptyState
      icon={Activity}
      title="No events yet"
      text="Events of your programs appear here at once, with the outcome of their rules."
      command='prism send --type test.hello "Hello"'
      action={
        can("events:write") && (
          <Button icon={Send} onClick={onSend}>
            Send test event
          </Button>
        )
      }
    />
  );
}

function exportItems(filters: FilterValues) {
  const { q: _q, ...query } = queryOf(filters);
  const save = async (format: "csv" | "ndjson") =>
    saveFile(await api.blob("/events/export", { ...query, format }), `events.${format}`);
  return [
    { heading: "Events of these filters" },
    { label: "CSV", hint: "for spreadsheets", onSelect: () => save("csv") },
    { label: "NDJSON", hint: "one JSON object per line", onSelect: () => save("ndjson") },
  ];
}
