import * as v from "valibot";
import type { Principal } from "../../../core/caller.ts";
import { invalidField } from "../../../core/errors.ts";
import { DAY_MS, toRfc3339 } from "../../../core/time/clock.ts";
import { doc, instant, named, object, queryBoolean, queryInteger } from "../../../http/api/shapes.ts";
import type { ReadDb } from "../../../store/database.ts";
import { namedSeverity, SEVERITIES } from "../incidents/incident.ts";
import type { AlertView } from "../types.ts";
import { StoredAlert } from "./alert-book.ts";
import { ListAlerts } from "./schema.ts";
import { type AlertsContext, filterOf, resolvedRows, SLICE_ROWS } from "./service.ts";

/* Alerts over time, from the live ones in memory and the index of resolved ones. */

const MAX_POINTS = 200;
const DEFAULT_STEP_MS = 1_800_000;
/** Resolved alerts that one request reads. */
const MAX_READ = 5000;
const MAX_NAMES = 100;
const NO_SEVERITY = "none";
const KEYS = [...SEVERITIES, NO_SEVERITY];

const { matcher, source, severity, q } = ListAlerts.entries;

export const AlertStatsQuery = object({
  projectId: v.optional(
    doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of a project; default: all that the caller may read"),
  ),
  state: v.optional(
    doc(
      ListAlerts.entries.state.wrapped,
      "Counts only alerts that are in this state now; default: firing and resolved ones",
    ),
  ),
  ...{ matcher, source, severity, q },
  from: v.optional(doc(instant, "Start; default: a day before `to`")),
  to: v.optional(doc(instant, "End; default: now")),
  stepMs: v.optional(doc(queryInteger(1000, 31_536_000_000), "Length of a bucket; default: half an hour")),
  names: v.optional(doc(queryBoolean, "Adds `names`")),
});
export type AlertStatsQuery = v.InferOutput<typeof AlertStatsQuery>;

const counts = v.array(v.number());

export const AlertStats = named(
  "AlertStats",
  "How many alerts began over time",
  v.object({
    from: doc(v.string(), "Start of the first bucket, a multiple of `stepMs`"),
    to: v.string(),
    stepMs: v.number(),
    points: doc(v.number(), "Number of buckets; the last one may be shorter"),
    series: doc(
      v.record(v.string(), counts),
      "By severity, `none` for alerts without one: one number per bucket, at the start of an alert. With the state " +
        "`resolved` at its end, as `from` and `to` of the list",
    ),
    total: doc(v.number(), "Sum of all series"),
    names: v.optional(
      doc(
        v.array(v.object({ name: v.string(), total: v.number(), counts })),
        `Of firing and resolved alerts by the label \`alertname\`: how many began; the ${MAX_NAMES} most frequent`,
      ),
    ),
    isCut: doc(v.boolean(), `More than ${MAX_READ} alerts were resolved in this time; the earliest are not counted`),
  }),
);

interface Period {
  readonly from: number;
  readonly to: number;
  readonly stepMs: number;
  readonly points: number;
}

