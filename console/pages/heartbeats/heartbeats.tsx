import { HeartPulse } from "lucide";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { canInProject } from "../../app/memberships.ts";
import { ProjectFilter } from "../../app/project-choice.tsx";
import { useList } from "../../app/query.ts";
import {
  Badge,
  Button,
  type Column,
  choices,
  DataTable,
  EmptyState,
  formatDuration,
  NewButton,
  openDialog,
  Page,
  plural,
  SearchInput,
  Segmented,
  Time,
  Toolbar,
  UserText,
} from "../../ui/index.ts";
import { CreateDialog } from "./create-dialog.tsx";
import { planOf, type RecentPing, STATUS, titleOf } from "./heartbeat-types.ts";
import { useHeartbeatsLive } from "./live.ts";
import { PingBars } from "./ping-bars.tsx";

const STATUSES = choices({ "": "All", down: "Down", up: "Up", new: "New", paused: "Paused" });

const COLUMNS: readonly Column<Heartbeat>[] = [
  {
    label: "Heartbeat",
    cell: (heartbeat) => (
      <span class="stack s2">
        <UserText>{titleOf(heartbeat)}</UserText>
        {heartbeat.tags.length > 0 && (
          <span class="inline">
            {heartbeat.tags.map((tag) => (
              <Badge key={tag} tone="plain">
                {tag}
              </Badge>
            ))}
          </span>
        )}
      </span>
    ),
    card: "title",
    width: "wide",
  },
  {
    label: "State",
    cell: ({ status, isStarted }) => (
      <Badge tone={STATUS[status].tone}>{isStarted ? `${STATUS[status].text}, running` : STATUS[status].text}</Badge>
    ),
    card: "aside",
    width: "min",
  },
  {
    label: "Expected",
    cell: (heartbeat) => <UserText lines={1}>{planOf(heartbeat)}</UserText>,
    card: "text",
    priority: 3,
  },
  { label: "Last pings", cell: ({ recentPings = [] }) => <PingBars pings={recentPings} />, priority: 2, card: "text" },
  { label: "Last ping", cell: ({ lastPingAt }) => <Time at={lastPingAt} empty="never" />, align: "end" },
  {
    label: "Next due",
    cell: ({ nextPingAt, status, recentPings = [] }) => (
      <Time at={nextPingAt} empty={status !== "down" ? "—" : hasFailed(recentPings) ? "failed" : "overdue"} />
    ),
    align: "end",
  },
];

/** @param pings the latest first */
function hasFailed(pings: readonly RecentPing[]): boolean {
  return pings.find(({ kind }) => kind === "success" || kind === "fail")?.kind === "fail";
}

/** Jobs that report that they ran. */
export default function Heartbeats() {
  const filters = useFilters({ q: "", status: "", project: "" });
  const { project: projectId, ...others } = filters.values;
  const list = useList<Heartbeat>("/heartbeats", { ...others, projectId, pings: 20, limit: 50 });
  useHeartbeatsLive();
  const isWriter = canInProject("heartbeats:write") === true;
  const make = isWriter ? <NewButton onClick={() => openDialog(<CreateDialog />)}>New heartbeat</NewButton> : undefined;
  const { isFiltered } = filters;
  return (
    <Page title="Heartbeats" subtitle={subtitleOf(list.items, isFiltered)} actions={make}>
      <Toolbar>
        <SearchInput {...filters.bind("q")} placeholder="Name or tag" label="Search heartbeats" />
        <Segmented label="State" {...filters.bind("status")} options={STATUSES} />
        <ProjectFilter {...filters.bind("project")} />
      </Toolbar>
      <DataTable<Heartbeat>
        label="Heartbeats"
        list={list}
        columns={COLUMNS}
        rowHref={({ id }) => href(`/heartbeats/${id}`)}
        rowTone={(heartbeat) => (heartbeat.status === "down" ? "bad" : undefined)}
        empty={
          isFiltered ? (
            <EmptyState title="No heartbeat matches" text="Change the search, the state or the project." />
          ) : (
            <Empty isWriter={isWriter} action={make} />
          )
        }
      />
    </Page>
  );
}

/** The command works at once: it has the project's ping key, when there is one. */
function Empty({ isWriter, action }: { readonly isWriter: boolean; readonly action: ComponentChildren }) {
  const [url, setUrl] = useState("");
  const show = async () => {
    const known = await api.get<{ pingUrl: string | null }>("/heartbeats/key");
    const { pingUrl } = known.pingUrl === null ? await api.post<typeof known>("/heartbeats/key/rotate") : known;
    setUrl(pingUrl ?? "");
  };
  return (
    <EmptyState
      icon={HeartPulse}
      title="No job is watched"
      text="A job calls a URL each time it runs. When the call does not come, an alert opens. The command creates a heartbeat and pings it."
      action={
        <span class="inline">
          {action}
          {isWriter && url === "" && <Button onClick={show}>Show a command to try</Button>}
        </span>
      }
      command={url === "" ? undefined : `curl -fsS "${url}/nightly-backup?create=1"`}
    />
  );
}

function subtitleOf(items: readonly Heartbeat[] | undefined, isFiltered: boolean): string {
  if (!items || items.length === 0) return "Jobs that report that they ran.";
  const down = items.filter(({ status }) => status === "down");
  const late = items.filter(({ status }) => status === "grace").length;
  const [first] = down;
  if (first && down.length === 1) return `${titleOf(first)} is down.`;
  if (first) return `${plural(down.length, "heartbeat is", "heartbeats are")} down.`;
  if (late > 0) return `${plural(late, "ping is", "pings are")} late.`;
  if (isFiltered) return `${plural(items.length, "heartbeat")} shown.`;
  const due = items.map(({ nextPingAt }) => nextPingAt).filter((at) => at !== null);
  const next = due.sort()[0];
  if (next === undefined) return "No heartbeat is down.";
  return `No heartbeat is down; the next ping is due in ${formatDuration(Math.max(0, Date.parse(next) - Date.now()))}.`;
}
