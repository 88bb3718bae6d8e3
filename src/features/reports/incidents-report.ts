import { currentCaller, type Principal } from "../../core/caller.ts";
import { invalidField } from "../../core/errors.ts";
import { DAY_MS, type EpochMs } from "../../core/time/clock.ts";
import { type ReadDb, rowsOf } from "../../store/database.ts";
import { IS_BRIEF } from "../alerts/index.ts";
import { IN_FACTS } from "./facts.ts";
import { type ReportsContext, type Scope, scopeOf, shareOf, timesOf } from "./range.ts";
import {
  type IncidentFigures,
  type IncidentGroup,
  type IncidentsQuery,
  type IncidentsReport,
  MAX_GROUPS,
  type ReportTimes,
} from "./schema.ts";

/** Facts of one report; of more the days are read. */
const MAX_FACTS = 100_000;
const STEPS_PER_FACT = 20;

/** Of facts and of days; a week begins on Monday, and the first one of 1970 on the fifth. */
const GROUPS = {
  project: { facts: "projectId", days: "projectId" },
  policy: { facts: "policy", days: "policy" },
  severity: { facts: "severity", days: "severity" },
  key: { facts: "f.key", days: "d.key" },
  day: { facts: "date(openedAt / 1000, 'unixepoch')", days: "date(day * 86400, 'unixepoch')" },
  week: {
    facts: "date((openedAt / 86400000 + 3) / 7 * 604800 - 259200, 'unixepoch')",
    days: "date((day + 3) / 7 * 604800 - 259200, 'unixepoch')",
  },
} as const;
const SEVERITIES = ["critical", "error", "warning", "info"] as const;
/** SQL: a sum for each severity. @param n how many incidents a row counts */
const bySeverity = (n: string): string =>
  SEVERITIES.map((each) => `sum(iif(severity = '${each}', ${n}, 0)) ${each}`).join(", ");
const COUNT = `select count(*) n from (select 1 ${IN_FACTS} limit ${MAX_FACTS + 1})`;
/** Lists of times are sorted by the main thread, which is faster than windows of SQLite. */
const factsBy = (group: string): string => `select ${group} "group", count(*) incidents, sum(pagedAt is not null) paged,
  sum(pagedAt is not null and firstAckAt is not null) acknowledged,
  sum(${IS_BRIEF}) brief,
  sum(reopened) reopened, sum(pages) pages, ${bySeverity("1")},
  json_group_array(max(0, firstAckAt - pagedAt)) filter (where firstAckAt is not null and pagedAt is not null) acks,
  json_group_array(firstAckAt - openedAt) filter (where firstAckAt is not null) openAcks,
  json_group_array(resolvedAt - openedAt) resolves ${IN_FACTS} group by 1`;

const IN_DAYS = `from json_each(?) p cross join incident_days d on d.projectId = p.value and d.day >= ? and d.day < ?`;
const daysBy = (group: string): string => `select ${group} "group", sum(incidents) incidents, sum(paged) paged,
  sum(acknowledged) acknowledged, sum(brief) brief, sum(reopened) reopened, sum(pages) pages, sum(ackMs) ackMs,
  sum(resolveMs) resolveMs, ${bySeverity("incidents")} ${IN_DAYS} group by 1`;
const bucketsBy = (group: string, column: "acks" | "resolves"): string =>
  `select ${group} "group", cast(b.key as integer) bucket, sum(b.value) n ${IN_DAYS}, json_each(d.${column}) b
    where b.key <> 'none' group by 1, 2`;

type Sums = Pick<IncidentFigures, "incidents" | "paged" | "acknowledged" | "brief" | "reopened" | "pages"> &
  IncidentFigures["severities"];

interface Measured extends Sums {
  readonly group: string;
  readonly ack: ReportTimes;
  readonly ackSinceOpening: ReportTimes | null;
  readonly resolve: ReportTimes;
}

