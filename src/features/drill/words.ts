import { countText } from "../../core/clean-text.ts";
import { DAY_MS, type EpochMs, HOUR_MS, MINUTE_MS } from "../../core/clock.ts";
import { isProven, stateOf, type Way } from "./ways.ts";

/** Such as "proven 6 days ago, 3.1 s", "accepted today, not confirmed" or "no proof". */
export function proofText(way: Way, now: EpochMs): string {
  const { confirmed, accepted, failed } = way;
  switch (stateOf(way, now)) {
    case "failed":
      return `failed ${ago(failed?.at ?? now, now)}: ${failed?.error ?? ""}`;
    case "waiting":
      return "a drill is under way";
    case "accepted":
      return `accepted ${ago(accepted?.at ?? now, now)}, not confirmed`;
    case "unproven":
      return "no proof";
    default:
      return `proven ${ago(confirmed?.at ?? now, now)}, ${durationText(confirmed?.afterMs ?? 0)}`;
  }
}

/** For the notice of a shift: whether pages are known to reach the person. */
export function proofSentence(ways: readonly Way[], now: EpochMs): string {
  const list = ways.map((way) => `${way.name} ${proofText(way, now)}`).join("; ");
  if (isProven(ways, now)) return `Pages reach you: ${list}.`;
  return `No drill has shown within 14 days that pages reach you: ${list || "no way outside of the app"}.`;
}

function ago(at: EpochMs, now: EpochMs): string {
  const ms = Math.max(0, now - at);
  if (ms < MINUTE_MS) return "just now";
  const units = [
    [DAY_MS, "day"],
    [HOUR_MS, "hour"],
    [MINUTE_MS, "minute"],
  ] as const;
  const [unit, name] = units.find(([each]) => ms >= each) ?? [MINUTE_MS, "minute"];
  return `${countText(Math.floor(ms / unit), name)} ago`;
}

/** `3.1 s`, `4 min`, `2 h`. */
function durationText(ms: number): string {
  if (ms < MINUTE_MS) return `${(ms / 1000).toFixed(1)} s`;
  return ms < 2 * HOUR_MS ? `${Math.round(ms / MINUTE_MS)} min` : `${Math.round(ms / HOUR_MS)} h`;
}
