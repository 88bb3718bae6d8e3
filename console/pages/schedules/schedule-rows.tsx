import type { Schedule } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { CronText } from "../../app/cron-text.tsx";
import { invalidate } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Badge, type Column, Switch, Time, toast, UserText } from "../../ui/index.ts";
import { DST, isOwn, rhythmOf } from "./schedule-types.ts";

export type NameOf = (schedule: Schedule) => string;

export function columns(nameOf: NameOf): readonly Column<Schedule>[] {
  const toggle = async (schedule: Schedule, active: boolean) => {
    await api.put(`/schedules/${schedule.id}`, { active });
    toast.ok(`${nameOf(schedule)} ${active ? "runs again" : "does not run any more"}.`);
    invalidate("/schedules");
  };
  return [
    {
      label: "Schedule",
      cell: (schedule) => <Name schedule={schedule} nameOf={nameOf} />,
      card: "title",
      width: "wide",
    },
    {
      label: "Runs",
      cell: (schedule) =>
        schedule.cron === null ? (
          rhythmOf(schedule)
        ) : (
          <CronText cron={schedule.cron} more={`in ${schedule.timezone}`} />
        ),
      card: "text",
      width: "wide",
    },
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