/** @throws VALIDATION_FAILED, PROJECT_NOT_FOUND */
export async function incidentsReport(
  context: ReportsContext,
  principal: Principal,
  query: IncidentsQuery,
): Promise<IncidentsReport> {
  const scope = await scopeOf(context, principal, query);
  const by = query.by ?? "key";
  const whole = await measured(context.db.scan, scope, by);
  const { isApproximate, groups, total } = whole;
  const byPages = (a: Measured, b: Measured) => b.pages - a.pages || b.incidents - a.incidents;
  const sorted = groups.toSorted(by === "week" || by === "day" ? (a, b) => (a.group < b.group ? -1 : 1) : byPages);
  const data = sorted.slice(0, MAX_GROUPS).map((each): IncidentGroup => ({ group: each.group, ...figuresOf(each) }));
  const groupsLeftOut = groups.length - data.length;
  const compared = query.compare ? await comparedFigures(context.db.scan, scope, whole) : null;
  return { ...timesOf(scope), by, isApproximate, total: figuresOf(total), compared, data, groupsLeftOut };
}

/** Less than this share of the incidents, such as before alerts came, says nothing. */
const LEAST_SHARE = 0.1;

/** With the same length of time before; with too little there, the second half with the first one. */
async function comparedFigures(scan: ReadDb, scope: Scope, whole: Totals): Promise<IncidentsReport["compared"]> {
  const { from, to } = scope;
  const middle = middleOf(scope, whole.isApproximate);
  const totalsIn = (start: EpochMs, end: EpochMs) => measured(scan, { ...scope, from: start, to: end }, "project");
  const comparing = (other: "before" | "firstHalf", now: Totals, before: Totals) => {
    const isEnough = before.total.incidents > 0 && before.total.incidents >= now.total.incidents * LEAST_SHARE;
    if (!isEnough) return null;
    const isApproximate = now.isApproximate || before.isApproximate;
    return { with: other, isApproximate, now: figuresOf(now.total), before: figuresOf(before.total) };
  };
  return (
    comparing("before", whole, await totalsIn(from - (to - from), from)) ??
    comparing("firstHalf", await totalsIn(middle, to), await totalsIn(from, middle))
  );
}

/** The table of days has whole days only: halves that meet at midnight have none in common. */
function middleOf({ from, to }: Scope, isApproximate: boolean): EpochMs {
  const middle = Math.round((from + to) / 2);
  return isApproximate ? Math.round(middle / DAY_MS) * DAY_MS : middle;
}

/** Of a time, without its groups. */
type Totals = Pick<Awaited<ReturnType<typeof measured>>, "isApproximate" | "total">;

async function measured(scan: ReadDb, scope: Scope, by: string) {
  const [counted] = await rowsOf<{ n: number }>(scan, COUNT, [scope.projects, scope.from, scope.to]);
  const facts = counted?.n ?? 0;
  currentCaller().charge?.({ steps: Math.min(facts, MAX_FACTS) * STEPS_PER_FACT });
  if (facts <= MAX_FACTS) return { isApproximate: false, ...(await fromFacts(scan, scope, by)) };
  if (by.startsWith("label:"))
    throw invalidField("query", "by", `needs a shorter time: there are more than ${MAX_FACTS} incidents`);
  return { isApproximate: true, ...(await fromDays(scan, scope, by as keyof typeof GROUPS)) };
}

type FactRow = Sums & {
  readonly group: string;
  readonly acks: string;
  readonly openAcks: string;
  readonly resolves: string;
};

async function fromFacts(scan: ReadDb, { projects, from, to }: Scope, by: string) {
  const label = /^label:(.*)$/.exec(by)?.[1];
  const group = label === undefined ? GROUPS[by as keyof typeof GROUPS].facts : "coalesce(labels ->> ?, '')";
  const parameters = [projects, from, to];
  const text = factsBy(group);
  const rows = await rowsOf<FactRow>(scan, text, label === undefined ? parameters : [`$."${label}"`, ...parameters]);
  const all = { acks: [] as number[], openAcks: [] as number[], resolves: [] as number[] };
  const groups = rows.map((row): Measured => {
    const lists = {
      acks: JSON.parse(row.acks) as number[],
      openAcks: JSON.parse(row.openAcks) as number[],
      resolves: JSON.parse(row.resolves) as number[],
    };
    for (const name of ["acks", "openAcks", "resolves"] as const) for (const each of lists[name]) all[name].push(each);
    return { ...row, ...timesIn(lists) };
  });
  return { groups, total: { ...sumOf(rows), group: "", ...timesIn(all) } };
}

function timesIn({ acks, openAcks, resolves }: Readonly<Record<"acks" | "openAcks" | "resolves", number[]>>) {
  return { ack: exactTimes(acks), ackSinceOpening: exactTimes(openAcks), resolve: exactTimes(resolves) };
}

