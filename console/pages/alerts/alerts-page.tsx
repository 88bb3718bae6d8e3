import { BellRing } from "lucide";
import { useState } from "preact/hooks";
import type { Alert } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { MatcherField } from "../../app/matcher-field.tsx";
import { type Matcher, matcherText, readMatchers } from "../../app/matchers.ts";
import { canInProject } from "../../app/memberships.ts";
import { navigate, useQueryState } from "../../app/navigate.ts";
import { ProjectChoice, projectIdOf, useProjectChoice } from "../../app/project-choice.tsx";
import { useList } from "../../app/query.ts";
import {
  Badge,
  Button,
  Card,
  type Column,
  choices,
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
import { useAlertingChanges } from "../incidents/changes.ts";
import { Age, SEVERITY_OPTIONS, SeverityBadge, severityTone, wordsOf } from "../incidents/severity.tsx";
import { differingLabels, isResolvable, nameOf, quietWord, resolveAlert, silencePath, stateOf } from "./alert-types.ts";

const STATES = choices({ firing: "Firing", pending: "Pending", resolved: "Resolved" });
/** As many as fit into the line; the detail has all of them. */
const SHOWN_LABELS = 6;
const IN_OTHER_COLUMNS: ReadonlySet<string> = new Set(["severity"]);

/**
 * The labels of an alert in a list, as text: those by which the rows differ, then those that all have.
 * @param differing names, the most telling first
 */
function labelTexts(alert: Alert, differing: readonly string[]): readonly string[] {
  const name = nameOf(alert);
  const isShown = (label: string) =>
    alert.labels[label] !== undefined && alert.labels[label] !== name && !IN_OTHER_COLUMNS.has(label);
  const own = differing.filter(isShown).slice(0, SHOWN_LABELS);
  const common = Object.keys(alert.labels).filter((label) => isShown(label) && !differing.includes(label));
  return [own, common.slice(0, SHOWN_LABELS - own.length)]
    .filter((labels) => labels.length > 0)
    .map((labels) => labels.map((label) => `${label}=${alert.labels[label]}`).join("  "));
}

function columnsOf(alerts: readonly Alert[]): readonly Column<Alert>[] {
  const differing = differingLabels(alerts);
  return [
    { label: "Severity", card: "aside", width: "min", cell: ({ severity }) => <SeverityBadge word={severity} /> },
    {
      label: "Alert",
      card: "title",
      width: "wide",
      cell: (alert) => (
        <span class="one-line">
          <UserText lines={1}>{nameOf(alert)}</UserText>
          {labelTexts(alert, differing).map((text) => (
            <UserText key={text} lines={1} mono>
              {text}
            </UserText>
          ))}
        </span>
      ),
    },
    { label: "State", card: "meta", width: "min", cell: (alert) => <State alert={alert} /> },
    {
      label: "Fires",
      card: "meta",
      width: "min",
      cell: ({ startsAt, resolvedAt }) => (resolvedAt === null ? <Age at={startsAt} /> : <Time at={resolvedAt} />),
    },
  ];
}

/** The colour of a row is its severity; an alert that notifies no one says why. */
function State({ alert }: { readonly alert: Alert }) {
  const { text, tone } = stateOf(alert);
  if (alert.withheld !== null) return <Badge tone="plain">{text}</Badge>;
  return alert.state === "firing" ? <span class="only-wide">{text}</span> : <Badge tone={tone}>{text}</Badge>;
}

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

function mayResolve(alert: Alert): boolean {
  return isResolvable(alert) && canInProject("incidents:act") === true;
}

function RowActions({ alert, project }: { readonly alert: Alert; readonly project: string }) {
  const items = [
    ...(alert.state !== "resolved" && canInProject("silences:write")
      ? [{ label: "Silence…", keys: "s", onSelect: () => navigate(silencePath(alert, project)) }]
      : []),
    ...(mayResolve(alert) ? [{ label: "Resolve…", keys: "e", onSelect: () => resolveAlert(alert) }] : []),
  ];
  return items.length === 0 ? null : <Menu small label={`Actions on ${nameOf(alert)}`} items={items} />;
}

interface NoAlertProps {
  readonly state: string;
  readonly isFiltered: boolean;
  readonly onClear: () => void;
}

function NoAlert({ state, isFiltered, onClear }: NoAlertProps) {
  if (isFiltered)
    return (
      <EmptyState
        icon={BellRing}
        title="No alert matches"
        text="Change the search or the labels."
        action={<Button onClick={onClear}>Clear filters</Button>}
      />
    );
  if (state !== "firing") return <EmptyState icon={BellRing} title={`No alert is ${state}`} />;
  return (
    <EmptyState
      icon={BellRing}
      title="No alert is firing"
      text="Prometheus, rules, heartbeats and programs open alerts. For Prometheus, name Prism as its Alertmanager; or try one:"
      command={`amtool --alertmanager.url=${location.origin}/alertmanager alert add alertname=Test severity=warning`}
    />
  );
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
