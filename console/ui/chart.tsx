import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Chart, ChartMark, ChartSeries } from "./chart-draw.ts";
import { displayZone, formatInstant } from "./clock.ts";
import { formatCompact, formatNumber } from "./format.ts";
import { useLatest } from "./latest.ts";
import { Card } from "./page.tsx";
import { EmptyState, ErrorState, Skeleton } from "./status.tsx";
import { isDark } from "./theme.ts";
import type { Action } from "./types.ts";

export interface ChartCardProps {
  readonly title: string;
  readonly sub?: ComponentChildren;
  /** Epoch ms, ascending. */
  readonly x: readonly number[];
  readonly series: readonly ChartSeries[];
  readonly kind?: "line" | "area" | "bars" | undefined;
  readonly stacked?: boolean | undefined;
  readonly height?: number | undefined;
  readonly format?: ((n: number) => string) | undefined;
  readonly actions?: ComponentChildren;
  readonly loading?: boolean | undefined;
  readonly error?: unknown;
  readonly retry?: Action | undefined;
  readonly emptyText?: string | undefined;
  readonly marks?: readonly ChartMark[] | undefined;
  /** The user dragged over a range. */
  readonly onRange?: ((from: number, to: number) => void) | undefined;
  /** No card around it. */
  readonly bare?: boolean | undefined;
}

/** Numbers over time, with a legend, and as a table for screen readers. */
export function ChartCard(props: ChartCardProps) {
  const { title, sub, actions, bare } = props;
  const content = <ChartBody {...props} />;
  if (bare === true) return content;
  return (
    <Card title={title} sub={sub} actions={actions}>
      {content}
    </Card>
  );
}

function ChartBody(props: ChartCardProps) {
  const { x, series, loading, error, retry, emptyText, height = 200 } = props;
  if (x.length > 0 && series.length > 0) return <Plot {...props} />;
  const style = { minHeight: `${height}px` };
  if (error !== undefined && error !== null)
    return <div class="chart-none" style={style} children={<ErrorState small error={error} retry={retry} />} />;
  if (loading === true) return <Skeleton kind="chart" />;
  return (
    <div
      class="chart-none"
      style={style}
      children={<EmptyState small title={emptyText ?? "No data in this range"} />}
    />
  );
}

const LOOK_MS = 50;
const MAX_LOOKS = 40;

/** Charts come after what people read first: on a slow line their script would hold up the rows. */
async function afterRows(): Promise<void> {
  for (let looks = 0; looks < MAX_LOOKS && document.querySelector(".skeleton:not(.chart)") !== null; looks++)
    await new Promise((done) => setTimeout(done, LOOK_MS));
}

function Plot(props: ChartCardProps) {
  const { x, series, height = 200, format = formatCompact, title } = props;
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | undefined>(undefined);
  const [at, setAt] = useState<number>();
  const [failed, setFailed] = useState<unknown>();
  const latest = useLatest(props);
  const dark = isDark.value;
  const zone = displayZone.value;
  const shape = `${props.kind} ${props.stacked} ${height} ${dark} ${zone} ${series.map((s) => s.label + s.tone).join()}`;
  useEffect(() => {
    let isCurrent = true;
    const draw = async () => {
      await afterRows();
      const { drawChart } = await import("./chart-draw.ts");
      if (!isCurrent || host.current === null) return;
      const { onRange } = latest.current;
      chart.current = drawChart(host.current, { ...latest.current, height, format, zone, onCursor: setAt, onRange });
    };
    draw().catch(setFailed);
    return () => {
      isCurrent = false;
      chart.current?.destroy();
      chart.current = undefined;
    };
  }, [shape]);
  useLayoutEffect(() => chart.current?.update(x, series, props.marks ?? []), [x, series, props.marks]);
  if (failed !== undefined) return <ErrorState small error={failed} title="The chart could not be loaded" />;
  return (
    <figure class="chart" aria-label={title}>
      <Legend
        series={series}
        at={at}
        format={props.format ?? ((n) => formatNumber(n, 2))}
        time={at === undefined ? undefined : x[at]}
      />
      <div class="plot" ref={host} style={{ height: `${height}px` }} aria-hidden="true" />
      <div class="sr-only">
        <ValueTable {...props} />
      </div>
    </figure>
  );
}

function Legend({
  series,
  at,
  time,
  format,
}: {
  readonly series: readonly ChartSeries[];
  readonly at: number | undefined;
  readonly time: number | undefined;
  readonly format: (n: number) => string;
}) {
  return (
    <figcaption class="legend" aria-hidden="true">
      {series.map((each) => {
        const value = at === undefined ? undefined : each.values[at];
        return (
          <span key={each.label} class={`legend-i ${each.tone ?? "accent"}`}>
            <i /> <bdi>{each.label}</bdi>
            {at !== undefined && <b class="num">{value === null || value === undefined ? "—" : format(value)}</b>}
          </span>
        );
      })}
      <span class="legend-at num">{time !== undefined && formatInstant(time, "full")}</span>
    </figcaption>
  );
}

const ROWS_READ = 48;

/** The same numbers for screen readers, thinned out to a length that can be listened to. */
function ValueTable({ title, x, series, format = (n) => formatNumber(n, 2) }: ChartCardProps) {
  const step = Math.max(1, Math.ceil(x.length / ROWS_READ));
  const rows = x.map((ms, index) => [ms, index] as const).filter(([, index]) => index % step === 0);
  return (
    <table>
      <caption>{title}</caption>
      <thead>
        <tr>
          <th scope="col">Time</th>
          {series.map((each) => (
            <th scope="col" key={each.label}>
              {each.label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(([ms, index]) => (
          <tr key={ms}>
            <th scope="row">{formatInstant(ms, "full")}</th>
            {series.map((each) => {
              const value = each.values[index];
              return <td key={each.label}>{value === null || value === undefined ? "none" : format(value)}</td>;
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
