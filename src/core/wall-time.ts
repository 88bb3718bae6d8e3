import { DAY_MS, type EpochMs, zoneOffsetMs } from "./clock.ts";

/**
 * A time that a clock in some zone shows, written as if that clock showed UTC. So calendars are
 * computed without zones, and {@link instantOf} finds the instant.
 */
export type WallTime = number;

/**
 * The instant of a wall time. A time that is shown twice is the first one; a time that a gap skips
 * is read with the offset before the gap (RFC 5545 section 3.3.5).
 */
export function instantOf(wall: WallTime, timezone: string): EpochMs {
  const before = offsetOf(timezone, wall - 2 * DAY_MS);
  const after = offsetOf(timezone, wall + 2 * DAY_MS);
  if (before === after || zoneOffsetMs(timezone, wall - before) === before) return wall - before;
  return zoneOffsetMs(timezone, wall - after) === after ? wall - after : wall - before;
}

const MAX_OFFSETS = 20_000;
const offsets = new Map<string, number>();

/** The offset at noon UTC of a day, kept: formatting a time in a zone takes microseconds. */
function offsetOf(timezone: string, at: EpochMs): number {
  const day = Math.floor(at / DAY_MS);
  const key = `${timezone} ${day}`;
  const known = offsets.get(key);
  if (known !== undefined) return known;
  const offset = zoneOffsetMs(timezone, day * DAY_MS + DAY_MS / 2);
  if (offsets.size >= MAX_OFFSETS) offsets.clear();
  offsets.set(key, offset);
  return offset;
}
