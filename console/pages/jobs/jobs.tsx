import { useState } from "preact/hooks";
import type { Job, JobCounts, Queue } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { useStream } from "../../app/live.ts";
import { useGet, useList } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  Button,
  type Column,
  DataTable,
  EmptyState,
  formatNumber,
  Menu,
  optionsOf,
  Page,
  SearchInput,
  Select,
  Time,
  Toolbar,
  UserText,
} from "../../ui/index.ts";
import { runBulk } from "./bulk.ts";
import { JobTabs } from "./job-tabs.tsx";
import { ACTIONS, type JobFilter, STATES } from "./job-types.ts";

const COLUMNS: readonly Column<Job>[] = [
  {
    label: "Job",
    cell: ({ kind, label }) => (
      <>
        <span class="mono nowrap">{kind}</span>
        {label !== null && <UserText lines={1}>{label}</UserText>}
      </>
    ),
    card: "title",
  },
  { label: "Queue", cell: ({ queue }) => <span class="nowrap">{queue}</span>, priority: 2 },
  {
    label: "Last error",
    cell: ({ lastError }) => <UserText lines={1}>{lastError ?? ""}</UserText>,
    card: "text",
    width: "wide",
  },
  { label: "Attempts", cell: (job) => `${job.attempts} of ${job.maxAttempts}`, align: "end", priority: 2 },
  { label: "State", cell: ({ state }) => <Badge {...STATES[state]} />, card: "aside" },
  { label: "Time", cell: (job) => <JobTime job={job} />, align: "end" },
];

/** When the job ended, or when it runs. */
function JobTime({ job }: { readonly job: Job }) {
  return <Time at={job.finishedAt ?? job.startedAt ?? job.runAt} />;
}

/** Unfinished and failed jobs: finished ones are far more, many of them Prism's own. */
const OPEN = "dead,retrying,running,ready,scheduled";
const ANY = "any";
const STATE_OPTIONS = optionsOf("Not finished", STATES);

/** Jobs by state and queue, with a search in payloads and errors. */
export default function Jobs() {
  const filters = useFilters({ q: "", state: "", queue: "" });
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const { q, state, queue } = filters.values;
  const wanted = state === "" ? OPEN : state === ANY ? "" : state;
  const list = useList<Job>("/jobs", { ...filters.values, state: wanted, limit: 50 });
  const counts = useGet<JobCounts>("/jobs/counts", { q, queue });
  const queues = useGet<{ queues: readonly Queue[] }>("/queues");
  const reload = () => {
    list.reload();
    counts.reload();
  };
  useStream("system", ({ type }) => (type === "jobs.changed" || type === "job.dead") && reload(), reload);
  const options = [
    { value: "", label: "All queues" },
    ...(queues.data?.queues ?? []).map(({ name }) => ({ value: name, label: name })),
  ];
  const filter: JobFilter = {
    ...(queue === "" ? {} : { queue }),
    ...(wanted === "" ? {} : { state: wanted.split(",") }),
    ...(q === "" ? {} : { q }),
  };
  const { isFiltered } = filters;
  return (
    <Page
      title="Jobs"
      subtitle={subtitleOf(counts.data)}
      actions={can("jobs:manage") ? <AllMenu filter={filter} /> : undefined}
      tabs={<JobTabs value="jobs" />}
    >
      <Toolbar>
        <SearchInput {...filters.bind("q")} placeholder="Text in payload or error" label="Search jobs" />
        <Select {...filters.bind("state")} options={countedStates(counts.data)} label="State" />
        <Select {...filters.bind("queue")} options={options} label="Queue" />
      </Toolbar>
      <DataTable<Job>
        label="Jobs"
        list={list}
        columns={COLUMNS}
        rowHref={({ id }) => href(`/jobs/${id}`)}
        rowTone={(job) => (job.state === "dead" ? "bad" : undefined)}
        {...(can("jobs:manage")
          ? {
              selection: {
                selected,
                onChange: setSelected,
                bulk: (ids: readonly string[]) => <BulkButtons ids={ids} onDone={() => setSelected(new Set())} />,
              },
            }
          : {})}
        empty={
          <EmptyState
            title={isFiltered ? "No job matches" : "No job waits or has failed"}
            text={
              isFiltered
                ? "Change the search, the state or the queue."
                : "Deliveries, timers and schedules run as jobs. Finished jobs are under “Any state”."
            }
          />
        }
      />
    </Page>
  );
}

function subtitleOf(counts: JobCounts | undefined): string {
  if (!counts) return "Jobs that run, wait or have failed.";
  const { dead, retrying, running, ready, scheduled } = counts.states;
  const waiting = formatNumber(ready + scheduled);
  const start = dead > 0 ? `${formatNumber(dead)} dead, ${formatNumber(retrying)} retrying` : "None is dead";
  return `${start}; ${formatNumber(running)} running, ${waiting} waiting.`;
}

function countedStates(counts: JobCounts | undefined) {
  const options = [...STATE_OPTIONS, { value: ANY, label: "Any state" }];
  if (!counts) return options;
  const open = OPEN.split(",").reduce((sum, state) => sum + counts.states[state as keyof typeof STATES], 0);
  return options.map(({ value, label }) => {
    const count = value === "" ? open : value === ANY ? counts.total : counts.states[value as keyof typeof STATES];
    return { value, label: `${label} (${formatNumber(count)}${counts.complete ? "" : "+"})` };
  });
}

/** Actions on everything that the filter matches. */
function AllMenu({ filter }: { readonly filter: JobFilter }) {
  const items = ACTIONS.flatMap((action) => {
    const states = action.states.filter((each) => filter.state === undefined || filter.state.includes(each));
    if (states.length === 0) return [];
    return {
      label: `${action.label} all matches`,
      danger: action.isDangerous === true,
      onSelect: async () => void (await runBulk(action, { filter: { ...filter, state: states } })),
    };
  });
  return <Menu label="All matches" text="All matches" variant="default" items={items} align="end" />;
}

function BulkButtons({ ids, onDone }: { readonly ids: readonly string[]; readonly onDone: () => void }) {
  return (
    <>
      {ACTIONS.map((action) => (
        <Button
          key={action.name}
          small
          variant={action.isDangerous ? "danger" : "default"}
          onClick={async () => {
            if (await runBulk(action, { ids })) onDone();
          }}
        >
          {action.label}
        </Button>
      ))}
    </>
  );
}
