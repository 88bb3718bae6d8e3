import { formatInstant } from "../../ui/index.ts";
import { PING, type RecentPing } from "./heartbeat-types.ts";

const BARS = 30;
const FULL = 22;

/** The last pings, oldest first: colour is what they reported, height how long the run took. */
export function PingBars({ pings }: { readonly pings: readonly RecentPing[] }) {
  const shown = pings.slice(0, BARS).toReversed();
  const longest = Math.max(1, ...shown.map(({ durationMs }) => durationMs ?? 0));
  const failed = shown.filter(({ kind }) => kind === "fail").length;
  const height = ({ durationMs }: RecentPing) =>
    durationMs === null ? FULL / 2 : 6 + (FULL - 6) * (durationMs / longest);
  if (shown.length === 0) return <span class="faint small">no ping</span>;
  return (
    <span class="hb-bars" role="img" aria-label={`The last ${shown.length} pings: ${failed} failed`}>
      {shown.map((ping) => (
        <i
          key={ping.at}
          class={PING[ping.kind].tone}
          style={{ height: `${Math.round(height(ping))}px` }}
          title={`${PING[ping.kind].text}, ${formatInstant(ping.at)}`}
        />
      ))}
    </span>
  );
}
