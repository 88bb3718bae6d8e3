import type { Job, JobCounts } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { ownFilter, searchFilter, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { useStream } from "../../app/live.ts";
import { can } from "../../app/session.ts";
import { formatNumber } from "../../ui/index.ts";
import { AllMenu, BulkButtons } from "./job-actions.tsx";
import { QueueFilter, StateFilter, statesOf, useCounts } from "./job-filters.tsx";
import { COLUMNS } from "./job-rows.tsx";
import { JobTabs } from "./job-tabs.tsx";
import type { JobFilter } from "./job-types.ts";

const FILTERS = {
  q: searchFilter("Search jobs", "Text in payload or error"),
  state: ownFilter("state", (bound) => <StateFilter {...bound} />),
  queue: ownFilter("queue", (bound) => <QueueFilter {...bound} />),
};
const EMPTY = {
  title: "No job waits or has failed",
  text: "Deliveries, timers and schedules run as jobs. Finished jobs are under “Any state”.",
};

/** Jobs by state and queue, with a search in payloads and errors. */
export default function Jobs() {
  const list = useListOf<Job, typeof FILTERS>("/jobs", FILTERS, ({ state }) => ({ state: statesOf(state) }));
  const counts = useCounts();
  const reload = () => {
    list.reload();
    counts.reload();
  };
  useStream("system", ({ type }) => (type === "jobs.changed" || type === "job.dead") && reload(), reload);
  const { q, queue, state } = list.values;
  const states = statesOf(state);
  const filter: JobFilter = {
    ...(queue === "" ? {} : { queue }),
    ...(states === "" ? {} : { state: states.split(",") }),
    ...(q === "" ? {} : { q }),
  };
  const mayManage = can("jobs:manage");
  return (
    <ListPage<Job>
      of={list}
      title="Jobs"
      subtitle={subtitleOf(counts.data)}
      noun="job"
      columns={COLUMNS}
      actions={mayManage ? <AllMenu filter={filter} /> : undefined}
      rowHref={({ id }) => href(`/jobs/${id}`)}
      rowTone={(job) => (job.state === "dead" ? "bad" : undefined)}
      bulk={mayManage && ((ids, done) => <BulkButtons ids={ids} onDone={done} />)}
      tabs={<JobTabs value="jobs" />}
      empty={EMPTY}
    />
  );
}

function subtitleOf(counts: JobCounts | undefined): string {
  if (!counts) return "Jobs that run, wait or have failed.";
  const { dead, retrying, running, ready, scheduled } = counts.states;
  const waiting = formatNumber(ready + scheduled);
  const start = dead > 0 ? `${formatNumber(dead)} dead, ${formatNumber(retrying)} retrying` : "None is dead";
  return `${start}; ${formatNumber(running)} running, ${waiting} waiting.`;
}
