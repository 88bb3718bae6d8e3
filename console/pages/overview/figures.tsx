import { useEffect, useRef } from "preact/hooks";
import type { Stats } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { navigate } from "../../app/navigate.ts";
import { type QueryResult, useQuery } from "../../app/query.ts";
import { IDLE_MS, useRefresh } from "../../app/refresh.ts";
import { ChartCard, formatNumber, formatPercent, plural, Skeleton, StatCard } from "../../ui/index.ts";
import { RANGES, type Range } from "./overview-types.ts";

const EVERY_MS = 5000;

/** Figures of the range until now. @param changed increases with every live event */
export function useStats(range: Range, changed: string): QueryResult<Stats> {
  const query = useQuery<Stats>(`/stats ${range}`, () =>
    api.get<Stats>("/stats", { from: new Date(Date.now() - RANGES[range].ms).toISOString() }),
  );
  const announce = useRefresh(query.reload, EVERY_MS, IDLE_MS);
  const isFirst = useRef(true);
  useEffect(() => {
    if (isFirst.current) isFirst.current = false;
    else announce();
  }, [changed]);
  return query;
}

interface Props {
  readonly stats: Stats | undefined;
  readonly range: Range;
}

export function StatCards({ stats, range }: Props) {
  if (!stats) return <Skeleton kind="cards" count={2} />;
  const { events, notifications } = stats;
  const { text } = RANGES[range];
  return (
    <div class="grid2">
      {events && (
        <StatCard
          label="Events"
          value={about(events.estimated, events.totals["total"])}
          sub={text}
          {...deltaOf(events, "total")}
          spark={[...(events.series["total"] ?? [])]}
          href={href("/events")}
        />
      )}
      {notifications && (
        <StatCard
          label={notifications.scope === "own" ? "Your notifications" : "Notifications"}
          value={about(notifications.estimated, notifications.totals["sent"])}
          sub={`${text} · ${formatNumber(notifications.totals["seen"] ?? 0)} seen`}
          spark={[...(notifications.series["sent"] ?? [])]}
          href={href("/inbox?show=all")}
        />
      )}
    </div>
  );
}

/** Deliveries and jobs, for who operates the server. */
export function ServerCards({ stats }: Props) {
  if (!stats) return <Skeleton kind="cards" count={2} />;
  const { deliveries, jobs } = stats;
  return (
    <div class="grid2">
      {deliveries && <DeliveredCard deliveries={deliveries} />}
      {jobs && <JobsCard jobs={jobs} />}
    </div>
  );
}

function about(isEstimated: boolean, n = 0): string {
  return `${isEstimated ? "≈ " : ""}${formatNumber(n)}`;
}

function deltaOf({ totals, previous }: NonNullable<Stats["events"]>, name: string) {
  const before = previous[name] ?? 0;
  return before === 0 ? {} : { delta: ((totals[name] ?? 0) - before) / before, deltaGood: "none" as const };
}

function DeliveredCard({ deliveries }: { readonly deliveries: NonNullable<Stats["deliveries"]> }) {
  const { totals, series, now } = deliveries;
  const delivered = totals["delivered"] ?? 0;
  const failed = totals["failed"] ?? 0;
  const all = delivered + failed;
  return (
    <StatCard
      label="Delivered"
      value={all === 0 ? "—" : formatPercent(delivered / all)}
      sub={`${formatNumber(now.waiting)} waiting · ${formatNumber(failed)} failed`}
      spark={[...(series["delivered"] ?? [])]}
      tone={failed > 0 ? "warn" : "accent"}
      href={href("/deliveries")}
    />
  );
}

function JobsCard({ jobs: { now, series } }: { readonly jobs: NonNullable<Stats["jobs"]> }) {
  const dead = now["dead"] ?? 0;
  const waiting = (now["scheduled"] ?? 0) + (now["retrying"] ?? 0);
  return (
    <StatCard
      label="Jobs"
      value={formatNumber(dead)}
      sub={`dead · ${formatNumber(now["running"] ?? 0)} running, ${formatNumber(waiting)} scheduled`}
      spark={[...(series["succeeded"] ?? [])]}
      tone={dead > 0 ? "bad" : "accent"}
      href={href(dead > 0 ? "/jobs?state=dead" : "/jobs")}
    />
  );
}

