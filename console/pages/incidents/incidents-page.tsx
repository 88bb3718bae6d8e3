import { Siren } from "lucide";
import { useState } from "preact/hooks";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { canInProject } from "../../app/memberships.ts";
import { ProjectFilter, projectIdOf } from "../../app/project-choice.tsx";
import { useProjects } from "../../app/projects.ts";
import { useList } from "../../app/query.ts";
import {
  Badge,
  Button,
  Checkbox,
  type Column,
  DataTable,
  EmptyState,
  Menu,
  Page,
  plural,
  SearchInput,
  Segmented,
  Time,
  Toolbar,
  UserText,
} from "../../ui/index.ts";
import { useAlertingChanges } from "./changes.ts";
import {
  acknowledge,
  actOnMany,
  addNote,
  escalate,
  resolve,
  SnoozeDialog,
  silence,
  snoozeEntries,
} from "./incident-actions.tsx";
import { actorName, isOpen, type ListedIncident, stateOf } from "./incident-types.ts";
import { PageDialog } from "./page-dialog.tsx";

const FILTERS = [
  { value: "unresolved", label: "Unresolved" },
  { value: "open", label: "Open" },
  { value: "acknowledged", label: "Acknowledged" },
  { value: "snoozed", label: "Snoozed" },
  { value: "resolved", label: "Resolved" },
];

const COLUMNS: readonly Column<ListedIncident>[] = [
  {
    key: "number",
    label: "Number",
    cell: ({ number }) => <span class="num muted">#{number}</span>,
    width: "min",
    card: "meta",
  },
  {
    key: "title",
    label: "Incident",
    cell: ({ title, summary, urgency }) => (
      <span class="inline">
        <UserText lines={2}>{title}</UserText>
        {summary && summary !== title && (
          <span class="muted small">
            <UserText lines={2}>{summary}</UserText>
          </span>
        )}
        {urgency === "low" && <Badge tone="plain">low urgency</Badge>}
      </span>
    ),
    card: "title",
    width: "wide",
  },
  {
    key: "state",
    label: "State",
    cell: (incident) => <Badge tone={stateOf(incident).tone}>{stateOf(incident).text}</Badge>,
    card: "aside",
    width: "min",
  },
  {
    key: "alerts",
    label: "Firing",
    cell: ({ alerts, firing }) => <span class="num nowrap">{`${firing} of ${alerts}`}</span>,
    align: "end",
    width: "min",
    card: "meta",
  },
  {
    key: "since",
    label: "Since",
    cell: ({ openedAt }) => <Time at={openedAt} />,
    card: "meta",
    width: "min",
  },
  { key: "next", label: "Then", cell: (incident) => <Next incident={incident} />, card: "meta" },
];

/** Who has it, or what happens next. */
function Next({ incident }: { readonly incident: ListedIncident }) {
  const { acknowledgedBy, isSnoozed, isWithheld, snoozedUntil, nextStepAt, resolvedAt, state, notifiesPeople } =
    incident;
  if (state === "resolved")
    return (
      <span>
        ended <Time at={resolvedAt} />
      </span>
    );
  if (isSnoozed)
    return (
      <span>
        open again <Time at={snoozedUntil} />
      </span>
    );
  const names = acknowledgedBy.map(actorName);
  if (state === "acknowledged") return <UserText lines={1}>{`by ${names.join(", ")}`}</UserText>;
  if (isWithheld) return <span class="muted">withheld</span>;
  return nextStepAt === null ? (
    <span class="muted">{notifiesPeople ? "waits for people" : "calls webhooks only"}</span>
  ) : (
    <span>
      next step <Time at={nextStepAt} />
    </span>
  );
}

