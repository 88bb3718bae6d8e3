/**
 * @param sorted ascending. @param share 0.5 for the median, 1 for the largest. @returns NaN of
 * nothing.
 */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
