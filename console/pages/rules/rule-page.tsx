import { canInProject } from "../../app/memberships.ts";
import "./rules.css";
import { Copy, Download, History, Trash2 } from "lucide";
import { href } from "../../app/base.ts";
import { useStream, useStreams } from "../../app/live.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { ManagedBadge, ManagedNotice, useLock } from "../../app/managed.tsx";
import { navigate, useQueryState } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { streamsOf, useProjects } from "../../app/projects.ts";
import { type QueryResult, useGet } from "../../app/query.ts";
import { useRefresh } from "../../app/refresh.ts";
import { can } from "../../app/session.ts";
import { Banner, formatRelative, Menu, Page, plural, Switch, Tabs, toast, UserText } from "../../ui/index.ts";
import { ActivityTab } from "./activity-tab.tsx";
import { projectName } from "./data.ts";
import { definitionOf } from "./draft.ts";
import { useNames } from "./people.ts";
import { deleteRule, exportFile, setActive } from "./rule-actions.ts";
import { RuleEditor } from "./rule-editor.tsx";
import { RuleState } from "./rule-state.tsx";
import type { Rule } from "./types.ts";
import { VersionsTab } from "./versions-tab.tsx";
import { targetsText } from "./words.ts";

/** One rule: its form, its activity, its versions. */
export default function RulePage({ params }: PageProps) {
  const { id = "" } = params;
  const query = useGet<Rule>(`/rules/${encodeURIComponent(id)}`);
  return (
    <LoadedPage title="Rule" query={query} managedAs="rules">
      {(rule) => <Shown rule={rule} query={query} />}
    </LoadedPage>
  );
}

const TABS = ["edit", "activity", "versions"] as const;

function Shown({ rule, query }: { readonly rule: Rule; readonly query: QueryResult<Rule> }) {
  const [tab, setTab] = useQueryState("tab", "edit");
  const projects = useProjects();
  const names = useNames(rule.targetUsers);
  const refreshSoon = useRefresh(query.reload);
  useStreams(canInProject("events:read") ? streamsOf(projects, rule.projectId ?? "") : [], refreshSoon);
  useStream("user:me", refreshSoon, refreshSoon);
  const isLocked = useLock("rules", rule.id);
  const mayWrite = can("rules:write");
  const isWritable = mayWrite && !isLocked;
  const { stats, warnings = [] } = rule;
  const inactive = warnings.filter(({ code }) => code === "RECIPIENT_INACTIVE");
  const subtitle =
    stats.lastMatchedAt === null
      ? `Has not matched an event yet. Notifies ${targetsText(rule, names)}.`
      : `Notified ${stats.fired === 1 ? "once" : plural(stats.fired, "time")}${alertsText(stats)}, last match ${formatRelative(stats.lastMatchedAt)}. Notifies ${targetsText(rule, names)}.`;
  return (
    <Page
      title={rule.name}
      breadcrumb={[{ label: "Rules", href: href("/rules") }]}
      subtitle={subtitle}
      badge={
        <>
          {/* Its switch says that a rule is enabled. */}
          {(!isWritable || !rule.active || rule.broken) && <RuleState rule={rule} />}
          <ManagedBadge kind="rules" id={rule.id} />
        </>
      }
      actions={<Actions rule={rule} query={query} isWritable={isWritable} />}
      tabs={
        <Tabs
          label="Parts of the rule"
          value={TABS.find((each) => each === tab) ?? "edit"}
          onChange={setTab}
          tabs={[
            { value: "edit", label: isWritable ? "Edit" : "Definition" },
            { value: "activity", label: "Activity" },
            { value: "versions", label: "Versions", count: rule.version },
          ]}
        />
      }
    >
      {rule.broken && (
        <Banner tone="bad" title="This rule is broken and not evaluated">
          {rule.broken.message} Save a changed condition to start it again.
        </Banner>
      )}
      {inactive.length > 0 && (
        <Banner tone="warn" title="The rule names people who get nothing">
          <ul>
            {inactive.map(({ message }) => (
              <li key={message}>
                <UserText>{message}</UserText>
              </li>
            ))}
          </ul>
        </Banner>
      )}
      {mayWrite && <ManagedNotice kind="rules" id={rule.id} />}
      {!mayWrite && (
        <Banner tone="info">
          You can read this rule of {projectName(projects, rule.projectId)}, but not change it.
        </Banner>
      )}
      {tab === "activity" && <ActivityTab rule={rule} />}
      {tab === "versions" && <VersionsTab rule={rule} isWritable={isWritable} />}
      {tab !== "activity" && tab !== "versions" && (
        <RuleEditor rule={rule} initial={definitionOf(rule)} draftKey={rule.id} readOnly={!isWritable} />
      )}
    </Page>
  );
}

interface ActionsProps {
  readonly rule: Rule;
  readonly query: QueryResult<Rule>;
  readonly isWritable: boolean;
}

function Actions({ rule, query, isWritable }: ActionsProps) {
  const projects = useProjects();
  const toggle = async (active: boolean) => {
    query.change((known) => known && { ...known, active });
    try {
      await setActive(rule.id, active);
      toast.ok(active ? "The rule is enabled" : "The rule is disabled", { undo: () => toggle(!active) });
    } finally {
      query.reload();
    }
  };
  return (
    <>
      {isWritable && <Switch checked={rule.active} onChange={toggle} label="Enabled" />}
      <Menu
        label="More actions"
        items={[
          ...(isWritable
            ? [{ label: "Duplicate", icon: Copy, onSelect: () => navigate(`/rules/new?copy=${rule.id}`) }]
            : []),
          { label: "Export as JSON", icon: Download, onSelect: () => exportFile([rule], projects) },
          { label: "Versions", icon: History, onSelect: () => navigate(`/rules/${rule.id}?tab=versions`) },
          ...(isWritable
            ? ["separator" as const, { label: "Delete", icon: Trash2, danger: true, onSelect: () => deleteRule(rule) }]
            : []),
        ]}
      />
    </>
  );
}

function alertsText({ alertsOpened }: Rule["stats"]): string {
  return alertsOpened === 0 ? "" : `, opened ${plural(alertsOpened, "alert")}`;
}
