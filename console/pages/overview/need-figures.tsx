import { href } from "../../app/base.ts";
import { formatNumber, StatCard } from "../../ui/index.ts";
import { incidentCounts } from "../incidents/open-incidents.ts";

/** Incidents that are the user's, open and acknowledged, each a link to its list. */
export function NeedFigures() {
  const counts = incidentCounts.value;
  const shown = (n: number | null | undefined) =>
    n === undefined ? "–" : `${formatNumber(n ?? 0)}${counts?.isCut ? "+" : ""}`;
  const { mine, waiting, quiet = 0, acknowledged, snoozed = 0 } = counts ?? {};
  return (
    <>
      <StatCard
        label="Mine"
        value={shown(mine)}
        sub="I was notified"
        tone={mine ? "warn" : "accent"}
        href={href("/incidents?mine=true")}
      />
      <StatCard
        label="Open"
        value={shown(waiting)}
        sub={quiet > 0 ? `and ${formatNumber(quiet)} quiet` : "wait for people"}
        tone={waiting ? "bad" : "accent"}
        href={href("/incidents?state=open")}
      />
      <StatCard
        label="Acknowledged"
        value={shown(acknowledged)}
        sub={snoozed > 0 ? `and ${formatNumber(snoozed)} snoozed` : "someone has them"}
        href={href("/incidents?state=acknowledged")}
      />
    </>
  );
}
