import { BellOff } from "lucide";
import type { Silence } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useStream } from "../../app/live.ts";
import { MatcherChips } from "../../app/matcher-field.tsx";
import { canInProject } from "../../app/memberships.ts";
import { navigate, useQueryState } from "../../app/navigate.ts";
import { PersonName } from "../../app/person-name.tsx";
import { ProjectChoice, streamOf, useProjectChoice } from "../../app/project-choice.tsx";
import { useList } from "../../app/query.ts";
import { IDLE_MS, useRefresh } from "../../app/refresh.ts";
import {
  Badge,
  Button,
  type Column,
  DataTable,
  EmptyState,
  formatRelative,
  Menu,
  NewButton,
  Num,
  Page,
  plural,
  Segmented,
  Time,
  Toolbar,
  UserText,
} from "../../ui/index.ts";
import { expire, timeEntries } from "./silence-actions.ts";
import { nameOf, rhythmOf, STATES } from "./silence-types.ts";

const FILTERS = [
  { value: "live", label: "Live" },
  { value: "active", label: "Active" },
  { value: "pending", label: "Pending" },
  { value: "recurring", label: "Recurring" },
  { value: "expired", label: "Past" },
];

function queryOf(filter: string): Readonly<Record<string, string>> {
  if (filter === "recurring") return { state: "active,pending", kind: "maintenance" };
  return { state: filter === "live" ? "active,pending" : filter };
}

const COLUMNS: readonly Column<Silence>[] = [
  {
    label: "Silence",
    width: "wide",
    card: "title",
    cell: (silence) => (
      <div class="silence-what">
        <UserText lines={1}>{nameOf(silence)}</UserText>
        <MatcherChips matchers={silence.matchers} />
      </div>
    ),
  },
  {
    label: "State",
    card: "aside",
    width: "min",
    cell: ({ state, recurrence }) => (
      <span class="inline nowrap">
        <Badge {...STATES[state]} />
        {recurrence && <Badge tone="plain">recurs</Badge>}
      </span>
    ),
  },
  { label: "When", card: "meta", cell: (silence) => <When silence={silence} /> },
  { label: "By", card: "meta", priority: 2, cell: ({ createdBy }) => <Creator name={createdBy} /> },
  { label: "Silenced", align: "end", card: "meta", cardLabel: true, cell: ({ hits }) => <Num n={hits} /> },
];

/** Until when it lasts, or when it starts next. */
export function When({ silence: { state, window, endsAt, recurrence } }: { readonly silence: Silence }) {
  const at = state === "pending" ? window?.startsAt : (window?.endsAt ?? endsAt);
  const word = state === "pending" ? "starts" : state === "active" ? "until" : "ended";
  return (
    <span title={recurrence ? rhythmOf(recurrence) : undefined}>
      {word} <Time at={at} />
    </span>
  );
}

const ID = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;

/** A user, a key, or the name that a client of Alertmanager's API sent. */
export function Creator({ name }: { readonly name: string }) {
  if (ID.test(name)) return <PersonName id={name} isPlain />;
  return name.startsWith("key:") ? <span>an API key</span> : <UserText lines={1}>{name}</UserText>;
}

/** Current and coming silences. */
export default function SilencesPage() {
  const [filter, setFilter] = useQueryState("state", "live");
  const [project, setProject, projects] = useProjectChoice();
  const list = useList<Silence>("/silences", { projectId: project, limit: 50, ...queryOf(filter) });
  const refreshSoon = useRefresh(list.reload, 1000, IDLE_MS);
  useStream(streamOf(projects, project), refreshSoon, refreshSoon);
  const isWritable = canInProject("silences:write") === true;
  const make = <NewButton onClick={() => navigate(`/silences/new?project=${project}`)}>New silence</NewButton>;
  return (
    <Page title="Silences" subtitle={summary(list.items, filter)} actions={isWritable ? make : undefined}>
      <Toolbar end={<Segmented small label="State" value={filter} onChange={setFilter} options={FILTERS} />}>
        <ProjectChoice value={project} onChange={setProject} projects={projects} />
      </Toolbar>
      <DataTable<Silence>
        label="Silences"
        list={list}
        rowHref={({ id }) => href(`/silences/${id}`)}
        columns={COLUMNS}
        {...(isWritable && filter !== "expired"
          ? {
              rowActions: (silence: Silence) => <RowActions silence={silence} />,
              hotkeys: { e: (silence: Silence) => void expire(silence) },
            }
          : {})}
        empty={
          filter === "live" ? (
            <EmptyState
              icon={BellOff}
              title="Nothing is silenced"
              text="A silence keeps matching alerts from notifying anyone for a time, once or in recurring windows. amtool works, too:"
              command={`amtool --alertmanager.url=${location.origin}/alertmanager silence add team=db -d 2h -c "disks"`}
              action={isWritable ? make : undefined}
            />
          ) : (
            <EmptyState icon={BellOff} title="No such silence" text="Choose another state." />
          )
        }
      />
    </Page>
  );
}

function RowActions({ silence }: { readonly silence: Silence }) {
  if (silence.state === "expired") return null;
  return (
    <span class="inline">
      <Button small onClick={() => expire(silence)}>
        End
      </Button>
      <Menu small label={`More for ${nameOf(silence)}`} items={timeEntries(silence)} />
    </span>
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