/** What people are notified of, and who has it. */
export function IncidentsPage() {
  const filters = useFilters({ state: "unresolved", q: "", project: "", mine: "" });
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [snoozed, setSnoozed] = useState<ListedIncident | null>(null);
  const [isPaging, setPaging] = useState(false);
  const { state: filter, q, project, mine } = filters.values;
  const projects = useProjects();
  const query = {
    state: filter === "all" ? "" : filter,
    q,
    projectId: project,
    mine,
    limit: 50,
  };
  const list = useList<ListedIncident>("/incidents", query);
  useAlertingChanges(list.reload, projectIdOf(projects, project));
  const mayAct = list.items?.some((incident) => incident.mayAct) === true;
  return (
    <Page
      title="Incidents"
      subtitle={subtitleOf(list.items, filter)}
      actions={canInProject("incidents:act") === true && <Button onClick={() => setPaging(true)}>Page someone</Button>}
    >
      <Toolbar end={<Segmented small label="State" {...filters.bind("state")} options={FILTERS} />}>
        <SearchInput {...filters.bind("q")} label="Search incidents" placeholder="Part of the title" />
        <ProjectFilter small by="slug" {...filters.bind("project")} />
        <Checkbox
          checked={mine !== ""}
          onChange={(isOn) => filters.set({ mine: isOn ? "true" : "" })}
          label="I was notified"
        />
      </Toolbar>
      <DataTable<ListedIncident>
        label="Incidents"
        list={list}
        rowKey={({ id }) => id}
        rowHref={({ id }) => href(`/incidents/${id}`)}
        columns={COLUMNS}
        rowTone={(incident) => (isOpen(incident) ? (incident.urgency === "high" ? "bad" : "warn") : undefined)}
        {...(mayAct && filter !== "resolved"
          ? {
              selection: {
                selected,
                onChange: setSelected,
                bulk: (ids: readonly string[]) => <Bulk ids={ids} onDone={() => setSelected(new Set())} />,
              },
              rowActions: (incident: ListedIncident) => (
                <RowActions incident={incident} onSnooze={() => setSnoozed(incident)} />
              ),
              hotkeys: {
                a: (incident: ListedIncident) => void (isOpen(incident) && incident.mayAct && acknowledge(incident)),
                e: (incident: ListedIncident) => void (isLive(incident) && resolve(incident)),
                s: (incident: ListedIncident) => isLive(incident) && silence(incident),
                z: (incident: ListedIncident) => isLive(incident) && setSnoozed(incident),
              },
            }
          : {})}
        empty={filters.isFiltered ? <NoMatch onClear={() => filters.set({ state: "unresolved" })} /> : <NoIncident />}
      />
      <PageDialog isOpen={isPaging} onClose={() => setPaging(false)} />
      <SnoozeDialog incident={snoozed} onClose={() => setSnoozed(null)} />
    </Page>
  );
}

/** Whether the user may act on it. */
function isLive({ state, mayAct }: ListedIncident): boolean {
  return mayAct && state !== "resolved";
}

function NoMatch({ onClear }: { readonly onClear: () => void }) {
  return (
    <EmptyState
      icon={Siren}
      title="No such incident"
      text="Choose another state, or clear the search."
      action={<Button onClick={onClear}>Unresolved ones</Button>}
    />
  );
}

function NoIncident() {
  return (
    <EmptyState
      icon={Siren}
      title="All is quiet"
      text="An alert opens an incident, and its policy decides who is notified. Try one with a project's API key:"
      command={`curl ${location.origin}/api/v1/alerts -H "Authorization: Bearer $KEY" -H "Content-Type: application/json" -d '{"alerts":[{"labels":{"alertname":"Test"}}]}'`}
    />
  );
}

function Bulk({ ids, onDone }: { readonly ids: readonly string[]; readonly onDone: () => void }) {
  const run = async (action: "acknowledge" | "resolve") => {
    if (await actOnMany(action, ids)) onDone();
  };
  return (
    <>
      <Button small variant="primary" onClick={() => run("acknowledge")}>
        Acknowledge
      </Button>
      <Button small onClick={() => run("resolve")}>
        Resolve
      </Button>
    </>
  );
}

function RowActions({ incident, onSnooze }: { readonly incident: ListedIncident; readonly onSnooze: () => void }) {
  if (!isLive(incident)) return null;
  return (
    <span class="inline">
      {isOpen(incident) && (
        <Button small onClick={() => acknowledge(incident)}>
          Acknowledge
        </Button>
      )}
      <Menu
        small
        label={`More for incident ${incident.number}`}
        items={[
          { label: "Resolve…", keys: "e", onSelect: () => resolve(incident) },
          { label: "Escalate now…", onSelect: () => escalate(incident) },
          ...(incident.direct === null ? [{ label: "Silence…", keys: "s", onSelect: () => silence(incident) }] : []),
          { label: "Add a note…", onSelect: () => addNote(incident) },
          { heading: "Snooze" },
          ...snoozeEntries(incident, onSnooze),
        ]}
      />
    </span>
  );
}

function subtitleOf(items: readonly ListedIncident[] | undefined, filter: string): string {
  if (items === undefined) return "What people are notified of, and who has it.";
  if (filter === "resolved") return "What is over, the latest first.";
  const open = items.filter(isOpen).length;
  const others = items.filter(({ state }) => state !== "resolved").length - open;
  if (open === 0) return others === 0 ? "Nothing is open." : `Nothing is open; ${others} acknowledged or snoozed.`;
  const rest = others === 0 ? "" : `, ${others} acknowledged or snoozed`;
  return `${plural(open, "incident waits", "incidents wait")} for an acknowledgement${rest}.`;
}
