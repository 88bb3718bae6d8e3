import "./rules.css";
import { ListFilter } from "lucide";
import { href } from "../../app/base.ts";
import { useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { useStream } from "../../app/live.ts";
import { useQueryState } from "../../app/navigate.ts";
import { useProjects } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import { useRefresh } from "../../app/refresh.ts";
import { can } from "../../app/session.ts";
import { plural } from "../../ui/index.ts";
import { projectName } from "./data.ts";
import { OnOff, RuleFiles } from "./list-actions.tsx";
import { NoRules } from "./no-rules.tsx";
import { FILTERS } from "./rule-filters.tsx";
import { columnsOf } from "./rule-rows.tsx";
import type { Rule } from "./types.ts";

interface Counted {
  readonly total?: number;
}

function subtitleOf(total: number | undefined, enabled: number | undefined): string {
  if (total === undefined) return "Which events notify whom.";
  if (total === 0) return "No rules yet: events are stored, but notify no one.";
  return `${plural(total, "rule")}, ${enabled ?? "…"} enabled. They decide which events notify whom.`;
}

/** All rules that the caller may read. */
export default function RulesPage() {
  const [sort, setSort] = useQueryState("sort", "-createdAt");
  const list = useListOf<Rule, typeof FILTERS>("/rules", FILTERS, ({ state }) => ({
    state: undefined,
    active: state === "all" ? undefined : state === "enabled",
    sort,
    include: "activity",
  }));
  const counts = useGet<Counted>("/rules", { limit: 1, page: 1 });
  const active = useGet<Counted>("/rules", { limit: 1, page: 1, active: true });
  const refreshSoon = useRefresh(list.reload);
  useStream("user:me", refreshSoon, refreshSoon);
  const projects = useProjects();
  const isWritable = can("rules:write");
  const { isFiltered, hasMore, items = [] } = list;
  const { q, project: projectId, role: targetRole } = list.values;
  const total = counts.data?.total;
  return (
    <ListPage<Rule>
      of={total === 0 && !isFiltered ? { ...list, controls: {} } : list}
      title="Rules"
      subtitle={subtitleOf(total, active.data?.total)}
      noun="rule"
      managedAs="rules"
      columns={columnsOf({ projectOf: (id) => projectName(projects, id), hasSwitch: isWritable }, items)}
      actions={<RuleFiles isWritable={isWritable} filter={{ q, projectId, targetRole }} />}
      make={isWritable ? "/rules/new" : undefined}
      rowHref={({ id }) => href(`/rules/${id}`)}
      rowActions={isWritable ? (rule) => <OnOff rule={rule} list={list} onChanged={active.reload} /> : undefined}
      sort={{
        by: sort.replace("-", ""),
        desc: sort.startsWith("-"),
        onChange: (by, isDescending) => setSort(isDescending ? `-${by}` : by),
      }}
      rowTone={({ active: isOn, broken }) => (isOn && broken ? "bad" : undefined)}
      more={{ has: hasMore, load: list.more, shown: items.length, total: isFiltered ? undefined : total }}
      empty={() => <NoRules isWritable={isWritable} />}
      unmatched={{ icon: ListFilter, title: "No rule fits", text: "Change the search or the filters." }}
    />
  );
}
