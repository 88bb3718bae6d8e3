import { Badge } from "../../ui/index.ts";
import { daysLabel } from "./calendar-time.ts";
import type { Away } from "./oncall-types.ts";

/** A user on call has days off in this time. */
export function AwayBadge({ away, isShort = false }: { readonly away: Away | null; readonly isShort?: boolean }) {
  if (away === null) return null;
  const text = `away ${daysLabel(away.firstDay, away.lastDay)}`;
  return (
    <Badge tone="warn" title={text}>
      {isShort ? "away" : text}
    </Badge>
  );
}
