import type { IncidentsReport } from "../../../src/client/api-types.gen.ts";
import { formatNumber, formatPercent, plural, StatCard } from "../../ui/index.ts";
import { isComparable, type ReportChoice, spanText } from "./range.ts";

type Total = IncidentsReport["total"];

interface Props {
  readonly choice: ReportChoice;
  readonly now: Total;
  readonly before: Total;
  readonly isApproximate: boolean;
}

/** The numbers of the time, each a link to its incidents, with the change since the time before. */
export function Figures({ choice, now, before, isApproximate }: Props) {
  const about = isApproximate ? "≈ " : "";
  const span = (ms: number | null) => (ms === null ? "—" : `${about}${spanText(ms)}`);
  const most = (ms: number | null) => (ms === null ? "no incident with one" : `nine of ten within ${span(ms)}`);
  const { unacknowledgedShare: share } = now;
  const change = isComparable(now, before) ? deltaOf : () => ({});
  return (
    <div class="grid4">
      <StatCard
        label="Pages"
        value={formatNumber(now.pages)}
        sub={`of ${plural(now.incidents, "ended incident")}; open ones are left out`}
        {...change(now.pages, before.pages)}
        href={choice.incidents()}
      />
      <StatCard
        label="First response (MTTA)"
        value={span(now.ack.median)}
        sub={most(now.ack.p90)}
        {...change(now.ack.median, before.ack.median)}
        href={choice.incidents({ counted: "acknowledged" })}
      />
      <StatCard
        label="Until the end (MTTR)"
        value={span(now.resolve.median)}
        sub={most(now.resolve.p90)}
        {...change(now.resolve.median, before.resolve.median)}
        href={choice.incidents()}
      />
      <StatCard
        label="Without a response"
        value={share === null ? "—" : formatPercent(share, 0)}
        sub={`${formatNumber(now.paged - now.acknowledged)} of ${formatNumber(now.paged)} that paged`}
        tone={share !== null && share > 0.5 ? "warn" : "accent"}
        href={choice.incidents({ counted: "unacknowledged" })}
      />
      <StatCard
        label="Ended by themselves"
        value={formatNumber(now.brief)}
        sub={`within 5 minutes · ${formatNumber(now.reopened)} came again`}
        {...change(now.brief, before.brief)}
        href={choice.incidents({ counted: "brief" })}
      />
    </div>
  );
}

function deltaOf(now: number | null, before: number | null) {
  if (now === null || before === null || before === 0) return {};
  return { delta: (now - before) / before, deltaGood: "down" as const };
}
