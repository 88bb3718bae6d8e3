import { Siren } from "lucide";
import type { ListedIncident } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { endFilter, ownFilter, searchFilter, selectFilter, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { ProjectFilter, projectIdOf } from "../../app/project-choice.tsx";
import { useProjects } from "../../app/projects.ts";
import { ChosenTime, rangeOf } from "../../app/time-range.tsx";
import { Button, Checkbox, choices } from "../../ui/index.ts";
import { useAlertingChanges } from "./changes.ts";
import { countsOf, figureText, subtitleOf } from "./counts-text.ts";
import { FIGURE_FILTERS, isOfFigure, useFigureTotal } from "./figure-filters.tsx";
import { columnsOf, isQuiet, isWaiting } from "./incident-rows.tsx";
import { noIncidents } from "./no-incidents.tsx";
import { incidentCounts, notifiedElsewhere } from "./open-incidents.ts";
import { PageButton } from "./page-dialog.tsx";
import { Bulk, HOTKEYS, RowActions } from "./row-actions.tsx";
import { SEVERITY_OPTIONS, severityTone } from "./severity.tsx";

const STATES = choices({
  unresolved: "Unresolved",
  open: "Open",
  acknowledged: "Acknowledged",
  snoozed: "Snoozed",
  resolved: "Resolved",
});
const FILTERS = {
  q: searchFilter("Search incidents", "Part of the title"),
  project: ownFilter("project", (bound) => <ProjectFilter small by="slug" {...bound} />, "projectId"),
  severity: selectFilter("Severity", [...SEVERITY_OPTIONS, { value: "none", label: "Not set" }], true),
  mine: ownFilter("people", ({ value, onChange }) => (
    <Checkbox checked={value !== ""} onChange={(isOn) => onChange(isOn ? "true" : "")} label="I was notified" />
  )),
  ...FIGURE_FILTERS,
  state: endFilter("State", STATES),
};
function queryOf({ state, paged }: { readonly state: string; readonly paged: string }) {
  // Only unresolved ones wait for attention.
  const isNewest = state === "resolved" || (state === "all" && paged !== "");
  return { state: state === "all" ? "" : state, order: isNewest ? "newest" : "attention" };
}

/** Open incidents, and who takes care of them. */
export function IncidentsPage() {
  const list = useListOf<ListedIncident, typeof FILTERS>("/incidents", FILTERS, queryOf);
  const { state, project, ...others } = list.values;
  const total = useFigureTotal(list);
  const isWhole = project === "" && Object.values(others).every((value) => value === "");
  const projects = useProjects();
  useAlertingChanges(list.reload, projectIdOf(projects, project));
  const mayAct = state !== "resolved" && list.items?.some((incident) => incident.mayAct) === true;
  return (
    <ListPage<ListedIncident>
      of={list}
      title="Incidents"
      subtitle={
        isOfFigure(list.values)
          ? figureText(total)
          : subtitleOf((isWhole ? incidentCounts.value : undefined) ?? countsOf(list.items), state)
      }
      noun="incident"
      rows={list.items?.toSorted((a, b) => Number(isQuiet(a)) - Number(isQuiet(b)))}
      columns={columnsOf(projects)}
      actions={<PageButton />}
      above={<ChosenTime range={rangeOf(list.values)} onClear={() => list.set({ from: "", to: "" })} />}
      rowHref={({ id }) => href(`/incidents/${id}`)}
      rowTone={(incident) => (isWaiting(incident) ? severityTone(incident.severity, incident.urgency) : undefined)}
      bulk={mayAct && ((ids, done) => <Bulk ids={ids} onDone={done} />)}
      rowActions={mayAct ? (incident) => <RowActions incident={incident} /> : undefined}
      hotkeys={mayAct ? HOTKEYS : undefined}
      empty={noIncidents(notifiedElsewhere.value)}
      unmatched={{
        icon: Siren,
        ...(others.mine === ""
          ? { title: "No such incident", text: "Choose another state or severity, or clear the search." }
          : { title: "None of yours", text: "You were notified of no incident that fits." }),
        action: <Button onClick={list.clear}>All unresolved ones</Button>,
      }}
    />
  );
}
