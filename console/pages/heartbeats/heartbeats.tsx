import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { PROJECT_FILTER, searchFilter, segmentFilter, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { canInProject } from "../../app/memberships.ts";
import { choices, formatDuration, plural } from "../../ui/index.ts";
import { CreateDialog } from "./create-dialog.tsx";
import { COLUMNS, NoHeartbeat } from "./heartbeat-rows.tsx";
import { titleOf } from "./heartbeat-types.ts";
import { useHeartbeatsLive } from "./live.ts";

const STATUSES = choices({ "": "All", down: "Down", up: "Up", new: "New", paused: "Paused" });

const FILTERS = {
  q: searchFilter("Search heartbeats", "Name or tag"),
  status: segmentFilter("State", STATUSES),
  project: PROJECT_FILTER,
};

/** Jobs that report that they ran. */
export default function Heartbeats() {
  const list = useListOf<Heartbeat>("/heartbeats", FILTERS, { pings: 20 });
  useHeartbeatsLive();
  const isWriter = canInProject("heartbeats:write") === true;
  return (
    <ListPage<Heartbeat>
      of={list}
      title="Heartbeats"
      subtitle={subtitleOf(list.items, list.isFiltered)}
      noun="heartbeat"
      managedAs="heartbeats"
      columns={COLUMNS}
      make={isWriter ? () => <CreateDialog /> : undefined}
      rowHref={({ id }) => href(`/heartbeats/${id}`)}
      rowTone={(heartbeat) => (heartbeat.status === "down" ? "bad" : undefined)}
      empty={(action) => <NoHeartbeat isWriter={isWriter} action={action} />}
      below={
        list.items?.some(({ recentPings = [] }) => recentPings.length > 0) && (
          <p class="muted small only-wide">
            Last pings: green is a success, red a failure, blue a start; the higher the bar, the longer the run took.
          </p>
        )
      }
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
