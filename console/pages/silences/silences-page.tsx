import { BellOff } from "lucide";
import type { Silence } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { endFilter, PROJECT_CHOICE, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { useStream } from "../../app/live.ts";
import { canInProject } from "../../app/memberships.ts";
import { streamOf } from "../../app/project-choice.tsx";
import { useProjects } from "../../app/projects.ts";
import { IDLE_MS, useRefresh } from "../../app/refresh.ts";
import { choices, formatRelative, plural } from "../../ui/index.ts";
import { expire } from "./silence-actions.ts";
import { COLUMNS, RowActions } from "./silence-rows.tsx";
import { inOrder } from "./silence-types.ts";

const FILTERS = {
  project: PROJECT_CHOICE,
  state: endFilter(
    "State",
    choices({ live: "Live", active: "Active", pending: "Pending", recurring: "Recurring", expired: "Past" }),
  ),
};
const EMPTY = {
  icon: BellOff,
  title: "Nothing is silenced",
  text: "A silence keeps matching alerts from notifying anyone for a time, once or in recurring windows. amtool works, too:",
  command: `amtool --alertmanager.url=${location.origin}/alertmanager silence add team=db -d 2h -c "disks"`,
};

function queryOf(filter: string): Readonly<Record<string, string>> {
  if (filter === "expired") return { state: filter };
  // The first to end are of the first page.
  const sort = "endsAt";
  if (filter === "recurring") return { state: "active,pending", kind: "maintenance", sort };
  return { state: filter === "live" ? "active,pending" : filter, sort };
}

/** Current and coming silences. */
export default function SilencesPage() {
  const list = useListOf<Silence, typeof FILTERS>("/silences", FILTERS, ({ state }) => queryOf(state));
  const { project, state } = list.values;
  const refreshSoon = useRefresh(list.reload, 1000, IDLE_MS);
  useStream(streamOf(useProjects(), project), refreshSoon, refreshSoon);
  const isWritable = canInProject("silences:write") === true;
  const mayEnd = isWritable && state !== "expired";
  return (
    <ListPage<Silence>
      of={{ ...list, items: list.items && inOrder(list.items) }}
      title="Silences"
      subtitle={summary(list.items, state)}
      noun="silence"
      columns={COLUMNS}
      make={isWritable ? `/silences/new?project=${project}` : undefined}
      rowHref={({ id }) => href(`/silences/${id}`)}
      rowActions={mayEnd ? (silence) => <RowActions silence={silence} /> : undefined}
      hotkeys={mayEnd ? { e: expire } : undefined}
      empty={EMPTY}
      unmatched={{ icon: BellOff, title: "No such silence", text: "Choose another state." }}
    />
  );
}

function summary(items: readonly Silence[] | undefined, filter: string): string {
  if (items === undefined || filter === "expired") return "Which alerts notify no one, and until when.";
  const active = items.filter(({ state }) => state === "active");
  if (active.length === 0) {
    const [next] = items
      .filter(({ state }) => state === "pending")
      .map(({ window }) => window?.startsAt ?? "")
      .sort();
    return next
      ? `Nothing is silenced now. The next silence starts ${formatRelative(next)}.`
      : "Nothing is silenced now.";
  }
  const [end] = active.flatMap(({ window }) => window?.endsAt ?? []).sort();
  const first = end === undefined ? "" : ` ${active.length === 1 ? "It" : "The first"} ends ${formatRelative(end)}.`;
  return `${plural(active.length, "silence is", "silences are")} active now.${first}`;
}
