import { BellOff, CheckCheck, Inbox as InboxIcon } from "lucide";
import { useState } from "preact/hooks";
import type { Notification } from "../../../src/client/api-types.gen.ts";
import { api, type Page as PageOf } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { MirrorBadge } from "../../app/mirror.tsx";
import { ProjectFilter } from "../../app/project-choice.tsx";
import { refresh, useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  Button,
  type Column,
  Combobox,
  DataTable,
  EmptyState,
  Menu,
  type Option,
  SearchInput,
  Select,
  Time,
  Toolbar,
  UserText,
  useTogether,
} from "../../ui/index.ts";
import { openStory } from "../explain/index.ts";
import { useAlertingChanges } from "../incidents/changes.ts";
import { acknowledge, askNote, readSome, remove } from "./inbox-actions.ts";
import { IncidentState, incidentIdOf, isTaken, useIncidents, useIncidentsQuery } from "./incident-state.tsx";
import { type Filter, replace, useInbox } from "./live-inbox.ts";
import { KIND_OPTIONS, stateOf, textOf, URGENT } from "./notification-types.ts";

const COLUMNS: readonly Column<Notification>[] = [
  {
    label: "Notification",
    cell: (notification) => (
      <>
        <UserText>{notification.title}</UserText>
        <span class="inbox-message">
          <UserText lines={1}>{textOf(notification)}</UserText>
        </span>
        {notification.me.acknowledgeNote && (
          <span class="inbox-message">
            <UserText lines={1}>{`“${notification.me.acknowledgeNote}”`}</UserText>
          </span>
        )}
      </>
    ),
    card: "title",
    width: "wide",
  },
  {
    label: "State",
    cell: (notification) => {
      const { text, tone } = stateOf(notification);
      return (
        <span class="inline">
          <IncidentState notification={notification} />
          <Badge tone={tone}>{text}</Badge>
          <MirrorBadge projectId={notification.projectId} />
        </span>
      );
    },
    card: "aside",
    width: "min",
  },
  { label: "Received", cell: ({ createdAt }) => <Time at={createdAt} />, card: "meta", width: "min" },
];

const URGENCIES = [
  { value: "", label: "Any urgency" },
  { value: String(URGENT), label: "Urgent" },
];

const FILTERS = { q: "", kind: "", projectId: "", ruleId: "", minPriority: "" };
const NAMES = ["kind", "projectId", "ruleId", "minPriority"] as const;

const EMPTY: Readonly<Record<Filter, { title: string; text: string }>> = {
  unread: {
    title: "Nothing unread",
    text: "New notifications appear here at once, on every device on which you are signed in.",
  },
  all: {
    title: "No notifications yet",
    text: "Rules notify you when an event matches; programs and people can send you notifications too.",
  },
  acknowledged: {
    title: "Nothing acknowledged yet",
    text: "Acknowledge a notification to show others that you take care of it.",
  },
};

function incidentEntry(notification: Notification) {
  const id = incidentIdOf(notification);
  return id === null ? [] : [{ label: "Show the incident", href: href(`/incidents/${id}`) }];
}

export function MyNotifications({ filter, onShowAll }: { readonly filter: Filter; readonly onShowAll: () => void }) {
  const filters = useFilters(FILTERS);
  const list = useInbox(filter, filters.values);
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const readSelected = async (ids: readonly string[]) => {
    await readSome(ids);
    setSelected(new Set());
  };
  useAlertingChanges(() => refresh("/incidents"));
  const areNeeded = list.items?.some((each) => incidentIdOf(each) !== null) === true;
  const incidentOf = useIncidents(areNeeded);
  const mayAcknowledge = (notification: Notification) =>
    notification.me.acknowledgedAt === null && !isTaken(incidentOf(notification));
  const change = (next: Notification) => replace(list, next);
  const acknowledgeWithNote = async (notification: Notification) => {
    const note = await askNote(notification);
    if (note !== undefined) await acknowledge(notification, change, note);
  };
  const noteEntry = (notification: Notification) => {
    const onSelect = () => acknowledgeWithNote(notification);
    if (notification.me.acknowledgedAt !== null) return [{ label: "Change the note…", onSelect }];
    return mayAcknowledge(notification) ? [{ label: "Acknowledge with a note…", onSelect }] : [];
  };
  const rowActions = (notification: Notification) => (
    <>
      {mayAcknowledge(notification) && (
        <Button small onClick={() => acknowledge(notification, change)}>
          Acknowledge
        </Button>
      )}
      <Menu
        label={`More actions for ${notification.title}`}
        small
        items={[
          ...incidentEntry(notification),
          { label: "Explain", keys: "e", onSelect: () => openStory("notification", notification.id) },
          ...noteEntry(notification),
          "separator",
          { label: "Delete…", danger: true, onSelect: () => remove(notification).then(() => undefined) },
        ]}
      />
    </>
  );
  return (
    <div class="stack">
      <Toolbar
        search={<SearchInput {...filters.bind("q")} placeholder="Title or message" />}
        active={NAMES.filter((name) => filters.values[name] !== "").length}
      >
        <ProjectFilter {...filters.bind("projectId")} />
        <RuleFilter {...filters.bind("ruleId")} />
        <Select label="Kind" {...filters.bind("kind")} options={KIND_OPTIONS} />
        <Select label="Urgency" {...filters.bind("minPriority")} options={URGENCIES} />
        {filters.isFiltered && <Button onClick={filters.clear}>Clear filters</Button>}
      </Toolbar>
      <DataTable<Notification>
        label="Notifications"
        list={useTogether(list, useIncidentsQuery(areNeeded))}
        columns={COLUMNS}
        rowHref={({ id }) => href(`/inbox/${id}`)}
        rowActions={rowActions}
        selection={{
          selected,
          onChange: setSelected,
          bulk: (ids) => (
            <Button small icon={CheckCheck} onClick={() => readSelected(ids)}>
              Mark as read
            </Button>
          ),
        }}
        isUnread={({ read }) => !read}
        rowTone={(each) => (each.priority >= URGENT && mayAcknowledge(each) ? "bad" : undefined)}
        hotkeys={{
          a: (notification) => mayAcknowledge(notification) && acknowledge(notification, change),
          e: ({ id }) => openStory("notification", id),
        }}
        empty={
          filters.isFiltered ? (
            <EmptyState
              icon={InboxIcon}
              title="No notification matches these filters"
              text={list.hasMore ? "Older ones may match." : "Change the search or the filters."}
              action={list.hasMore && <Button onClick={list.more}>Search older ones</Button>}
            />
          ) : (
            <EmptyState
              icon={filter === "unread" ? BellOff : InboxIcon}
              {...EMPTY[filter]}
              action={filter === "unread" && <Button onClick={() => onShowAll()}>Show all</Button>}
            />
          )
        }
      />
    </div>
  );
}

/** A filter by rule, for users who may read rules. */
function RuleFilter({ value, onChange }: { readonly value: string; readonly onChange: (id: string) => void }) {
  const isAllowed = can("rules:read");
  const chosen = useGet<{ name: string }>(isAllowed && value !== "" ? `/rules/${value}` : null).data;
  if (!isAllowed) return null;
  return (
    <Combobox
      label="Rule"
      placeholder="Any rule"
      value={value}
      onChange={onChange}
      options={chosen ? [{ value, label: chosen.name }] : []}
      load={findRules}
      clearable
    />
  );
}

async function findRules(text: string): Promise<readonly Option[]> {
  const { data } = await api.get<PageOf<{ id: string; name: string }>>("/rules", { q: text, limit: 20 });
  return data.map(({ id, name }) => ({ value: id, label: name }));
}