const HEIGHT = 170;
/** As high as the latest events beside it. */
const TALL = 262;

/** Points of time of the buckets, epoch ms. */
function timesOf({ from, stepMs, points }: Stats): number[] {
  const start = Date.parse(from);
  return Array.from({ length: points }, (_, index) => start + index * stepMs);
}

/** Without a number in the range there is nothing to draw. */
function timesIfAny(stats: Stats, { totals }: { readonly totals: Readonly<Record<string, number>> }): number[] {
  return Object.values(totals).some((n) => n > 0) ? timesOf(stats) : [];
}

type Series = readonly [name: string, label: string, tone: "accent" | "ok" | "bad" | "warn" | "info" | "muted"][];

function seriesOf(series: Readonly<Record<string, readonly number[]>>, shown: Series) {
  return shown.map(([name, label, tone]) => ({ label, tone, values: [...(series[name] ?? [])] }));
}

export function EventChart({ stats, range }: Props) {
  const events = stats?.events;
  if (!stats || !events) return stats ? null : <Skeleton kind="chart" />;
  const errors = (events.series["error"] ?? []).map((n, index) => n + (events.series["fatal"]?.[index] ?? 0));
  const count = (events.totals["error"] ?? 0) + (events.totals["fatal"] ?? 0);
  const info = (events.series["info"] ?? []).map((n, index) => n + (events.series["debug"]?.[index] ?? 0));
  return (
    <ChartCard
      title="Events by level"
      sub={`${plural(count, "error")} in the ${RANGES[range].text}`}
      x={timesIfAny(stats, events)}
      emptyText={`No events in the ${RANGES[range].text}`}
      kind="bars"
      stacked
      height={TALL}
      series={[
        { label: "error", tone: "bad", values: errors },
        { label: "warn", tone: "warn", values: [...(events.series["warn"] ?? [])] },
        { label: "info", tone: "accent", values: info },
      ]}
      onRange={(from, to) => navigate(`/events?from=${iso(from)}&to=${iso(to)}`)}
    />
  );
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

export function NotificationChart({ stats, range }: Props) {
  const notifications = stats?.notifications;
  if (!stats || !notifications) return null;
  return (
    <ChartCard
      title={notifications.scope === "own" ? "Your notifications" : "Notifications"}
      sub="By the time they were sent"
      x={timesIfAny(stats, notifications)}
      emptyText={`No notifications in the ${RANGES[range].text}`}
      kind="line"
      height={HEIGHT}
      series={seriesOf(notifications.series, [
        ["sent", "sent", "accent"],
        ["seen", "seen", "info"],
        ["acknowledged", "acknowledged", "ok"],
      ])}
    />
  );
}

export function DeliveryChart({ stats, range }: Props) {
  if (!stats?.deliveries) return null;
  return (
    <ChartCard
      title="Deliveries"
      sub="By push, mail and webhook"
      x={timesIfAny(stats, stats.deliveries)}
      emptyText={`No deliveries in the ${RANGES[range].text}`}
      kind="bars"
      stacked
      height={HEIGHT}
      series={seriesOf(stats.deliveries.series, [
        ["failed", "failed", "bad"],
        ["waiting", "waiting", "warn"],
        ["delivered", "delivered", "ok"],
        ["skipped", "skipped", "muted"],
      ])}
    />
  );
}

export function JobChart({ stats, range }: Props) {
  if (!stats?.jobs) return null;
  return (
    <ChartCard
      title="Finished jobs"
      sub="Work that Prism does in the background"
      x={timesIfAny(stats, stats.jobs)}
      emptyText={`No job finished in the ${RANGES[range].text}`}
      kind="bars"
      stacked
      height={HEIGHT}
      series={seriesOf(stats.jobs.series, [
        ["dead", "dead", "bad"],
        ["cancelled", "cancelled", "muted"],
        ["succeeded", "succeeded", "accent"],
      ])}
    />
  );
}
