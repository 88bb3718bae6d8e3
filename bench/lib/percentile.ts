/**
 * @param sorted ascending. @param share 0.5 for the median, 1 for the maximum. @returns NaN for an
 * empty array.
 */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
