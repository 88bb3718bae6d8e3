import type { HeartbeatFlip } from "../../../src/client/api-types.gen.ts";
import type { ListResult } from "../../app/query.ts";
import {
  Card,
  type DayOfStrip,
  DayStrip,
  displayZone,
  formatDuration,
  formatInstant,
  formatPercent,
  fromWallClock,
  plural,
  toWallClock,
} from "../../ui/index.ts";
import { UPTIME_DAYS, type UptimeDay, uptimeDays, uptimeOf } from "./uptime.ts";

/** Starts of the last days in the reader's zone, the oldest first. */
function dayStarts(now: number): number[] {
  const zone = displayZone.value;
  const today = Date.parse(`${toWallClock(now, zone).slice(0, 10)}T00:00:00Z`);
  return Array.from({ length: UPTIME_DAYS }, (_, index) => {
    const day = new Date(today - (UPTIME_DAYS - 1 - index) * 86_400_000).toISOString().slice(0, 10);
    return fromWallClock(day, zone);
  });
}

function dayOf({ from, upMs, downMs }: UptimeDay): DayOfStrip {
  const day = formatInstant(from, "date");
  if (downMs > 0) return { day, tone: "bad", text: `down for ${formatDuration(downMs)}` };
  return upMs > 0 ? { day, tone: "ok", text: "up" } : { day, tone: "none", text: "not watched" };
}

/** When it was up in the last 30 days. */
export function UptimeCard({ changes }: { readonly changes: ListResult<HeartbeatFlip> }) {
  const { items, hasMore } = changes;
  if (items === undefined || items.length === 0) return null;
  const now = Date.now();
  const days = uptimeDays(dayStarts(now), items, now, hasMore);
  const share = uptimeOf(days);
  if (share === null) return null;
  const downMs = days.reduce((sum, day) => sum + day.downMs, 0);
  const downs = days.filter((day) => day.downMs > 0).length;
  const text = downMs === 0 ? "It was never down" : `Down for ${formatDuration(downMs)} on ${plural(downs, "day")}`;
  return (
    <Card title={`Up ${formatPercent(share, 2)} of ${UPTIME_DAYS} days`} sub={`${text}.`}>
      <DayStrip
        label={`The last ${UPTIME_DAYS} days: up ${formatPercent(share, 2)}. ${text}.`}
        days={days.map(dayOf)}
        legend={{ ok: "up", bad: "was down", none: "not watched" }}
      />
    </Card>
  );
}
