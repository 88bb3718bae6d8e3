import { useState } from "preact/hooks";
import type { Alert, AlertStats } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { MatcherField } from "../../app/matcher-field.tsx";
import { type Matcher, matcherText, readMatchers } from "../../app/matchers.ts";
import { navigate, useQueryState } from "../../app/navigate.ts";
import { ProjectChoice, projectIdOf, useProjectChoice } from "../../app/project-choice.tsx";
import { useGet, useList } from "../../app/query.ts";
import { useProjectChanges } from "../../app/refresh.ts";
import { ChosenTime, filtersOf, rangeOf } from "../../app/time-range.tsx";
import {
  Button,
  Card,
  choices,
  DataTable,
  Histogram,
  Page,
  SearchInput,
  Segmented,
  Select,
  Toolbar,
  useTogether,
} from "../../ui/index.ts";
import { useAlertingChanges } from "../incidents/changes.ts";
import { SEVERITY_OPTIONS, severityTone, wordsOf } from "../incidents/severity.tsx";
import { AlertGroups } from "./alert-groups.tsx";
import { mayResolve, RowActions } from "./alert-list-actions.tsx";
import { columnsOf } from "./alert-rows.tsx";
import { cutNote, seriesOf } from "./alert-series.ts";
import { quietWord, resolveAlert, silencePath, stateOf } from "./alert-types.ts";
import { LabelCounts } from "./label-counts.tsx";
import { NoAlert } from "./no-alert.tsx";

/** Of what the figures are, by state. */
const HISTOGRAMS: Readonly<Record<string, string>> = {
  firing: "Firing alerts by their start, last 24 hours",
  pending: "Pending alerts by their start, last 24 hours",
  resolved: "Resolved alerts by their end, last 24 hours",
};
const STATES = choices({ firing: "Firing", pending: "Pending", resolved: "Resolved" });
const FILTERS = { state: "firing", severity: "", matcher: "", q: "", from: "", to: "" };
const BY_NAME = "alertname";
const NOT_GROUPED = "none";
const STEP_MS = 1_800_000;
const STATS_EVERY_MS = 5000;

