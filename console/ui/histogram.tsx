import { useRef, useState } from "preact/hooks";
import { dateFormat, displayZone, formatInstant, toWallClock } from "./clock.ts";
import { cx } from "./dom.ts";
import { formatNumber } from "./format.ts";

export interface HistogramSeries {
  /** As in "3 critical". */
  readonly label: string;
  readonly look: "critical" | "error" | "warning" | "info" | "none";
  readonly values: readonly number[];
}

interface HistogramProps {
  readonly title: string;
  /** Start of the first bucket, epoch ms. */
  readonly from: number;
  readonly stepMs: number;
  /** The gravest first: it is at the bottom. */
  readonly series: readonly HistogramSeries[];
  /** The chosen time, epoch ms. */
  readonly chosen?: { readonly from: number; readonly to: number } | null | undefined;
  /** The user chose buckets: by a press, by dragging, or by the arrow keys and Enter. */
  readonly onRange?: ((from: number, to: number) => void) | undefined;
  /** Some is not counted. */
  readonly note?: string | undefined;
}

/** Numbers over time as small stacked bars, with words beside the colours and a table for screen readers. */
export function Histogram({ title, from, stepMs, series, chosen, onRange, note }: HistogramProps) {
  const [at, setAt] = useState<number>();
  const [start, setStart] = useState<number>();
  const plot = useRef<HTMLDivElement>(null);
  const points = series[0]?.values.length ?? 0;
  const sums = Array.from({ length: points }, (_, index) => sumAt(series, index));
  const largest = Math.max(1, ...sums);
  const shown = series.filter(({ values }) => values.some((n) => n > 0));
  const timeOf = (index: number) => from + index * stepMs;
  const choose = (a: number, b: number) => onRange?.(timeOf(Math.min(a, b)), timeOf(Math.max(a, b) + 1));
  const indexAt = (event: PointerEvent) => {
    const box = plot.current?.getBoundingClientRect();
    if (!box || points === 0) return undefined;
    return Math.max(0, Math.min(points - 1, Math.floor(((event.clientX - box.left) / box.width) * points)));
  };
  const release = (event: PointerEvent) => {
    const end = indexAt(event);
    if (start !== undefined && end !== undefined) choose(start, end);
    setStart(undefined);
  };
  const move = (event: KeyboardEvent) => {
    const current = at ?? points - 1;
    const next = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: points - 1 }[event.key];
    if (event.key === "Enter" && at !== undefined) choose(at, at);
    else if (next === undefined) return;
    else setAt(Math.max(0, Math.min(points - 1, next)));
    event.preventDefault();
  };
  const isIn = (index: number) => {
    if (start !== undefined && at !== undefined) return index >= Math.min(start, at) && index <= Math.max(start, at);
    return chosen ? timeOf(index) < chosen.to && timeOf(index + 1) > chosen.from : false;
  };
  return (
    <figure class="hist" aria-label={title}>
      <figcaption class="hist-head">
        <span class="hist-title">{title}</span>
        {shown.map(({ label, look, values }) => (
          <span key={label} class="hist-key">
            <i class={look} />
            {`${formatNumber(values.reduce((sum, n) => sum + n, 0))} ${label}`}
          </span>
        ))}
        {shown.length === 0 && points > 0 && <span>none</span>}
        {note !== undefined && <span>{note}</span>}
        <span class="hist-at" aria-live="polite">
          {at === undefined ? "" : bucketText(timeOf(at), stepMs, series, at)}
        </span>
      </figcaption>
      <div
        ref={plot}
        class={cx("hist-plot", onRange && "acts")}
        role="group"
        aria-label={`${title}: arrow keys read the times${onRange ? ", Enter shows one" : ""}`}
        tabIndex={0}
        onKeyDown={move}
        onBlur={() => setAt(undefined)}
        onPointerMove={(event) => setAt(indexAt(event))}
        onPointerLeave={() => setAt(undefined)}
        onPointerDown={(event) => {
          if (!onRange) return;
          plot.current?.setPointerCapture(event.pointerId);
          setStart(indexAt(event));
        }}
        onPointerUp={release}
        onPointerCancel={() => setStart(undefined)}
      >
        {sums.map((_, index) => (
          <div key={timeOf(index)} class={cx("hist-bar", index === at && "on", isIn(index) && "in")}>
            {shown.toReversed().map(({ look, values }) => {
              const n = values[index] ?? 0;
              return n === 0 ? null : <i key={look} class={look} style={{ height: `${(n / largest) * 92}%` }} />;
            })}
          </div>
        ))}
      </div>
      <Axis from={from} to={timeOf(points)} stepMs={stepMs} />
      <div class="sr-only">
        <ValueTable {...{ title, from, stepMs, series: shown, sums }} />
      </div>
    </figure>
  );
}

function sumAt(series: readonly HistogramSeries[], index: number): number {
  return series.reduce((sum, { values }) => sum + (values[index] ?? 0), 0);
}

const DAY_MS = 86_400_000;
const DATE: Intl.DateTimeFormatOptions = { day: "numeric", month: "short" };

const clock = (ms: number): string => toWallClock(ms, displayZone.value).slice(11, 16);

/** Days are those of the API, which counts in UTC. */
const placeOf = (ms: number, stepMs: number): string =>
  stepMs < DAY_MS ? clock(ms) : dateFormat(DATE, "UTC").format(ms);

/** The time of a bucket: "14:00–15:00", "3 Nov", "3 Nov–9 Nov". */
function spanOf(from: number, stepMs: number): string {
  if (stepMs === DAY_MS) return placeOf(from, stepMs);
  const end = stepMs < DAY_MS ? from + stepMs : from + stepMs - DAY_MS;
  return `${placeOf(from, stepMs)}–${placeOf(end, stepMs)}`;
}

function bucketText(from: number, stepMs: number, series: readonly HistogramSeries[], index: number): string {
  const parts = series.flatMap(({ label, values }) => ((values[index] ?? 0) > 0 ? [`${values[index]} ${label}`] : []));
  return `${spanOf(from, stepMs)}: ${parts.length === 0 ? "none" : parts.join(", ")}`;
}

function Axis({ from, to, stepMs }: { readonly from: number; readonly to: number; readonly stepMs: number }) {
  // The last of some days is the last one that is counted.
  const end = stepMs < DAY_MS ? to : to - DAY_MS;
  const times = [0, 0.25, 0.5, 0.75, 1].map((part) => from + (end - from) * part);
  return (
    <div class="hist-axis" aria-hidden="true">
      {times.map((ms) => (
        <span key={ms}>{ms > Date.now() ? "now" : placeOf(ms, stepMs)}</span>
      ))}
    </div>
  );
}

interface TableProps extends Pick<HistogramProps, "title" | "from" | "stepMs" | "series"> {
  readonly sums: readonly number[];
}

/** The same numbers for screen readers; times without any are left out. */
function ValueTable({ title, from, stepMs, series, sums }: TableProps) {
  const rows = sums.flatMap((sum, index) => (sum > 0 ? [index] : []));
  if (rows.length === 0) return <p>{`${title}: none`}</p>;
  return (
    <table>
      <caption>{title}</caption>
      <thead>
        <tr>
          <th scope="col">From</th>
          {series.map(({ label }) => (
            <th scope="col" key={label}>
              {label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((index) => (
          <tr key={index}>
            <th scope="row">
              {stepMs < DAY_MS
                ? formatInstant(from + index * stepMs, "full", displayZone.value)
                : spanOf(from + index * stepMs, stepMs)}
            </th>
            {series.map(({ label, values }) => (
              <td key={label}>{values[index] ?? 0}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
