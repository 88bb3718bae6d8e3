import type { Schedule } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { useStream } from "../../app/live.ts";
import { useProjects } from "../../app/projects.ts";
import { invalidate } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { formatRelative, toast } from "../../ui/index.ts";
import { ScheduleDialog } from "./schedule-dialog.tsx";
import { columns, type NameOf } from "./schedule-rows.tsx";
import { isOwn, scheduleName } from "./schedule-types.ts";

const EMPTY = {
  title: "There is no schedule",
  text: "A schedule enqueues a job repeatedly, also across changes of the clock.",
};

function subtitleOf(schedules: readonly Schedule[], nameOf: NameOf): string {
  const upcoming = schedules.filter(({ active, nextRunAt }) => active && nextRunAt !== null);
  // People's schedules first: Prism's own ones run all the time.
  const [first] = upcoming.sort(
    (a, b) => Number(isOwn(a)) - Number(isOwn(b)) || (a.nextRunAt ?? "").localeCompare(b.nextRunAt ?? ""),
  );
  return first?.nextRunAt
    ? `The next one, ${nameOf(first)}, runs ${formatRelative(first.nextRunAt)}.`
    : "Jobs that recur by a cron pattern or an interval.";
}

/** Jobs that recur. */
export default function Schedules() {
  const list = useListOf<Schedule>("/schedules", {}, { runs: 1 });
  useStream("system", ({ type }) => type === "jobs.changed" && list.reload(), list.reload);
  const projects = useProjects();
  const nameOf: NameOf = (schedule) => scheduleName(schedule, (id) => projects.find((each) => each.id === id)?.name);
  const run = async (schedule: Schedule) => {
    await api.post(`/schedules/${schedule.id}/run`);
    toast.ok(`${nameOf(schedule)} runs now.`);
    invalidate("/schedules");
  };
  return (
    <ListPage<Schedule>
      of={list}
      title="Schedules"
      subtitle={subtitleOf(list.items ?? [], nameOf)}
      noun="schedule"
      managedAs="jobs"
      columns={columns(nameOf)}
      make={can("jobs:manage") ? () => <ScheduleDialog /> : undefined}
      rowHref={({ id }) => href(`/schedules/${id}`)}
      rowActions={(schedule) => (can("jobs:manage") ? [{ label: "Run now", onSelect: () => run(schedule) }] : [])}
      empty={EMPTY}
    />
  );
}
