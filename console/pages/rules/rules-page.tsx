import "./rules.css";
import { Download, SlidersHorizontal, Upload, X } from "lucide";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { useStream } from "../../app/live.ts";
import { navigate, useQueryState } from "../../app/navigate.ts";
import { useProjects } from "../../app/projects.ts";
import { useGet, useList } from "../../app/query.ts";
import { useRefresh } from "../../app/refresh.ts";
import { can } from "../../app/session.ts";
import {
  Button,
  type Column,
  choices,
  DataTable,
  Menu,
  NewButton,
  Num,
  Page,
  plural,
  SearchInput,
  Segmented,
  Select,
  Switch,
  Time,
  Toolbar,
  toast,
  UserText,
} from "../../ui/index.ts";
import { projectName } from "./data.ts";
import { NoRules } from "./no-rules.tsx";
import { allRules, exportFile, importFile, setActive } from "./rule-actions.ts";
import { RuleState } from "./rule-state.tsx";
import type { Rule } from "./types.ts";

interface Role {
  readonly id: string;
  readonly name: string;
}

interface Counted {
  readonly total?: number;
}

/** All rules that the caller may read. */
export default function RulesPage() {
  const filters = useFilters({ q: "", state: "all", project: "", role: "", sound: "" });
  const { q, state, project, role, sound } = filters.values;
  const [sort, setSort] = useQueryState("sort", "-createdAt");
  const projects = useProjects();
  const filter = {
    q,
    active: state === "all" ? undefined : state === "enabled",
    projectId: project,
    targetRole: role,
    sound,
    sort,
  };
  const list = useList<Rule>("/rules", { ...filter, include: "activity", limit: 50 });
  const counts = useGet<Counted>("/rules", { limit: 1, page: 1 });
  const active = useGet<Counted>("/rules", { limit: 1, page: 1, active: true });
  const refreshSoon = useRefresh(list.reload);
  useStream("user:me", refreshSoon, refreshSoon);
  const isWritable = can("rules:write");
  const { isFiltered } = filters;
  const total = counts.data?.total;
  const toggle = async (rule: Rule, isActive: boolean) => {
    const show = (shown: boolean) =>
      list.change((items) => items.map((item) => (item.id === rule.id ? { ...item, active: shown } : item)));
    show(isActive);
    try {
      await setActive(rule.id, isActive);
      const text = isActive ? `“${rule.name}” is enabled` : `“${rule.name}” is disabled`;
      toast.ok(text, { undo: () => toggle({ ...rule, active: isActive }, !isActive) });
    } catch (error) {
      show(!isActive);
      throw error;
    } finally {
      // An answer that was under way has the state before.
      list.reload();
      active.reload();
    }
  };
  return (
    <Page
      title="Rules"
      subtitle={
        total === undefined
          ? "Which events notify whom."
          : total === 0
            ? "No rules yet: events are stored, but notify no one."
            : `${plural(total, "rule")}, ${active.data?.total ?? "…"} enabled. They decide which events notify whom.`
      }
      actions={
        <Actions isWritable={isWritable} filter={{ q, projectId: filter.projectId, targetRole: filter.targetRole }} />
      }
    >
      {(total !== 0 || isFiltered) && (
        <Toolbar
          end={
            <Segmented
              small
              label="State"
              {...filters.bind("state")}
              options={choices({ all: "All", enabled: "Enabled", disabled: "Disabled" })}
            />
          }
        >
          <SearchInput {...filters.bind("q")} label="Search rules" />
          <Select
            small
            label="Project"
            {...filters.bind("project")}
            placeholder="Any project"
            options={projects.map(({ id, name }) => ({ value: id, label: name }))}
          />
          <RoleFilter {...filters.bind("role")} />
          {sound !== "" && (
            <Button small iconEnd={X} onClick={() => filters.set({ sound: "" })}>
              Sound {sound}
            </Button>
          )}
        </Toolbar>
      )}
      <DataTable<Rule>
        label="Rules"
        list={list}
        rowHref={({ id }) => href(`/rules/${id}`)}
        columns={columnsOf((id) => projectName(projects, id))}
        {...(isWritable
          ? {
              rowActions: (rule: Rule) => (
                <Switch
                  checked={rule.active}
                  onChange={(isActive) => toggle(rule, isActive)}
                  label={`Enable ${rule.name}`}
                  hideLabel
                />
              ),
            }
          : {})}
        sort={{
          by: sort.replace("-", ""),
          desc: sort.startsWith("-"),
          onChange: (by, isDescending) => setSort(isDescending ? `-${by}` : by),
        }}
        rowTone={({ active: isOn, broken }) => (isOn && broken ? "bad" : undefined)}
        more={{
          has: list.hasMore,
          load: list.more,
          shown: list.items?.length ?? 0,
          total: isFiltered ? undefined : total,
        }}
        empty={<NoRules isFiltered={isFiltered} isWritable={isWritable} />}
      />
    </Page>
  );
}