/** Median, 90th percentile by nearest rank, and mean. */
export function exactTimes(values: readonly number[]): ReportTimes {
  const sorted = Float64Array.from(values).sort();
  const { length } = sorted;
  if (length === 0) return { median: null, p90: null, mean: null };
  const at = (index: number): number => sorted[index] ?? 0;
  const middle = Math.floor(length / 2);
  const median = length % 2 === 1 ? at(middle) : Math.round((at(middle - 1) + at(middle)) / 2);
  const sum = sorted.reduce((a, b) => a + b, 0);
  return { median, p90: at(Math.ceil(length * 0.9) - 1), mean: Math.round(sum / length) };
}

type DayRow = Sums & { readonly group: string; readonly ackMs: number; readonly resolveMs: number };
interface Bucket {
  readonly group: string;
  readonly bucket: number;
  readonly n: number;
}

async function fromDays(scan: ReadDb, { projects, from, to }: Scope, by: keyof typeof GROUPS) {
  const parameters = [projects, Math.floor(from / DAY_MS), Math.ceil(to / DAY_MS)];
  const { days } = GROUPS[by];
  const rows = await rowsOf<DayRow>(scan, daysBy(days), parameters);
  const acks = await rowsOf<Bucket>(scan, bucketsBy(days, "acks"), parameters);
  const resolves = await rowsOf<Bucket>(scan, bucketsBy(days, "resolves"), parameters);
  const [acksOf, resolvesOf] = [Map.groupBy(acks, inGroup), Map.groupBy(resolves, inGroup)];
  const timesFrom = (
    { acknowledged, incidents, ackMs, resolveMs }: Omit<DayRow, "group">,
    of: [Bucket[], Bucket[]],
  ) => ({
    ack: approximateTimes(of[0], ackMs, acknowledged),
    ackSinceOpening: null,
    resolve: approximateTimes(of[1], resolveMs, incidents),
  });
  const groups = rows.map(
    (row): Measured => ({
      ...row,
      ...timesFrom(row, [acksOf.get(row.group) ?? [], resolvesOf.get(row.group) ?? []]),
    }),
  );
  const sum = (name: "ackMs" | "resolveMs"): number => rows.reduce((total, row) => total + row[name], 0);
  const all = { ...sumOf(rows), ackMs: sum("ackMs"), resolveMs: sum("resolveMs") };
  return { groups, total: { ...sumOf(rows), group: "", ...timesFrom(all, [acks, resolves]) } };
}

const inGroup = ({ group }: Bucket): string => group;

/** From the buckets of a histogram: inside of one they count as evenly spread. */
export function approximateTimes(buckets: readonly Omit<Bucket, "group">[], sumMs: number, count: number): ReportTimes {
  const counts = new Map<number, number>();
  for (const { bucket, n } of buckets) counts.set(bucket, (counts.get(bucket) ?? 0) + n);
  const total = [...counts.values()].reduce((a, b) => a + b, 0);
  if (total === 0 || count === 0) return { median: null, p90: null, mean: null };
  const sorted = [...counts].sort(([a], [b]) => a - b);
  const at = (share: number): number => {
    let before = 0;
    for (const [bucket, n] of sorted) {
      const lowest = bucket === 0 ? 0 : 2 ** bucket;
      if (before + n >= share * total)
        return Math.round((lowest + (2 ** (bucket + 1) - lowest) * ((share * total - before) / n)) * 1000);
      before += n;
    }
    return 0;
  };
  return { median: at(0.5), p90: at(0.9), mean: Math.round(sumMs / count) };
}

const NO_SEVERITY = { critical: 0, error: 0, warning: 0, info: 0 };

function sumOf(rows: readonly Sums[]): Sums {
  const sums = { ...{ incidents: 0, paged: 0, acknowledged: 0, brief: 0, reopened: 0, pages: 0 }, ...NO_SEVERITY };
  for (const row of rows) for (const name of Object.keys(sums) as (keyof Sums)[]) sums[name] += row[name];
  return sums;
}

function figuresOf(of: Measured): IncidentFigures {
  const { incidents, paged, acknowledged, brief, reopened, pages, ack, ackSinceOpening, resolve } = of;
  const { critical, error, warning, info } = of;
  return {
    ...{ incidents, paged, acknowledged, unacknowledgedShare: shareOf(paged - acknowledged, paged) },
    ...{ brief, reopened, pages, severities: { critical, error, warning, info }, ack, ackSinceOpening, resolve },
  };
}
