import uPlot from "uplot";
import { dateFormat } from "./clock.ts";
import type { AccentTone } from "./types.ts";

export interface ChartSeries {
  readonly label: string;
  readonly values: readonly (number | null)[];
  readonly tone?: AccentTone | "muted" | undefined;
}

/** A vertical line: a deployment, a change of a rule. */
export interface ChartMark {
  readonly at: number;
  readonly label: string;
  readonly tone?: AccentTone | undefined;
}

/** A drawn chart. */
export interface Chart {
  update(x: readonly number[], series: readonly ChartSeries[], marks: readonly ChartMark[]): void;
  destroy(): void;
}

interface ChartOptions {
  readonly x: readonly number[];
  readonly series: readonly ChartSeries[];
  readonly marks?: readonly ChartMark[] | undefined;
  readonly kind?: "line" | "area" | "bars" | undefined;
  readonly stacked?: boolean | undefined;
  readonly height: number;
  readonly zone: string;
  readonly format: (n: number) => string;
  readonly onCursor: (index: number | undefined) => void;
  readonly onRange?: ((from: number, to: number) => void) | undefined;
}

const FONT = "11px ui-sans-serif, system-ui, sans-serif";

/** The colour a token has now: canvas knows no custom properties. */
function tokenColour(host: HTMLElement, token: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(--${token})`;
  host.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

function withAlpha(colour: string, alpha: number): string {
  const [r = "0", g = "0", b = "0"] = colour.match(/[\d.]+/g) ?? [];
  return `rgba(${r},${g},${b},${alpha})`;
}

/** Seconds for uPlot; stacked values are sums from the last series up. */
function dataOf(x: readonly number[], series: readonly ChartSeries[], stacked: boolean): uPlot.AlignedData {
  const seconds = x.map((ms) => ms / 1000);
  if (!stacked) return [seconds, ...series.map((each) => [...each.values])];
  const below = x.map(() => 0);
  const sums = series.toReversed().map(({ values }) =>
    below.map((sum, index) => {
      const next = sum + (values[index] ?? 0);
      below[index] = next;
      return next;
    }),
  );
  return [seconds, ...sums.toReversed()];
}

function timeLabels(zone: string) {
  return (_: uPlot, splits: number[], _axis: number, _space: number, incrementS: number) =>
    splits.map((second) => {
      const isDay = incrementS >= 86_400;
      const part: Intl.DateTimeFormatOptions = isDay
        ? { day: "numeric", month: "short" }
        : { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(incrementS < 60 ? { second: "2-digit" } : {}) };
      return dateFormat(part, zone).format(second * 1000);
    });
}

function seriesOf(host: HTMLElement, { label, tone = "accent" }: ChartSeries, options: ChartOptions): uPlot.Series {
  const { kind = "area", stacked, series } = options;
  const stroke = tokenColour(host, tone === "muted" ? "chart-muted" : tone);
  const isFilled = kind === "bars" || kind === "area";
  const alpha = kind === "bars" ? 1 : stacked === true ? 0.28 : series.length > 1 ? 0.06 : 0.1;
  const bars = uPlot.paths.bars?.({ size: [0.7, 28], radius: 0.15 });
  return {
    label,
    stroke,
    width: kind === "bars" ? 0 : 1.75,
    points: { show: false },
    ...(isFilled ? { fill: withAlpha(stroke, alpha) } : {}),
    ...(kind === "bars" && bars !== undefined ? { paths: bars } : {}),
  };
}

/** Steps of an axis of counts: 1, 2, 5, 10, … */
const WHOLE_STEPS = Array.from({ length: 40 }, (_, index) => ([1, 2, 5][index % 3] ?? 1) * 10 ** Math.floor(index / 3));

function axesOf(host: HTMLElement, options: ChartOptions): uPlot.Axis[] {
  const stroke = tokenColour(host, "faint");
  const grid = { stroke: tokenColour(host, "line"), width: 1 };
  const common = { stroke, font: FONT, ticks: { show: false } };
  const isCounts = options.series.every(({ values }) => values.every((value) => value === null || value % 1 === 0));
  return [
    { ...common, grid: { show: false }, values: timeLabels(options.zone), space: 70, gap: 6, size: 26 },
    {
      ...common,
      grid,
      space: 36,
      gap: 8,
      ...(isCounts ? { incrs: WHOLE_STEPS } : {}),
      values: (_, splits) => splits.map((value) => options.format(value)),
      size: (_, values) => 14 + Math.max(0, ...(values ?? []).map((value) => value.length)) * 6.5,
    },
  ];
}

function drawMarks(plot: uPlot, host: HTMLElement, marks: readonly ChartMark[]): void {
  const { ctx, bbox } = plot;
  const { pxRatio } = uPlot;
  ctx.save();
  ctx.font = `${11 * pxRatio}px ui-sans-serif, system-ui, sans-serif`;
  for (const { at, label, tone = "accent" } of marks) {
    const x = plot.valToPos(at / 1000, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = ctx.fillStyle = tokenColour(host, tone);
    ctx.lineWidth = pxRatio;
    ctx.setLineDash([4 * pxRatio, 4 * pxRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const isRight = x > bbox.left + bbox.width * 0.7;
    ctx.textAlign = isRight ? "right" : "left";
    ctx.fillText(label, x + (isRight ? -5 : 5) * pxRatio, bbox.top + 11 * pxRatio);
  }
  ctx.restore();
}

/** Bars need half a step of room at both ends. */
function xRange(low: number, high: number, bars: number | undefined): [number, number] {
  if (low === high) return [low - 60, high + 60];
  const half = bars === undefined || bars < 2 ? 0 : (high - low) / (bars - 1) / 2;
  return [low - half, high + half];
}

/** Draws a chart that fits its host; the caller destroys it when colours or shape change. */
export function drawChart(host: HTMLElement, options: ChartOptions): Chart {
  const { kind, stacked = false, height, onCursor, onRange } = options;
  let marks = options.marks ?? [];
  let count = options.x.length;
  const plot = new uPlot(
    {
      width: Math.max(80, host.clientWidth),
      height,
      // Half a date fits beside the last point.
      padding: [8, 18, 0, 0],
      legend: { show: false },
      tzDate: (second) => uPlot.tzDate(new Date(second * 1000), options.zone),
      cursor: {
        y: false,
        points: { size: 7, width: 2 },
        drag: { x: onRange !== undefined, y: false, setScale: false },
      },
      select: { show: onRange !== undefined, left: 0, top: 0, width: 0, height: 0 },
      scales: {
        x: { range: (_, low, high) => xRange(low, high, kind === "bars" ? count : undefined) },
        y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.08 : 1] },
      },
      axes: axesOf(host, options),
      series: [{}, ...options.series.map((each) => seriesOf(host, each, { ...options, kind, stacked }))],
      hooks: {
        setCursor: [(self) => onCursor(self.cursor.idx ?? undefined)],
        draw: [(self) => drawMarks(self, host, marks)],
        setSelect: [
          (self) => {
            const { left, width } = self.select;
            if (width < 4) return;
            onRange?.(self.posToVal(left, "x") * 1000, self.posToVal(left + width, "x") * 1000);
            self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          },
        ],
      },
    },
    dataOf(options.x, options.series, stacked),
    host,
  );
  const resizes = new ResizeObserver(() => {
    if (host.clientWidth > 0) plot.setSize({ width: host.clientWidth, height });
  });
  resizes.observe(host);
  return {
    update(x, series, next) {
      marks = next;
      count = x.length;
      plot.setData(dataOf(x, series, stacked));
    },
    destroy() {
      resizes.disconnect();
      plot.destroy();
    },
  };
}
