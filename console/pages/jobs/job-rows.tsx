import type { Job } from "../../../src/client/api-types.gen.ts";
import { Badge, type Column, Time, UserText } from "../../ui/index.ts";
import { STATES } from "./job-types.ts";

export const COLUMNS: readonly Column<Job>[] = [
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