function columnsOf(projectOf: (id: string | null) => string): readonly Column<Rule>[] {
  return [
    {
      label: "Rule",
      sortBy: "name",
      width: "wide",
      card: "title",
      cell: ({ name, condition }) => (
        <>
          <UserText lines={1}>{name}</UserText>
          <div class="mono faint ellipsis rule-condition" title={condition} dir="ltr">
            {condition}
          </div>
        </>
      ),
    },
    { label: "State", width: "min", card: "aside", cell: (rule) => <RuleState rule={rule} /> },
    {
      label: "Project",
      priority: 3,
      card: "meta",
      cell: ({ projectId }) => (
        <span class="nowrap" dir="auto">
          {projectOf(projectId)}
        </span>
      ),
    },
    {
      label: "Last fired",
      width: "min",
      card: "meta",
      cardLabel: true,
      cell: ({ activity }) => <Time at={activity?.lastFiredAt} empty="never" />,
    },
    {
      label: "Matches, 24 h",
      align: "end",
      priority: 2,
      cell: ({ activity }) => <Lately n={activity?.matched} isCut={activity?.isCut === true} />,
    },
    {
      label: "Fired, 24 h",
      align: "end",
      cell: ({ activity }) => <Lately n={activity?.fired} isCut={activity?.isCut === true} />,
    },
  ];
}

function Lately({ n = 0, isCut }: { readonly n: number | undefined; readonly isCut: boolean }) {
  return (
    <span class={n === 0 ? "faint" : ""}>
      <Num n={n} />
      {isCut && "+"}
    </span>
  );
}

function RoleFilter({ value, onChange }: { readonly value: string; readonly onChange: (role: string) => void }) {
  const roles = useGet<{ readonly data: readonly Role[] }>(can("roles:read") ? "/roles" : null).data?.data;
  if (!roles) return null;
  return (
    <Select
      small
      label="Notifies"
      value={value}
      onChange={onChange}
      placeholder="Any role"
      options={roles.map(({ name }) => ({ value: name, label: `Notifies ${name}` }))}
    />
  );
}

interface ActionsProps {
  readonly isWritable: boolean;
  readonly filter: Readonly<Record<string, string | undefined>>;
}

function Actions({ isWritable, filter }: ActionsProps) {
  const projects = useProjects();
  const exportAll = async () => exportFile(await allRules(filter), projects);
  return (
    <>
      <Menu
        label="Import and export"
        icon={SlidersHorizontal}
        variant="default"
        items={[
          { label: "Export these rules as JSON", icon: Download, onSelect: exportAll },
          ...(isWritable ? [{ label: "Import rules from a file", icon: Upload, onSelect: chooseFile }] : []),
        ]}
      />
      {isWritable && <NewButton onClick={() => navigate("/rules/new")}>New rule</NewButton>}
    </>
  );
}

function chooseFile(): void {
  const input = document.createElement("input");
  input.type = "file";
  input.accept = "application/json,.json";
  input.addEventListener("change", () => {
    const [file] = input.files ?? [];
    if (file) importFile(file).catch((error: unknown) => toast.error(readable(error) as Error));
  });
  input.click();
}

function readable(error: unknown): unknown {
  return error instanceof SyntaxError ? "The file is not JSON." : error;
}
