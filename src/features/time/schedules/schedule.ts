import * as v from "valibot";
import { equals, listing } from "../../../http/api/listing.ts";
import {
  column,
  computed,
  flag,
  given,
  json,
  orNull,
  type RowOf,
  resource,
  stored,
  time,
} from "../../../http/api/resource.ts";
import { doc, integer, jsonObject, queryBoolean, selfChanging, text } from "../../../http/api/shapes.ts";
import { MAX_PAYLOAD_BYTES } from "../jobs/index.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    schedules: ScheduleRow;
  }
}

/** Handling of runs missed while no server ran (docs/schedules.md). */
const MISSED = ["skip", "once", "all"] as const;
/** Handling of a run while a job of the schedule is unfinished. */
const OVERLAP = ["skip", "allow"] as const;

export const MIN_EVERY_MS = 1000;
/** Ten years. */
export const MAX_EVERY_MS = 315_576_000_000;

/** Of cron fields. */
export const pattern = text(512, 1);
export const ZONE = "IANA time zone, such as Europe/Berlin; default: that of the server";
const QUEUE = "Queue of the jobs, such as `timers`";
const selfChangingTime = selfChanging(v.nullable(v.string()));

export const NextRun = v.object({
  at: doc(v.string(), "Time of the run; of a skipped one the time of the clock change"),
  local: doc(v.string(), "Local time; of a skipped run one that the clock never shows"),
  dst: v.optional(
    doc(
      v.picklist(["moved", "skipped", "repeated"]),
      "Effect of the clock change: run after the gap, not run, or run in the second pass",
    ),
  ),
});

/** A definition that creates jobs by a cron pattern or an interval. */
export const ScheduleTable = resource("Schedule", "A schedule with its next runs", "schedules", () => ({
  id: stored(v.string()),
  name: given(text(128, 1), "Unique name"),
  cron: given(v.nullable(pattern), "Five or six fields, or a name such as @daily; see /docs/schedules").or(null),
  everyMs: given(v.nullable(integer(MIN_EVERY_MS, MAX_EVERY_MS)), "Interval instead of `cron`").or(null),
  timezone: given(text(64, 1), ZONE).or("UTC"),
  queue: given(text(80, 1), QUEUE),
  kind: given(text(128, 1), "Kind of the jobs: `timer` in the queue `timers`, or a kind of a module"),
  payload: given(jsonObject(MAX_PAYLOAD_BYTES), "Payload of each job; of a timer `{action}`", json())
    .or("{}")
    .shown(v.unknown()),
  label: given(v.nullable(text(128)), "Label of the jobs").or(null),
  missed: given(v.picklist(MISSED), "Handling of runs missed by more than 30 seconds; default `once`").or("once"),
  overlap: given(v.picklist(OVERLAP), "Handling of a run while a job of the schedule is unfinished; default `skip`").or(
    "skip",
  ),
  active: given(v.boolean("must be true or false"), "False pauses the schedule; default true", flag).or(1),
  maxAttempts: given(v.nullable(integer(1, 100)), "Attempts of each job; default: that of the queue").or(null),
  module: stored(v.nullable(v.string())),
  createdBy: stored(v.nullable(v.string())),
  version: stored(v.number()).or(1),
  lastRunAt: stored(selfChanging(doc(v.nullable(v.string()), "Time of the last run")), orNull(time)).or(null),
  nextRunAt: column(v.nullable(v.number())).shownAs(selfChangingTime),
  nextRuns: computed(selfChanging(v.array(NextRun))),
  createdAt: stored(v.string(), time),
  updatedAt: stored(v.string(), time),
}));
export type ScheduleRow = RowOf<typeof ScheduleTable>;

export const scheduleList = listing(
  ScheduleTable,
  () => ({
    active: equals(queryBoolean, "Only active or only paused schedules"),
    queue: equals(text(80, 1), "Queue of the jobs"),
    module: equals(text(64, 1), "Name of the module that owns it"),
  }),
  { searches: true, large: { columns: ["payload"], largest: MAX_PAYLOAD_BYTES } },
);
