import type { HeartbeatFlip } from "../../../src/client/api-types.gen.ts";

/* How long a heartbeat was up on each of the last days, from the changes of its status. */

export const UPTIME_DAYS = 30;

export interface UptimeDay {
  readonly from: number;
  readonly upMs: number;
  readonly downMs: number;
}

type Change = Pick<HeartbeatFlip, "at" | "from" | "to">;

/**
 * @param starts of the days, the oldest first
 * @param changes the latest first. Before the first of them the status was the one from which it changed; nothing is
 * known before if there are more that are not given
 */
export function uptimeDays(starts: readonly number[], changes: readonly Change[], now: number, isCut = false) {
  const sorted = changes.map(({ at, from, to }) => ({ at: Date.parse(at), from, to })).sort((a, b) => a.at - b.at);
  const [first] = sorted;
  const spans = sorted.map(({ at, to }, index) => ({ from: at, to: sorted[index + 1]?.at ?? now, status: to }));
  if (first && !isCut) spans.unshift({ from: Number.NEGATIVE_INFINITY, to: first.at, status: first.from });
  return starts.map((from, index): UptimeDay => {
    const end = Math.min(now, starts[index + 1] ?? now);
    const msAs = (wanted: string) =>
      spans
        .filter(({ status }) => status === wanted)
        .reduce((sum, span) => sum + Math.max(0, Math.min(end, span.to) - Math.max(from, span.from)), 0);
    return { from, upMs: msAs("up"), downMs: msAs("down") };
  });
}

/** Share of the time in which it was watched; null: never. */
export function uptimeOf(days: readonly UptimeDay[]): number | null {
  const upMs = days.reduce((sum, day) => sum + day.upMs, 0);
  const downMs = days.reduce((sum, day) => sum + day.downMs, 0);
  return upMs + downMs === 0 ? null : upMs / (upMs + downMs);
}
