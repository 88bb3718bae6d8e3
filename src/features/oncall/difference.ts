import type { EpochMs } from "../../core/time/clock.ts";
import type { FinalShift } from "./model/layers.ts";

/** A span in which others are on call than before; without anyone: no users. */
export interface OnCallDifference {
  readonly from: EpochMs;
  readonly to: EpochMs;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

const MAX_DIFFERENCES = 20;

/** The first spans in which other people are on call; each is as long as both sides stay. */
export function onCallDifference(before: readonly FinalShift[], after: readonly FinalShift[]): OnCallDifference[] {
  const borders = new Set([...before, ...after].flatMap(({ start, end }) => [start, end]));
  const sorted = [...borders].sort((a, b) => a - b);
  const found: OnCallDifference[] = [];
  for (const [at, from] of sorted.entries()) {
    const to = sorted[at + 1];
    if (to === undefined) break;
    const [old, next] = [before, after].map((shifts) => usersAt(shifts, from));
    if (!old || !next || isSame(old, next)) continue;
    const last = found.at(-1);
    if (last?.to === from && isSame(last.before, old) && isSame(last.after, next)) found.splice(-1, 1, { ...last, to });
    else if (found.push({ from, to, before: old, after: next }) > MAX_DIFFERENCES) return found.slice(0, -1);
  }
  return found;
}

function usersAt(shifts: readonly FinalShift[], at: EpochMs): readonly string[] {
  return shifts.find(({ start, end }) => start <= at && end > at)?.users ?? [];
}

/** Users of final shifts are sorted. */
function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.join(" ") === b.join(" ");
}
