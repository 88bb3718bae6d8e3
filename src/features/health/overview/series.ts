import type { EpochMs } from "../../../core/time/clock.ts";

/** A period in buckets of equal length; the last one may be shorter. */
export interface Period {
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly stepMs: number;
}

/** Rows of a group (a channel, a queue) in one state in one bucket. */
export interface Cell {
  readonly bucket: number;
  readonly name: string;
  readonly state: string;
  readonly n: number;
}

export interface Sample {
  readonly cells: readonly Cell[];
  /** Number of rows that were read. */
  readonly rows: number;
}

/** A table with rows that are counted by time. */
export interface Source {
  /** Number of rows, from an index, up to a limit. */
  count(period: Period, limit: number): Promise<number>;
  /** The first rows by bucket. */
  sample(period: Period, limit: number): Promise<Sample>;
}

export interface Counted {
  readonly cells: readonly Cell[];
  readonly isEstimated: boolean;
}

/** A period with up to this many rows is counted exactly, in one read. */
export const WHOLE = 20_000;
/** Rows that are read of a longer one: the first reads of a day are those of a disk. */
const SAMPLED = 5000;
const MIN_SAMPLED = 100;
const MAX_SAMPLED = 1000;

/** Rows that are read of each bucket of a longer period: a read takes about a millisecond at most. */
export function sampledOf(buckets: number, inAll = SAMPLED): number {
  return Math.min(MAX_SAMPLED, Math.max(MIN_SAMPLED, Math.ceil(inAll / buckets)));
}

export function pointsOf({ from, to, stepMs }: Period): number {
  return Math.ceil((to - from) / stepMs);
}

export function bucketsOf(period: Period): Period[] {
  const { from, to, stepMs } = period;
  return Array.from({ length: pointsOf(period) }, (_, n) => ({
    from: from + n * stepMs,
    to: Math.min(to, from + (n + 1) * stepMs),
    stepMs,
  }));
}

/**
 * Counts rows by bucket, name and state. In a period with many rows each bucket is counted by an
 * index, and its parts are those of its first rows. Each read is short, because a long one would
 * delay other reads and the checkpoint of the WAL.
 */
export async function countCells(source: Source, period: Period): Promise<Counted> {
  if ((await source.count(period, WHOLE + 1)) <= WHOLE)
    return { cells: (await source.sample(period, WHOLE)).cells, isEstimated: false };
  const cells: Cell[] = [];
  let isEstimated = false;
  const sampled = sampledOf(pointsOf(period));
  for (const [bucket, part] of bucketsOf(period).entries()) {
    const sample = await source.sample(part, sampled);
    const total = sample.rows < sampled ? sample.rows : await source.count(part, Number.MAX_SAFE_INTEGER);
    isEstimated ||= total > sample.rows;
    cells.push(...scaled(sample, total).map((cell) => ({ ...cell, bucket })));
  }
  return { cells, isEstimated };
}

/** The cells of a sample for the rows of its whole bucket. */
export function scaled({ cells, rows }: Sample, total: number): Cell[] {
  return rows === 0 ? [] : cells.map((cell) => ({ ...cell, n: Math.round((cell.n * total) / rows) }));
}

/** One number per bucket by state. */
export type Series = Record<string, number[]>;

export function seriesOf(cells: readonly Cell[], states: readonly string[], points: number): Series {
  const series: Series = Object.fromEntries(states.map((state) => [state, new Array<number>(points).fill(0)]));
  for (const { bucket, state, n } of cells) {
    const numbers = series[state];
    if (numbers?.[bucket] !== undefined) numbers[bucket] += n;
  }
  return series;
}

/** {@link seriesOf} for each name. */
export function seriesByName(
  cells: readonly Cell[],
  states: readonly string[],
  points: number,
): Record<string, Series> {
  const names = [...new Set(cells.map(({ name }) => name))].sort();
  const of = (wanted: string): Cell[] => cells.filter(({ name }) => name === wanted);
  return Object.fromEntries(names.map((name) => [name, seriesOf(of(name), states, points)]));
}

export function sumsOf(series: Series): Record<string, number> {
  return Object.fromEntries(
    Object.entries(series).map(([state, numbers]) => [state, numbers.reduce((sum, n) => sum + n, 0)]),
  );
}
