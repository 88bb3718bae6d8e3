import type { JobCounts, Queue } from "../../../src/client/api-types.gen.ts";
import { useQueryState } from "../../app/navigate.ts";
import { useGet } from "../../app/query.ts";
import { formatNumber, optionsOf, Select } from "../../ui/index.ts";
import { STATES } from "./job-types.ts";

interface Props {
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** Unfinished and failed jobs: finished ones are far more, many of them Prism's own. */
const OPEN = "dead,retrying,running,ready,scheduled";
const ANY = "any";
const STATE_OPTIONS = [...optionsOf("Not finished", STATES), { value: ANY, label: "Any state" }];

/** The states that a choice stands for. */
export function statesOf(chosen: string): string {
  if (chosen === "") return OPEN;
  return chosen === ANY ? "" : chosen;
}

/** How many jobs of a queue have a text, by state. */
export function useCounts() {
  const [q] = useQueryState("q");
  const [queue] = useQueryState("queue");
  return useGet<JobCounts>("/jobs/counts", { q, queue });
}

export function StateFilter(props: Props) {
  return <Select {...props} options={countedStates(useCounts().data)} label="State" />;
}

function countedStates(counts: JobCounts | undefined) {
  if (!counts) return STATE_OPTIONS;
  const open = OPEN.split(",").reduce((sum, state) => sum + counts.states[state as keyof typeof STATES], 0);
  return STATE_OPTIONS.map(({ value, label }) => {
    const count = value === "" ? open : value === ANY ? counts.total : counts.states[value as keyof typeof STATES];
    return { value, label: `${label} (${formatNumber(count)}${counts.complete ? "" : "+"})` };
  });
}

export function QueueFilter(props: Props) {
  const { data } = useGet<{ queues: readonly Queue[] }>("/queues");
  const known = data?.queues.map(({ name }) => ({ value: name, label: name })) ?? [];
  return <Select {...props} options={[{ value: "", label: "All queues" }, ...known]} label="Queue" />;
}
