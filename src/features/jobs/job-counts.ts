import type { PermissionHolder } from "../../core/principal.ts";
import type { Database, ReadDb } from "../../store/database.ts";
import type { JobState } from "../../store/schema.ts";
import { JOB_STATES } from "../../store/schema.ts";
import { isByIndex, rangeOf, type SeqRange, seenJobs, selected } from "./job-list.ts";
import type { JobFilters } from "./schema.ts";

/** Finished jobs that no index covers are counted among this many of the newest. */
const COUNTED_AT_ONCE = 200_000;
/** The same for a text, for which each payload is read. */
const TEXT_COUNTED_AT_ONCE = 50_000;

export interface JobCounts {
  readonly total: number;
  readonly states: Readonly<Record<JobState, number>>;
  /** False: older finished jobs were not counted. */
  readonly complete: boolean;
}

/** The number of jobs that a filter finds, by state, counted on the scan thread. */
export async function countJobsBy(db: Database, caller: PermissionHolder, filters: JobFilters): Promise<JobCounts> {
  const range = await rangeOf(db.read, filters);
  const states = Object.fromEntries(JOB_STATES.map((state) => [state, 0])) as Record<JobState, number>;
  const complete = await (filters.q === undefined
    ? addByState(db.scan, filters, range, states)
    : addByText(db, { ...filters, q: filters.q }, range, caller, states));
  return { total: Object.values(states).reduce((sum, n) => sum + n, 0), states, complete };
}

async function addByState(
  db: ReadDb,
  filters: JobFilters,
  range: SeqRange,
  states: Record<JobState, number>,
): Promise<boolean> {
  const wanted = filters.state ?? JOB_STATES;
  const [indexed, others] = [true, false].map((by) => wanted.filter((state) => isByIndex({ state: [state] }) === by));
  const newest = { first: Math.max(range.first, range.last + 1 - COUNTED_AT_ONCE), last: range.last };
  for (const [state, within] of [
    [indexed ?? [], range],
    [others ?? [], newest],
  ] as const) {
    if (state.length === 0) continue;
    const rows = await selected(db, { ...filters, state: [...state] }, within)
      .select(["state", (e) => e.fn.countAll<number>().as("n")])
      .groupBy("state")
      .execute();
    for (const row of rows) states[row.state] += row.n;
  }
  return others?.length === 0 || newest.first === range.first;
}

async function addByText(
  db: Database,
  filters: JobFilters & { readonly q: string },
  range: SeqRange,
  caller: PermissionHolder,
  states: Record<JobState, number>,
): Promise<boolean> {
  const first = isByIndex(filters) ? range.first : Math.max(range.first, range.last + 1 - TEXT_COUNTED_AT_ONCE);
  for await (const { state } of seenJobs(db, filters, { first, last: range.last }, caller)) states[state]++;
  return first === range.first;
}
