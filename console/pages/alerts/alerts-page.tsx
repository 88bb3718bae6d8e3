import { useState } from "preact/hooks";
import type { Alert } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { MatcherField } from "../../app/matcher-field.tsx";
import { type Matcher, matcherText, readMatchers } from "../../app/matchers.ts";
import { navigate, useQueryState } from "../../app/navigate.ts";
import { ProjectChoice, projectIdOf, useProjectChoice } from "../../app/project-choice.tsx";
import { useList } from "../../app/query.ts";
import {
  Button,
  Card,
  choices,
  DataTable,
  Page,
  plural,
  SearchInput,
  Segmented,
  Select,
  Toolbar,
} from "../../ui/index.ts";
import { useAlertingChanges } from "../incidents/changes.ts";
import { SEVERITY_OPTIONS, severityTone, wordsOf } from "../incidents/severity.tsx";
import { mayResolve, RowActions } from "./alert-list-actions.tsx";
import { columnsOf } from "./alert-rows.tsx";
import { quietWord, resolveAlert, silencePath, stateOf } from "./alert-types.ts";
import { NoAlert } from "./no-alert.tsx";

const STATES = choices({ firing: "Firing", pending: "Pending", resolved: "Resolved" });
interface Group {
  readonly value: string;
  readonly alerts: readonly Alert[];
}

/** The alerts by the value of a label, the largest group first. */
function groupsOf(alerts: readonly Alert[], label: string): readonly Group[] {
  const groups = new Map<string, Alert[]>();
  for (const alert of alerts) {
    const value = alert.labels[label] ?? "";
    groups.set(value, [...(groups.get(value) ?? []), alert]);
  }
  return [...groups]
    .map(([value, members]) => ({ value, alerts: members }))
    .sort((a, b) => b.alerts.length - a.alerts.length || a.value.localeCompare(b.value));
}

/** Firing alerts, the most severe first. */
export function AlertsPage() {
  const [project, setProject, projects] = useProjectChoice();
  const filters = useFilters({ state: "firing", severity: "", matcher: "", q: "" });
  const { state, severity, matcher, q } = filters.values;
  const [group, setGroup] = useQueryState("group");
  const [isWide, setWide] = useState(matcher !== "");
  const matchers: readonly Matcher[] = readMatchers(matcher) ?? [];
  const list = useList<Alert>("/alerts", {
    projectId: project,
    ...filters.values,
    severity: wordsOf(severity),
    limit: 100,
  });
  useAlertingChanges(list.reload, projectIdOf(projects, project));
  const change = (next: readonly Matcher[]) => filters.set({ matcher: next.map(matcherText).join(",") });
  const names = [...new Set((list.items ?? []).flatMap(({ labels }) => Object.keys(labels)))].sort();
  const clear = () => navigate(`/alerts?project=${project}`, { replace: true });
  const table = (rows: readonly Alert[] | undefined, label: string, isPart = false) => (
    <DataTable<Alert>
      label={label}
      list={list}
      rows={rows}
      rowHref={({ id }) => href(`/alerts/${id}`)}
      columns={columnsOf(rows ?? [])}
      rowTone={(alert) => (stateOf(alert).tone === "bad" ? severityTone(alert.severity) : undefined)}
      rowActions={(alert) => <RowActions alert={alert} project={project} />}
      hotkeys={{
        s: (alert) => navigate(silencePath(alert, project)),
        e: (alert) => void (mayResolve(alert) && resolveAlert(alert)),
      }}
      {...(isPart && { bare: true, more: null })}
      empty={<NoAlert state={state} isFiltered={matcher !== "" || q !== "" || severity !== ""} onClear={clear} />}
    />
  );
  return (
    <Page title="Alerts" subtitle={subtitleOf(list.items, state, list.hasMore)}>
      <div class="stack">
        <Toolbar end={<Segmented small label="State" {...filters.bind("state")} options={STATES} />}>
          <SearchInput {...filters.bind("q")} label="Search alerts" placeholder="Text in labels or annotations" />
          <ProjectChoice value={project} onChange={setProject} projects={projects} />
          <Select small label="Severity" {...filters.bind("severity")} options={SEVERITY_OPTIONS} />
          <Select
            small
            label="Group by"
            value={group}
            onChange={setGroup}
            options={[
              { value: "", label: "Not grouped" },
              ...withCurrent(names, group).map((name) => ({ value: name, label: `by ${name}` })),
            ]}
          />
          <Button small pressed={isWide} onClick={() => setWide(!isWide)}>
            {matchers.length === 0 ? "Labels" : `Labels (${matchers.length})`}
          </Button>
        </Toolbar>
        {isWide && <MatcherField matchers={matchers} onChange={change} projectId={project} label="Labels of alerts" />}
        {group === "" || list.items === undefined || list.items.length === 0
          ? table(list.items, "Alerts")
          : groupsOf(list.items, group).map(({ value, alerts }) => (
              <Card
                key={value}
                flush
                title={value === "" ? `without ${group}` : `${group}=${value}`}
                sub={plural(alerts.length, "alert")}
              >
                {table(alerts, value || "Alerts", true)}
              </Card>
            ))}
        {group !== "" && list.hasMore && (
          <div>
            <Button onClick={list.more}>Load more</Button>
          </div>
        )}
      </div>
    </Page>
  );
}

function withCurrent(names: readonly string[], current: string): readonly string[] {
  return current === "" || names.includes(current) ? names : [current, ...names];
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
