import { displayZone, formatDuration, formatInstant, Time } from "../../ui/index.ts";

/** The time between the start of the story and a step: "+1.1 s"; the exact time on hover. */
export function Offset({ at, from }: { readonly at: string | null; readonly from: number }) {
  if (at === null) return null;
  const ms = Date.parse(at);
  const distance = ms - from;
  // A clock that was set back, and steps before the story, such as an earlier notification.
  if (Number.isNaN(ms) || distance < 0) return <Time at={at} mode="clock-ms" />;
  return (
    <time class="time" dateTime={at} data-tip={formatInstant(at, "full", displayZone.value)}>
      +{formatDuration(distance)}
    </time>
  );
}
