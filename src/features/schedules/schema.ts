import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import { pageEntries } from "../../http/pagination.ts";
import {
  integer,
  jsonObject,
  named,
  object,
  queryBoolean,
  queryInteger,
  selfChanging,
  text,
} from "../../http/shapes.ts";
import { MAX_PAYLOAD_BYTES } from "../jobs/index.ts";
import type { Occurrence } from "./cron/recurrence.ts";
import { MAX_EVERY_MS, MIN_EVERY_MS, MISSED, OVERLAP, type Schedule } from "./schedule-definition.ts";
import type { Schedules } from "./schedules.ts";

const MAX_PREVIEW = 50;
/** Next times that a schedule shows with itself. */
export const SHOWN_RUNS = 5;

const zone = v.pipe(text(64, 1), v.description("IANA zone, such as Europe/Berlin; default: the server's"));
const pattern = text(512, 1);

const entries = {
  name: text(128, 1),
  cron: v.pipe(
    v.nullable(pattern),
    v.description("Five or six fields, or a name such as @daily; see docs/schedules.md"),
  ),
  everyMs: v.pipe(
    v.nullable(integer(MIN_EVERY_MS, MAX_EVERY_MS)),
    v.description("In place of cron: so many milliseconds of elapsed time"),
  ),
  timezone: zone,
  queue: text(80, 1),
  kind: v.pipe(
    text(128, 1),
    v.description("A kind of job that has a handler: timer in the queue timers, or a module's"),
  ),
  payload: v.pipe(jsonObject(MAX_PAYLOAD_BYTES), v.description("What each job is given; of a timer {action}")),
  label: v.nullable(text(128)),
  missed: v.pipe(
    v.picklist(MISSED),
    v.description("What happens to runs that were missed by more than 30 seconds; default once"),
  ),
  overlap: v.pipe(
    v.picklist(OVERLAP),
    v.description("What happens to a run while a job of the schedule has not ended; default skip"),
  ),
  active: v.boolean("must be true or false"),
  maxAttempts: v.pipe(v.nullable(integer(1, 100)), v.description("Of each job; default: the queue's")),
};

const { name, queue, kind, ...settings } = entries;

export const CreateSchedule = object({ name, queue, kind, ...optional(settings) });
export type CreateSchedule = v.InferOutput<typeof CreateSchedule>;

/** Members that are missing stay as they are. */
export const UpdateSchedule = object(optional(entries));
export type UpdateSchedule = v.InferOutput<typeof UpdateSchedule>;

export const PreviewBody = object({
  cron: pattern,
  timezone: v.optional(zone),
  count: v.optional(integer(1, MAX_PREVIEW)),
});

export const ScheduleParams = object({ id: v.string() });

export const ListSchedules = object({
  active: v.optional(queryBoolean),
  queue: v.optional(text(80, 1)),
  module: v.optional(text(64, 1)),
  runs: v.optional(
    v.pipe(queryInteger(0, MAX_PREVIEW), v.description(`Next times of each schedule; default ${SHOWN_RUNS}`)),
  ),
  ...pageEntries(),
});
export type ListSchedules = v.InferOutput<typeof ListSchedules>;

const NextRun = v.object({
  at: v.pipe(v.string(), v.description("When it runs; of one that is skipped when the clock has been set")),
  local: v.pipe(v.string(), v.description("What the clock shows then; of one that is skipped what it never shows")),
  dst: v.optional(
    v.pipe(
      v.picklist(["moved", "skipped", "repeated"]),
      v.description(
        "What the setting of the clock does to it: it runs behind the gap, does not run, or runs in the second pass",
      ),
    ),
  ),
});

export const PreviewView = v.object({
  cron: v.string(),
  timezone: v.string(),
  nextRuns: v.array(NextRun),
});

export const ScheduleView = named(
  "Schedule",
  v.object({
    id: v.string(),
    name: v.string(),
    cron: v.nullable(v.string()),
    everyMs: v.nullable(v.number()),
    timezone: v.string(),
    queue: v.string(),
    kind: v.string(),
    payload: v.unknown(),
    label: v.nullable(v.string()),
    missed: v.picklist(MISSED),
    overlap: v.picklist(OVERLAP),
    active: v.boolean(),
    maxAttempts: v.nullable(v.number()),
    module: v.nullable(v.string()),
    createdBy: v.nullable(v.string()),
    version: v.number(),
    lastRunAt: selfChanging(v.pipe(v.nullable(v.string()), v.description("The time of the last run that made a job"))),
    nextRunAt: selfChanging(v.nullable(v.string())),
    nextRuns: selfChanging(v.array(NextRun)),
    createdAt: v.string(),
    updatedAt: v.string(),
  }),
);
export type ScheduleView = v.InferOutput<typeof ScheduleView>;

export const RunView = v.object({ jobId: v.string(), runAt: v.string(), state: v.string() });

export function scheduleView(schedules: Schedules, schedule: Schedule, runs = SHOWN_RUNS): ScheduleView {
  const { lastRunAt, createdAt, updatedAt, ...rest } = schedule;
  return {
    ...rest,
    lastRunAt: toRfc3339OrNull(lastRunAt),
    nextRunAt: toRfc3339OrNull(schedules.nextRunOf(schedule)),
    nextRuns: schedules.nextRuns(schedule, runs).map(nextRunView),
    createdAt: toRfc3339(createdAt),
    updatedAt: toRfc3339(updatedAt),
  };
}

export function nextRunView({ at, local, dst }: Occurrence): v.InferOutput<typeof NextRun> {
  // The wall clock's time is kept as if it were UTC.
  return { at: toRfc3339(at), local: toRfc3339(local).slice(0, 19), ...(dst === null ? {} : { dst }) };
}

/** The same entries, none of them required. */
function optional<E extends Readonly<Record<string, v.GenericSchema>>>(all: E) {
  return Object.fromEntries(Object.entries(all).map(([key, schema]) => [key, v.optional(schema)])) as {
    readonly [K in keyof E]: v.OptionalSchema<E[K], undefined>;
  };
}
