import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import type { AnswerOf } from "../../../http/api/resource.ts";
import { doc, example, integer, named, object, pageEntries, queryInteger, text } from "../../../http/api/shapes.ts";
import { mayReadWords, withoutWordsOf } from "../jobs/index.ts";
import type { Occurrence } from "./cron/recurrence.ts";
import { NextRun, pattern, ScheduleTable, scheduleList, ZONE } from "./schedule.ts";
import type { Schedule } from "./schedule-definition.ts";
import type { Schedules } from "./schedules.ts";

const MAX_PREVIEW = 50;
/** Next times that a schedule shows with itself. */
export const SHOWN_RUNS = 5;

export const CreateSchedule = () => {
  const { name, queue, kind, ...settings } = ScheduleTable.forCreate;
  return example(object({ name, queue, kind, ...settings }), {
    name: "daily stand-up",
    cron: "0 9 * * 1-5",
    queue: "timers",
    kind: "timer",
    payload: { action: { type: "notify", payload: { userId: "me", title: "Stand-up", message: "In ten minutes" } } },
  });
};
export type CreateSchedule = v.InferOutput<ReturnType<typeof CreateSchedule>>;

/** Members that are missing stay as they are. */
export const UpdateSchedule = () => example(object(ScheduleTable.forUpdate), { cron: "30 9 * * 1-5", active: true });
export type UpdateSchedule = v.InferOutput<ReturnType<typeof UpdateSchedule>>;

export const PreviewBody = example(
  object({
    cron: doc(pattern, "Cron pattern"),
    timezone: v.optional(doc(text(64, 1), ZONE)),
    count: v.optional(doc(integer(1, MAX_PREVIEW), "Number of runs; default 10")),
  }),
  { cron: "0 9 * * 1-5", timezone: "Europe/Berlin", count: 5 },
);

export const ScheduleParams = object({ id: doc(v.string(), "Id of the schedule") });

export const ListSchedules = () =>
  object({
    ...scheduleList.entries,
    runs: v.optional(doc(queryInteger(0, MAX_PREVIEW), `Next runs of each schedule; default ${SHOWN_RUNS}`)),
    ...pageEntries(),
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
): AnswerOf<typeof ScheduleTable> {
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
