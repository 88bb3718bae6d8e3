import { Siren } from "lucide";
import { useState } from "preact/hooks";
import type { ListedIncident } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { ProjectFilter, projectIdOf } from "../../app/project-choice.tsx";
import { type Project, useProjects } from "../../app/projects.ts";
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
  Select,
  Time,
  Toolbar,
  UserText,
} from "../../ui/index.ts";
import { useAlertingChanges } from "./changes.ts";
import {
  acknowledge,
  actOnMany,
  addNote,
  askSnooze,
  escalate,
  resolve,
  silence,
  snoozeEntries,
} from "./incident-actions.tsx";
import { actorName, isOpen, stateOf } from "./incident-types.ts";
import { PageButton } from "./page-dialog.tsx";
import { Age, SEVERITY_OPTIONS, SeverityBadge, severityTone } from "./severity.tsx";

const SEVERITIES_OF_INCIDENTS = [...SEVERITY_OPTIONS, { value: "none", label: "Not set" }];

const FILTERS = [
  { value: "unresolved", label: "Unresolved" },
  { value: "open", label: "Open" },
  { value: "acknowledged", label: "Acknowledged" },
  { value: "snoozed", label: "Snoozed" },
  { value: "resolved", label: "Resolved" },
];

/** @param projects more than one: each row says which it is of */
function columnsOf(projects: readonly Project[]): readonly Column<ListedIncident>[] {
  return [
    {
      label: "Severity",
      cell: ({ severity, urgency }) => <SeverityBadge word={severity} urgency={urgency} />,
      width: "min",
      card: "aside",
    },
    {
      label: "Incident",
      cell: ({ number, title, summary }) => (
        <span class="one-line">
          <span class="num muted">#{number}</span>
          <UserText lines={1}>{title}</UserText>
          {summary && summary !== title && <UserText lines={1}>{summary}</UserText>}
        </span>
      ),
      card: "title",
      width: "wide",
    },
    ...(projects.length < 2
      ? []
      : [
          {
            label: "Project",
            cell: ({ projectId }: ListedIncident) => (
              <UserText lines={1}>{projects.find(({ id }) => id === projectId)?.name ?? ""}</UserText>
            ),
            card: "meta",
            priority: 3,
            width: "min",
          } as const,
        ]),
    { label: "State", cell: (incident) => <State incident={incident} />, card: "meta", width: "min" },
    {
      label: "Firing",
      cell: ({ alerts, firing }) => <span class="num nowrap">{`${firing} of ${alerts}`}</span>,
      align: "end",
      width: "min",
      card: "hide",
      priority: 2,
    },
    {
      label: "Fires",
      cell: ({ firingSince, resolvedAt }) =>
        resolvedAt === null ? <Age at={firingSince} /> : <Time at={resolvedAt} />,
      card: "meta",
      width: "min",
    },
    { label: "Then", cell: (incident) => <Next incident={incident} />, card: "meta", width: "min" },
  ];
}

/** The colour of a row is its severity; the state needs a colour only where someone has it. */
function State({ incident }: { readonly incident: ListedIncident }) {
  const { text, tone } = stateOf(incident);
  return isOpen(incident) ? <span class="only-wide">{text}</span> : <Badge tone={tone}>{text}</Badge>;
}

/** Who has it, or what happens next. */
function Next({ incident }: { readonly incident: ListedIncident }) {
  const { acknowledgedBy, isSnoozed, withheldAs, snoozedUntil, nextStepAt, resolvedAt, state, notifiesPeople } =
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
  if (withheldAs !== null) return <span class="muted">{withheldAs}</span>;
  return nextStepAt === null ? (
    <span class="muted only-wide">{notifiesPeople ? "waits for people" : "calls webhooks only"}</span>
  ) : (
    <span>
      next step <Time at={nextStepAt} />
    </span>
  );
}

