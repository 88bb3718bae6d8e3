import * as v from "valibot";
import type { Principal } from "../../../core/caller.ts";
import { invalidField } from "../../../core/errors.ts";
import {
  DAY_MS,
  type EpochMs,
  HOUR_MS,
  isTimezone,
  startOfDay,
  toRfc3339,
  zoneOffsetMs,
} from "../../../core/time/clock.ts";
import { doc, instant, named, object } from "../../../http/api/shapes.ts";
import type { Uses } from "../../../module/feature.ts";
import * as queries from "./queries.ts";
import { MAX_POINTS } from "./schema.ts";
import { sampledOf, WHOLE } from "./series.ts";

const STEPS = ["hour", "day", "week"] as const;
export const GROUPINGS = ["type", "level", "source"] as const;
type Step = (typeof STEPS)[number];

export const EventStatsQuery = object({
  projectId: v.optional(
    doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of a project; default: the key's, or the default project"),
  ),
  from: v.optional(doc(instant, "Start; default: 24 hours, 30 days or 12 weeks before `to`")),
  to: v.optional(doc(instant, "End; default: now")),
  step: v.optional(doc(v.picklist(STEPS), "Length of a bucket; default `day`. Weeks start on Monday")),
  timezone: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Time zone of hours, days and weeks; default UTC")),
  by: v.optional(doc(v.picklist(GROUPINGS), "Splits the numbers; default `level`")),
});
export type EventStatsQuery = v.InferOutput<typeof EventStatsQuery>;

const counts = v.array(v.number());

export const EventStatsView = named(
  "EventStats",
  "Received events over time",
  v.object({
    projectId: v.string(),
    from: v.string(),
    to: v.string(),
    step: v.picklist(STEPS),
    timezone: v.string(),
    by: v.picklist(GROUPINGS),
    buckets: doc(v.array(v.string()), "Start of each bucket; the first and the last one may be shorter"),
    total: v.number(),
    totals: doc(counts, "Events in each bucket, exact"),
    groups: doc(
      v.array(v.object({ name: doc(v.nullable(v.string()), "Null: without a source"), total: v.number(), counts })),
      "The largest groups first, at most 20",
    ),
    others: doc(v.object({ groups: v.number(), total: v.number(), counts }), "All further groups together"),
    estimated: doc(v.boolean(), "The numbers of groups are extrapolated from a sample of each bucket"),
  }),
);

export type EventStatsParts = Uses<"db" | "clock" | "projects">;

const DEFAULT_SPAN_MS: Readonly<Record<Step, number>> = { hour: DAY_MS, day: 30 * DAY_MS, week: 84 * DAY_MS };
const MAX_GROUPS = 20;

interface Group {
  readonly name: string | null;
  total: number;
  readonly counts: number[];
}

/**
 * Events of a project over time. They are numbered in the order of receipt, so that a bucket is a
 * range of numbers, which an index counts; its groups are those of all its events, or with many
 * events in the period those of its first ones. @throws VALIDATION_FAILED, PROJECT_NOT_FOUND
 */
export async function eventStats(
  { db, clock, projects }: EventStatsParts,
  principal: Principal,
  query: EventStatsQuery,
): Promise<v.InferOutput<typeof EventStatsView>> {
  const projectId = projects.requireOrDefault(principal, query.projectId, "events:read");
  const { step = "day", timezone = "UTC", by = "level" } = query;
  if (!isTimezone(timezone)) throw invalidField("query", "timezone", "must be a time zone, such as Europe/Berlin");
  const to = query.to ?? clock.now();
  const from = query.from ?? to - DEFAULT_SPAN_MS[step];
  if (from >= to) throw invalidField("query", "from", "must lie before to");
  const starts = startsOf(step, timezone, from, to);
  const edges = await queries.seqsAt(db.scan, [...starts, to]);
  const all = await queries.countEvents(db.scan, [projectId], edges[0] ?? 0, edges.at(-1) ?? 0);
  const groups = new Map<string | null, Group>();
  const totals: number[] = [];
  let isEstimated = false;
  for (const at of starts.keys()) {
    const range = [edges[at] ?? 0, edges[at + 1] ?? 0] as const;
    const limit = all <= WHOLE ? WHOLE : sampledOf(starts.length, WHOLE);
    const rows = all === 0 ? [] : await queries.eventGroups(db.scan, projectId, by, range, limit);
    const read = rows.reduce((sum, { n }) => sum + n, 0);
    const total = read < limit ? read : await queries.countEvents(db.scan, [projectId], ...range);
    totals.push(total);
    isEstimated ||= total > read;
    for (const { name, n } of rows)
      addTo(groups, name, { at, n: Math.round((n * total) / read), points: starts.length });
  }
  const sorted = [...groups.values()].sort((a, b) => b.total - a.total || String(a.name).localeCompare(String(b.name)));
  return {
    ...{ projectId, from: toRfc3339(from), to: toRfc3339(to), step, timezone, by },
    buckets: starts.map((start) => toRfc3339(start)),
    total: totals.reduce((sum, n) => sum + n, 0),
    totals,
    groups: sorted.slice(0, MAX_GROUPS),
    others: merged(sorted.slice(MAX_GROUPS), starts.length),
    estimated: isEstimated,
  };
}

function addTo(
  groups: Map<string | null, Group>,
  name: string | null,
  { at, n, points }: { readonly at: number; readonly n: number; readonly points: number },
): void {
  const group = groups.get(name) ?? { name, total: 0, counts: new Array<number>(points).fill(0) };
  group.total += n;
  group.counts[at] = n;
  groups.set(name, group);
}

function merged(groups: readonly Group[], points: number) {
  const sums = Array.from({ length: points }, (_, at) =>
    groups.reduce((sum, { counts: each }) => sum + (each[at] ?? 0), 0),
  );
  return { groups: groups.length, total: sums.reduce((sum, n) => sum + n, 0), counts: sums };
}

/** Starts of the buckets of a period; the first one is its start. @throws VALIDATION_FAILED for too many */
function startsOf(step: Step, timezone: string, from: EpochMs, to: EpochMs): EpochMs[] {
  const starts = [from];
  for (let next = boundaryAfter(step, timezone, from); next < to; next = boundaryAfter(step, timezone, next)) {
    starts.push(next);
    if (starts.length > MAX_POINTS) throw invalidField("query", "step", `gives more than ${MAX_POINTS} buckets`);
  }
  return starts;
}

/** The first start of an hour, day or week in the zone after an instant. */
function boundaryAfter(step: Step, timezone: string, at: EpochMs): EpochMs {
  const local = at + zoneOffsetMs(timezone, at);
  if (step === "hour") return at + HOUR_MS - (((local % HOUR_MS) + HOUR_MS) % HOUR_MS);
  const midnight = Math.floor(local / DAY_MS) * DAY_MS;
  const weekday = (new Date(midnight).getUTCDay() + 6) % 7;
  const days = step === "day" ? 1 : 7 - weekday;
  return Math.max(at + 1, startOfDay(midnight + days * DAY_MS, timezone));
}