/** Firing alerts, the most severe first. */
export function AlertsPage() {
  const [project, setProject, projects] = useProjectChoice();
  const filters = useFilters(FILTERS);
  const { state, severity, matcher, q, from, to } = filters.values;
  const [group, setGroup] = useQueryState("group", BY_NAME);
  const [isWide, setWide] = useState(matcher !== "");
  const matchers: readonly Matcher[] = readMatchers(matcher) ?? [];
  const asked = { projectId: project, state, severity: wordsOf(severity), matcher, q };
  const alerts = useList<Alert>("/alerts", {
    ...{ ...asked, from, to, limit: 100 },
    ...(state !== "resolved" && { order: "severity" }),
  });
  const stats = useGet<AlertStats>("/alerts/stats", { ...asked, stepMs: STEP_MS, names: true });
  // Groups have a line of the figures in their heads.
  const list = useTogether(alerts, stats);
  const projectId = projectIdOf(projects, project);
  useAlertingChanges(list.reload, projectId);
  useProjectChanges(/^alert\./, stats.reload, { projectId, everyMs: STATS_EVERY_MS, isExact: false });
  const range = rangeOf(filters.values);
  const change = (next: readonly Matcher[]) => filters.set({ matcher: next.map(matcherText).join(",") });
  const names = [...new Set((list.items ?? []).flatMap(({ labels }) => Object.keys(labels)))].sort();
  const clear = () => navigate(`/alerts?project=${project}`, { replace: true });
  const table = (rows: readonly Alert[] | undefined, label: string, isPart = false) => (
    <DataTable<Alert>
      label={label}
      list={list}
      rows={rows}
      rowHref={({ id }) => href(`/alerts/${id}`)}
      columns={columnsOf(rows ?? [], isPart)}
      rowTone={(alert) => (stateOf(alert).tone === "bad" ? severityTone(alert.severity) : undefined)}
      rowActions={(alert) => <RowActions alert={alert} project={project} />}
      hotkeys={{
        s: (alert) => navigate(silencePath(alert, project)),
        e: (alert) => void (mayResolve(alert) && resolveAlert(alert)),
      }}
      {...(isPart && { bare: true, more: null })}
      empty={
        <NoAlert
          state={state}
          isFiltered={[matcher, q, severity, from, to].some((value) => value !== "")}
          onClear={clear}
        />
      }
    />
  );
  return (
    <Page title="Alerts" subtitle={subtitleOf(list.items, state, list.hasMore)}>
      <div class="stack">
        <Toolbar
          search={
            <SearchInput {...filters.bind("q")} label="Search alerts" placeholder="Text in labels or annotations" />
          }
          active={[severity, matcher, from].filter((value) => value !== "").length}
          end={<Segmented small label="State" {...filters.bind("state")} options={STATES} />}
        >
          <ProjectChoice value={project} onChange={setProject} projects={projects} />
          <Select small label="Severity" {...filters.bind("severity")} options={SEVERITY_OPTIONS} />
          <Select
            small
            label="Group by"
            value={group}
            onChange={setGroup}
            options={[
              { value: BY_NAME, label: "by name" },
              { value: NOT_GROUPED, label: "Not grouped" },
              ...withCurrent(names, group).map((name) => ({ value: name, label: `by ${name}` })),
            ]}
          />
          <Button small pressed={isWide} onClick={() => setWide(!isWide)}>
            {matchers.length === 0 ? "Labels" : `Labels (${matchers.length})`}
          </Button>
          <ChosenTime range={range} onClear={() => filters.set({ from: "", to: "" })} />
        </Toolbar>
        <div class="with-filters">
          <Card>
            <Histogram
              title={HISTOGRAMS[state] ?? "Alerts, last 24 hours"}
              from={stats.data ? Date.parse(stats.data.from) : 0}
              stepMs={STEP_MS}
              series={seriesOf(stats.data)}
              chosen={range}
              note={cutNote(stats.data)}
              onRange={(start, end) => filters.set(filtersOf(start, end))}
            />
          </Card>
        </div>
        {isWide && (
          <>
            <MatcherField matchers={matchers} onChange={change} projectId={project} label="Labels of alerts" />
            <LabelCounts alerts={list.items ?? []} onAdd={(matcher) => change([...matchers, matcher])} />
          </>
        )}
        {group === NOT_GROUPED || list.items === undefined || list.items.length === 0 ? (
          table(list.items, "Alerts")
        ) : (
          <AlertGroups
            alerts={list.items}
            label={group}
            stats={stats.data}
            table={(rows, label) => table(rows, label, true)}
          />
        )}
        {group !== NOT_GROUPED && list.hasMore && (
          <div>
            <Button onClick={list.more}>Load more</Button>
          </div>
        )}
      </div>
    </Page>
  );
}

function withCurrent(names: readonly string[], current: string): readonly string[] {
  const others = names.filter((name) => name !== BY_NAME);
  return [BY_NAME, NOT_GROUPED].includes(current) || others.includes(current) ? others : [current, ...others];
}

function subtitleOf(items: readonly Alert[] | undefined, state: string, hasMore: boolean): string {
  if (items === undefined) return "Firing alerts, the most severe first.";
  const count = `${items.length}${hasMore ? "+" : ""}`;
  if (state === "resolved") return "Resolved alerts, the latest first.";
  if (state === "pending")
    return items.length === 0 ? "Nothing is pending." : `${count} pending: they fire if the condition lasts.`;
  const quiet = items.flatMap(({ withheld }) => withheld ?? []).map(quietWord);
  if (items.length === 0) return "No alert is firing.";
  const words = [...new Set(quiet)].map((word) => `${quiet.filter((each) => each === word).length} ${word}`);
  return `${[`${count} firing`, ...words].join(", ")}.`;
}