/** Open incidents, and who takes care of them. */
export function IncidentsPage() {
  const filters = useFilters({ state: "unresolved", severity: "", q: "", project: "", mine: "" });
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const { state: filter, severity, q, project, mine } = filters.values;
  const projects = useProjects();
  const query = {
    state: filter === "all" ? "" : filter,
    severity,
    q,
    projectId: project,
    mine,
    // Resolved incidents are listed by their end.
    order: filter === "resolved" ? "newest" : "attention",
    limit: 50,
  };
  const list = useList<ListedIncident>("/incidents", query);
  useAlertingChanges(list.reload, projectIdOf(projects, project));
  const mayAct = list.items?.some((incident) => incident.mayAct) === true;
  return (
    <Page title="Incidents" subtitle={subtitleOf(list.items, filter)} actions={<PageButton />}>
      <Toolbar end={<Segmented small label="State" {...filters.bind("state")} options={FILTERS} />}>
        <SearchInput {...filters.bind("q")} label="Search incidents" placeholder="Part of the title" />
        <ProjectFilter small by="slug" {...filters.bind("project")} />
        <Select small label="Severity" {...filters.bind("severity")} options={SEVERITIES_OF_INCIDENTS} />
        <Checkbox
          checked={mine !== ""}
          onChange={(isOn) => filters.set({ mine: isOn ? "true" : "" })}
          label="I was notified"
        />
      </Toolbar>
      <DataTable<ListedIncident>
        label="Incidents"
        list={list}
        rowHref={({ id }) => href(`/incidents/${id}`)}
        rows={list.items?.toSorted((a, b) => Number(isQuiet(a)) - Number(isQuiet(b)))}
        columns={columnsOf(projects)}
        rowTone={(incident) => (isWaiting(incident) ? severityTone(incident.severity, incident.urgency) : undefined)}
        {...(mayAct && filter !== "resolved"
          ? {
              selection: {
                selected,
                onChange: setSelected,
                bulk: (ids: readonly string[]) => <Bulk ids={ids} onDone={() => setSelected(new Set())} />,
              },
              rowActions: (incident: ListedIncident) => <RowActions incident={incident} />,
              hotkeys: {
                a: (incident: ListedIncident) => isOpen(incident) && incident.mayAct && acknowledge(incident),
                e: (incident: ListedIncident) => isLive(incident) && resolve(incident),
                s: (incident: ListedIncident) => isLive(incident) && silence(incident),
                z: (incident: ListedIncident) => isLive(incident) && askSnooze(incident),
              },
            }
          : {})}
        empty={filters.isFiltered ? <NoMatch onClear={filters.clear} /> : <NoIncident />}
      />
    </Page>
  );
}

/** Open, and people are notified of it. */
function isWaiting(incident: ListedIncident): boolean {
  return isOpen(incident) && incident.notifiesPeople && incident.withheldAs === null;
}

/** Open, but all its alerts are silenced, inhibited or muted: it comes after those that wait for people. */
function isQuiet(incident: ListedIncident): boolean {
  return isOpen(incident) && incident.withheldAs !== null;
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
      text="Choose another state or severity, or clear the search."
      action={<Button onClick={onClear}>All unresolved ones</Button>}
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

function RowActions({ incident }: { readonly incident: ListedIncident }) {
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
          ...snoozeEntries(incident),
        ]}
      />
    </span>
  );
}

function subtitleOf(items: readonly ListedIncident[] | undefined, filter: string): string {
  if (items === undefined) return "Open incidents, and who takes care of them.";
  if (filter === "resolved") return "Resolved incidents, the latest first.";
  const open = items.filter(isWaiting).length;
  const taken = items.filter((each) => each.state !== "resolved" && !isOpen(each)).length;
  const rest = taken === 0 ? "" : `, ${taken} acknowledged or snoozed`;
  if (open === 0) return taken === 0 ? "No incident waits for people." : `None waits for people${rest}.`;
  // One line on a phone, as before the rows are known.
  const wait = plural(open, "incident waits", "incidents wait");
  return rest === "" ? `${wait} for an acknowledgement.` : `${wait}${rest}.`;
}
