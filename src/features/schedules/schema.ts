import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import type { PermissionHolder } from "../../core/principal.ts";
import { pageEntries } from "../../http/pagination.ts";
import {
  doc,
  example,
  integer,
  jsonObject,
  named,
  object,
  queryBoolean,
  queryInteger,
  selfChanging,
  text,
} from "../../http/shapes.ts";
import { MAX_PAYLOAD_BYTES, mayReadWords, withoutWordsOf } from "../jobs/index.ts";
import type { Occurrence } from "./cron/recurrence.ts";
import { MAX_EVERY_MS, MIN_EVERY_MS, MISSED, OVERLAP, type Schedule } from "./schedule-definition.ts";
import type { Schedules } from "./schedules.ts";

const MAX_PREVIEW = 50;
/** Next times that a schedule shows with itself. */
export const SHOWN_RUNS = 5;

const zone = doc(text(64, 1), "IANA time zone, such as Europe/Berlin; default: that of the server");
const pattern = text(512, 1);

const entries = {
  name: doc(text(128, 1), "Unique name"),
  cron: doc(v.nullable(pattern), "Five or six fields, or a name such as @daily; see /docs/schedules"),
  everyMs: doc(v.nullable(integer(MIN_EVERY_MS, MAX_EVERY_MS)), "Interval instead of `cron`"),
  timezone: zone,
  queue: doc(text(80, 1), "Queue of the jobs, such as `timers`"),
  kind: doc(text(128, 1), "Kind of the jobs: `timer` in the queue `timers`, or a kind of a module"),
  payload: doc(jsonObject(MAX_PAYLOAD_BYTES), "Payload of each job; of a timer `{action}`"),
  label: doc(v.nullable(text(128)), "Label of the jobs"),
  missed: doc(v.picklist(MISSED), "Handling of runs missed by more than 30 seconds; default `once`"),
  overlap: doc(v.picklist(OVERLAP), "Handling of a run while a job of the schedule is unfinished; default `skip`"),
  active: doc(v.boolean("must be true or false"), "False pauses the schedule; default true"),
  maxAttempts: doc(v.nullable(integer(1, 100)), "Attempts of each job; default: that of the queue"),
};

const { name, queue, kind, ...settings } = entries;

export const CreateSchedule = example(object({ name, queue, kind, ...optional(settings) }), {
  name: "daily stand-up",
  cron: "0 9 * * 1-5",
  queue: "timers",
  kind: "timer",
  payload: { action: { type: "notify", payload: { userId: "me", title: "Stand-up", message: "In ten minutes" } } },
});
export type CreateSchedule = v.InferOutput<typeof CreateSchedule>;

/** Members that are missing stay as they are. */
export const UpdateSchedule = example(object(optional(entries)), { cron: "30 9 * * 1-5", active: true });
export type UpdateSchedule = v.InferOutput<typeof UpdateSchedule>;

export const PreviewBody = example(
  object({
    cron: doc(pattern, "Cron pattern"),
    timezone: v.optional(zone),
    count: v.optional(doc(integer(1, MAX_PREVIEW), "Number of runs; default 10")),
  }),
  { cron: "0 9 * * 1-5", timezone: "Europe/Berlin", count: 5 },
);

export const ScheduleParams = object({ id: doc(v.string(), "Id of the schedule") });

export const ListSchedules = object({
  active: v.optional(doc(queryBoolean, "Only active or only paused schedules")),
  queue: v.optional(doc(text(80, 1), "Queue of the jobs")),
  module: v.optional(doc(text(64, 1), "Name of the module that owns it")),
  runs: v.optional(doc(queryInteger(0, MAX_PREVIEW), `Next runs of each schedule; default ${SHOWN_RUNS}`)),
  ...pageEntries(),
});
export type ListSchedules = v.InferOutput<typeof ListSchedules>;

const NextRun = v.object({
  at: doc(v.string(), "Time of the run; of a skipped one the time of the clock change"),
  local: doc(v.string(), "Local time; of a skipped run one that the clock never shows"),
  dst: v.optional(
    doc(
      v.picklist(["moved", "skipped", "repeated"]),
      "Effect of the clock change: run after the gap, not run, or run in the second pass",
    ),
  ),
});

export const PreviewView = named(
  "SchedulePreview",
  "The next runs",
  v.object({
    cron: v.string(),
    timezone: v.string(),
    nextRuns: v.array(NextRun),
  }),
);

export const KindsView = named(
  "ScheduleKinds",
  "Kinds of jobs with a handler, by queue",
  v.object({ data: v.array(v.object({ queue: v.string(), kind: v.string() })) }),
);

export const ScheduleView = named(
  "Schedule",
  "A schedule with its next runs",
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
    lastRunAt: selfChanging(doc(v.nullable(v.string()), "Time of the last run")),
    nextRunAt: selfChanging(v.nullable(v.string())),
    nextRuns: selfChanging(v.array(NextRun)),
    createdAt: v.string(),
    updatedAt: v.string(),
  }),
);
export type ScheduleView = v.InferOutput<typeof ScheduleView>;

export const RunView = named(
  "ScheduleRun",
  "The enqueued job",
  v.object({ jobId: v.string(), runAt: v.string(), state: v.string() }),
);

/** A schedule as the caller sees it: texts of others' recurring timers are masked for readers of jobs. */
export function scheduleView(
  schedules: Schedules,
  schedule: Schedule,
  caller: PermissionHolder,
  runs = SHOWN_RUNS,
): ScheduleView {
  const isRead =
    schedule.queue !== "timers" ||
    schedule.createdBy === null ||
    caller.permissions.has("jobs:manage") ||
    mayReadWords(caller, schedule.createdBy);
  const { lastRunAt, createdAt, updatedAt, ...rest } = isRead ? schedule : withoutWordsOf(schedule);
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