/** Figures of a period. @throws PROJECT_NOT_FOUND, VALIDATION_FAILED */
export async function alertStats(context: AlertsContext, principal: Principal, query: AlertStatsQuery) {
  const { alerts, clock, db, projects } = context;
  const { projectId, state, from: _from, to: _to, stepMs: _stepMs, names, ...filters } = query;
  const period = periodOf(query, clock.now());
  const projectIds = projects.readable(principal, "events:read", projectId) ?? (await allProjects(db.scan));
  const isWanted = await filterOf(filters);
  const isWithin = (at: number | null): boolean => at !== null && at >= period.from && at < period.to;
  const began = (alert: AlertView): boolean => isWithin(alert.startsAt) && isWanted(alert);
  const firing = projectIds.flatMap((id) => alerts.list(id, began));
  const readsResolved = names === true || state === undefined || state === "resolved";
  const { found, isCut } = readsResolved ? await resolvedOf(db.scan, projectIds, period) : NONE;
  const resolved = found.filter(isWanted);
  const shown = {
    firing: () => firing,
    pending: () => projectIds.flatMap((id) => alerts.pending(id, began)),
    resolved: () => resolved,
    all: () => [...firing, ...resolved.filter(({ startsAt }) => isWithin(startsAt))],
  }[state ?? "all"]();
  const series = Object.fromEntries(KEYS.map((key) => [key, new Array<number>(period.points).fill(0)]));
  for (const alert of shown) {
    const at = state === "resolved" ? (alert.resolvedAt ?? 0) : alert.startsAt;
    addOne(series[namedSeverity(alert) ?? NO_SEVERITY], at, period);
  }
  return {
    from: toRfc3339(period.from),
    to: toRfc3339(period.to),
    ...{ stepMs: period.stepMs, points: period.points, series, isCut },
    total: Object.values(series)
      .flat()
      .reduce((sum, n) => sum + n, 0),
    ...(names && { names: byName([...firing, ...resolved.filter(({ startsAt }) => isWithin(startsAt))], period) }),
  };
}

/** @throws VALIDATION_FAILED */
function periodOf({ from, to, stepMs = DEFAULT_STEP_MS }: AlertStatsQuery, now: number): Period {
  const end = to ?? now + 1;
  // A day has the bucket of now and those before it.
  const start = Math.floor((from ?? end - DAY_MS + stepMs) / stepMs) * stepMs;
  if (start >= end) throw invalidField("query", "from", "must lie before to");
  const points = Math.ceil((end - start) / stepMs);
  if (points > MAX_POINTS) throw invalidField("query", "stepMs", `gives more than ${MAX_POINTS} points`);
  return { from: start, to: end, stepMs, points };
}

async function allProjects(scan: ReadDb): Promise<readonly string[]> {
  const rows = await scan.selectFrom("projects").select("id").where("deletedAt", "is", null).execute();
  return rows.map(({ id }) => id);
}

interface Resolved {
  readonly found: readonly AlertView[];
  readonly isCut: boolean;
}

const NONE: Resolved = { found: [], isCut: false };

/** Alerts that ended in a period, the latest first: one that began in it has not ended before. */
async function resolvedOf(scan: ReadDb, projectIds: readonly string[], { from, to }: Period): Promise<Resolved> {
  const found: AlertView[] = [];
  for (const projectId of projectIds) {
    let after: readonly (string | number)[] | null = null;
    for (let isEnd = false; !isEnd; ) {
      if (found.length >= MAX_READ) return { found, isCut: true };
      const rows: Awaited<ReturnType<typeof resolvedRows>> = await resolvedRows(scan, projectId, { from, to }, after);
      found.push(...rows.map((row) => new StoredAlert(row)));
      const last = rows.at(-1);
      isEnd = rows.length < SLICE_ROWS || last === undefined;
      if (last) after = [last.resolvedAt ?? 0, last.id];
    }
  }
  return { found, isCut: false };
}

function byName(alerts: readonly AlertView[], period: Period) {
  const groups = new Map<string, { readonly name: string; total: number; readonly counts: number[] }>();
  for (const alert of alerts) {
    const name = alert.label("alertname");
    const group = groups.get(name) ?? { name, total: 0, counts: new Array<number>(period.points).fill(0) };
    group.total += 1;
    addOne(group.counts, alert.startsAt, period);
    groups.set(name, group);
  }
  return [...groups.values()].sort((a, b) => b.total - a.total || a.name.localeCompare(b.name)).slice(0, MAX_NAMES);
}

function addOne(numbers: number[] | undefined, at: number, { from, stepMs }: Period): void {
  const bucket = Math.floor((at - from) / stepMs);
  if (numbers?.[bucket] !== undefined) numbers[bucket] += 1;
}
