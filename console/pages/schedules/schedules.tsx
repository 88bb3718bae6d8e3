import type { Schedule } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useStream } from "../../app/live.ts";
import { useProjects } from "../../app/projects.ts";
import { useList } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  type Column,
  DataTable,
  EmptyState,
  formatRelative,
  NewButton,
  openDialog,
  Page,
  Switch,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";
import { ScheduleDialog } from "./schedule-dialog.tsx";
import { DST, isOwn, rhythmOf, scheduleName } from "./schedule-types.ts";

type NameOf = (schedule: Schedule) => string;

function columns(reload: () => void, nameOf: NameOf): readonly Column<Schedule>[] {
  const toggle = async (schedule: Schedule, active: boolean) => {
    await api.put(`/schedules/${schedule.id}`, { active });
    toast.ok(`${nameOf(schedule)} ${active ? "runs again" : "does not run any more"}.`);
    reload();
  };
  return [
    {
      label: "Schedule",
      cell: (schedule) => <Name schedule={schedule} nameOf={nameOf} />,
      card: "title",
      width: "wide",
    },
    { label: "Runs", cell: (schedule) => <span class="mono nowrap">{rhythmOf(schedule)}</span>, card: "text" },
    { label: "Job", cell: ({ kind }) => <span class="mono nowrap">{kind}</span>, priority: 3 },
    { label: "Next run", cell: (schedule) => <Next schedule={schedule} />, align: "end" },
    { label: "Last run", cell: ({ lastRunAt }) => <Time at={lastRunAt} empty="never" />, align: "end", priority: 2 },
    {
      label: "Active",
      cell: (schedule) =>
        can("jobs:manage") ? (
          <Switch
            hideLabel
            label={`${nameOf(schedule)} is active`}
            checked={schedule.active}
            onChange={(active) => toggle(schedule, active)}
          />
        ) : (
          <Badge tone={schedule.active ? "ok" : "plain"}>{schedule.active ? "active" : "off"}</Badge>
        ),
      card: "aside",
    },
  ];
}

function Name({ schedule, nameOf }: { readonly schedule: Schedule; readonly nameOf: NameOf }) {
  return (
    <span class="inline">
      <UserText>{nameOf(schedule)}</UserText>
      {isOwn(schedule) && <Badge tone="plain">Prism's own</Badge>}
    </span>
  );
}

function Next({ schedule }: { readonly schedule: Schedule }) {
  const [next] = schedule.nextRuns;
  if (!schedule.active || !next) return <span class="muted">none</span>;
  return (
    <span class="inline nowrap">
      {next.dst && (
        <Badge tone="warn" title={DST[next.dst]}>
          {next.dst}
        </Badge>
      )}
      <Time at={next.at} />
    </span>
  );
}

/** Jobs that recur. */
export default function Schedules() {
  const list = useList<Schedule>("/schedules", { runs: 1, limit: 50 });
  useStream("system", ({ type }) => type === "jobs.changed" && list.reload(), list.reload);
  const run = async (schedule: Schedule) => {
    await api.post(`/schedules/${schedule.id}/run`);
    toast.ok(`${nameOf(schedule)} runs now.`);
    list.reload();
  };
  const make = can("jobs:manage") ? (
    <NewButton onClick={() => openDialog(<ScheduleDialog onSaved={list.reload} />)}>New schedule</NewButton>
  ) : undefined;
  const projects = useProjects();
  const nameOf: NameOf = (schedule) => scheduleName(schedule, (id) => projects.find((each) => each.id === id)?.name);
  const upcoming = (list.items ?? []).filter(({ active, nextRunAt }) => active && nextRunAt !== null);
  // People's schedules first: Prism's own ones run all the time.
  const [first] = upcoming.sort(
    (a, b) => Number(isOwn(a)) - Number(isOwn(b)) || (a.nextRunAt ?? "").localeCompare(b.nextRunAt ?? ""),
  );
  return (
    <Page
      title="Schedules"
      subtitle={
        first?.nextRunAt
          ? `The next one, ${nameOf(first)}, runs ${formatRelative(first.nextRunAt)}.`
          : "Jobs that recur by a cron pattern or an interval."
      }
      actions={make}
    >
      <DataTable<Schedule>
        label="Schedules"
        list={list}
        columns={columns(list.reload, nameOf)}
        rowHref={({ id }) => href(`/schedules/${id}`)}
        rowActions={(schedule) => (can("jobs:manage") ? [{ label: "Run now", onSelect: () => run(schedule) }] : [])}
        empty={
          <EmptyState
            title="There is no schedule"
            text="A schedule enqueues a job repeatedly, also across changes of the clock."
            action={make}
          />
        }
      />
    </Page>
  );
}
