import * as v from "valibot";
import { doc, instant, named, object, queryBoolean, queryInteger, queryList } from "../../../http/api/shapes.ts";

/** Limit of points of a chart. */
export const MAX_POINTS = 200;

export const StatsQuery = object({
  from: v.optional(doc(instant, "Start; default: one hour before `to`")),
  to: v.optional(doc(instant, "End; default: now")),
  stepMs: v.optional(
    doc(queryInteger(1000, 31_536_000_000), `Length of a bucket; default: one that gives at most 120 of them`),
  ),
  projectId: v.optional(
    doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of a project; default: all that the caller may read"),
  ),
  parts: v.optional(
    doc(
      queryList(v.picklist(["events", "notifications", "deliveries", "jobs"])),
      "Parts to count, separated by commas; the others are null. Default: all",
    ),
  ),
});
export type StatsQuery = v.InferOutput<typeof StatsQuery>;

const counts = v.record(v.string(), v.number());
const series = v.record(v.string(), v.array(v.number()));
const section = {
  series: doc(series, "One number per bucket"),
  totals: doc(counts, "Sums of the period"),
  previous: doc(counts, "Sums of the period of the same length before"),
  estimated: doc(v.boolean(), "Some numbers are extrapolated from a sample of their bucket"),
};

export const StatsView = named(
  "Stats",
  "Figures over time; parts that the caller may not see are null",
  v.object({
    from: doc(v.string(), "Start of the first bucket, a multiple of `stepMs`"),
    to: v.string(),
    stepMs: v.number(),
    points: doc(v.number(), "Number of buckets; the last one may be shorter"),
    events: doc(v.nullable(v.object(section)), "Received events: `total` and one member per level"),
    notifications: doc(
      v.nullable(v.object({ ...section, scope: v.picklist(["all", "own"]) })),
      "Notifications by time of creation: `sent`, `seen` and `acknowledged` by at least one recipient; `own`: the caller's",
    ),
    deliveries: doc(
      v.nullable(
        v.object({
          ...section,
          channels: doc(v.record(v.string(), series), "The series by channel"),
          now: v.object({ waiting: v.number(), channels: doc(counts, "Waiting deliveries by channel") }),
        }),
      ),
      "Deliveries by their last change: `delivered`, `failed`, `skipped`, and `waiting` since then",
    ),
    jobs: doc(
      v.nullable(
        v.object({
          ...section,
          queues: doc(v.record(v.string(), series), "The series by queue"),
          now: doc(counts, "Jobs by state: `ready`, `scheduled`, `retrying`, `running`, `dead`"),
        }),
      ),
      "Finished jobs: `succeeded`, `dead`, `cancelled`",
    ),
  }),
);
export type StatsView = v.InferOutput<typeof StatsView>;

export const AttentionQuery = object({
  grouped: v.optional(
    doc(queryBoolean, "About ten lines: what is not delivered, then incidents by severity, then a line for each kind"),
  ),
});

export const ATTENTION_KINDS = [
  "incident",
  "incidents",
  "notification",
  "notifications",
  "way",
  "unproven",
  "channel",
  "jobs",
  "queue",
  "approvals",
  "oncall",
  "heartbeats",
  "module",
  "events",
  "storage",
  "watch",
  "audit",
  "config",
] as const;

const AttentionItem = named(
  "AttentionItem",
  "Something that needs attention",
  v.object({
    kind: v.picklist(ATTENTION_KINDS),
    severity: v.picklist(["critical", "warning", "info"]),
    key: doc(v.string(), "Stays the same while the matter is open"),
    title: v.string(),
    detail: v.string(),
    link: doc(v.string(), "Path in the console, such as `/jobs?state=dead`"),
    at: doc(v.nullable(v.string()), "Since when, if known"),
    ids: doc(v.array(v.string()), "Ids or names of the objects concerned"),
    counts: doc(counts, "Figures of the detail"),
    until: doc(v.nullable(v.string()), "Time of the next attempt of a paused channel"),
    word: doc(v.nullable(v.string()), "Of a line about an incident: its severity, or its urgency if that has no name"),
    project: doc(v.nullable(v.string()), "Of a line about an incident: the name of its project"),
  }),
);
export type AttentionItem = v.InferOutput<typeof AttentionItem>;

export const AttentionView = named(
  "Attention",
  "What needs attention first, the most severe first",
  v.object({
    items: v.array(AttentionItem),
    watched: doc(
      v.nullable(v.object({ rules: v.number(), heartbeats: v.number(), receivers: v.number() })),
      "With `grouped` and without items: how much the caller's projects watch",
    ),
    streams: doc(
      v.array(v.object({ stream: v.string(), types: v.array(v.string()) })),
      "Entries of live streams after which the answer may differ, besides the `incident.*` and `oncall.*` events of projects",
    ),
  }),
);
export type AttentionView = v.InferOutput<typeof AttentionView>;
