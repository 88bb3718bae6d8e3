import { median, type Row, round } from "./report.ts";

/** Figures of one run of one executable, by name with unit. */
export type Figures = Readonly<Record<string, number>>;

/** Quantiles of Student's t for a 95 % interval, by degrees of freedom from 1. */
const T_95 = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.2, 2.18, 2.16, 2.14, 2.13] as const;
const T_MANY = 2.1;

/** The end of the name of a rate: more is better. */
const RATE = /\/s$/;

/**
 * One row per figure: both medians, and the ratio of new to old with its 95 % interval, from the
 * logarithms of the ratios of the pairs.
 */
export function ratioRows(
  workload: string,
  pairs: readonly { readonly before: Figures; readonly after: Figures }[],
): Row[] {
  const [first] = pairs;
  return Object.keys(first?.after ?? {}).map((figure) => {
    const values = (side: "before" | "after"): number[] => pairs.map((pair) => pair[side][figure] ?? Number.NaN);
    const logs = pairs.map(({ before, after }) =>
      Math.log((after[figure] ?? Number.NaN) / (before[figure] ?? Number.NaN)),
    );
    const { low, high } = interval(logs);
    return {
      workload,
      figure,
      before: round(median(values("before")), 2),
      after: round(median(values("after")), 2),
      ratio: round(Math.exp(median(logs)), 3),
      "95 %": pairs.length < 2 ? "-" : `${Math.exp(low).toFixed(3)} to ${Math.exp(high).toFixed(3)}`,
      better: RATE.test(figure) ? "more" : "less",
    };
  });
}

function interval(values: readonly number[]): { readonly low: number; readonly high: number } {
  const count = values.length;
  const mean = values.reduce((sum, each) => sum + each, 0) / count;
  const variance = values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / Math.max(1, count - 1);
  const half = (T_95[count - 2] ?? T_MANY) * Math.sqrt(variance / count);
  return { low: mean - half, high: mean + half };
}

/** Whether a figure of which less is better is worse by this factor in each pair. */
export function isWorse(
  pairs: readonly { readonly before: Figures; readonly after: Figures }[],
  figure: string,
  factor: number,
): boolean {
  return pairs.every(({ before, after }) => (after[figure] ?? Number.NaN) > (before[figure] ?? Number.NaN) * factor);
}
