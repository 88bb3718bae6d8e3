import { DAY_MS, type EpochMs, offsetChange, zoneOffsetMs } from "../../core/clock.ts";

/** Times of day such as 22:00, on the user's own clock; `to` before `from` is on the next day. */
export interface QuietHours {
  readonly from: string;
  readonly to: string;
}

/**
 * When the quiet hours that hold at an instant end; null when none do. They are what the wall clock shows: where a gap skips their end they end
 * with the gap, and an hour that comes twice is quiet as often as it lies within them.
 */
export function quietUntil(at: EpochMs, timezone: string, hours: QuietHours): EpochMs | null {
  const to = msOfDay(hours.to);
  let now = at;
  while (isQuiet(now, timezone, hours)) {
    const end = now + modulo(to - wallMs(now, timezone));
    const change = offsetChange(timezone, now, end);
    if (change === undefined) return end;
    // The clocks are set before that: asked again from there on.
    now = change;
  }
  return now === at ? null : now;
}

/** From a time to the same time is no time at all. */
function isQuiet(at: EpochMs, timezone: string, { from, to }: QuietHours): boolean {
  const start = msOfDay(from);
  return modulo(wallMs(at, timezone) - start) < modulo(msOfDay(to) - start);
}

/** What the wall clock shows, since midnight. */
function wallMs(at: EpochMs, timezone: string): number {
  return modulo(at + zoneOffsetMs(timezone, at));
}

function modulo(ms: number): number {
  return ((ms % DAY_MS) + DAY_MS) % DAY_MS;
}

function msOfDay(time: string): number {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  return (hours * 60 + minutes) * 60_000;
}
