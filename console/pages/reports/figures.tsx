import type { IncidentsReport } from "../../../src/client/api-types.gen.ts";
import { formatNumber, formatPercent, plural, StatCard } from "../../ui/index.ts";
import { type ReportChoice, spanText } from "./range.ts";

interface Props {
  readonly choice: ReportChoice;
  readonly report: IncidentsReport;
}

/** The numbers of the time, each a link to its incidents, with the change since the time before. */
export function Figures({ choice, report }: Props) {
  const { total: now, compared, isApproximate } = report;
  const about = isApproximate ? "≈ " : "";
  const span = (ms: number | null) => (ms === null ? "—" : `${about}${spanText(ms)}`);
  const most = (n: number, ms: number | null) =>
    ms === null ? "no incident with one" : `nine of ten of ${formatNumber(n)} within ${span(ms)}`;
  const { unacknowledgedShare: share } = now;
  // The change between halves is not one of the figure of the whole.
  const before = compared?.with === "before" ? compared.before : null;
  const change = (of: (total: typeof now) => number | null) => (before === null ? {} : deltaOf(of(now), of(before)));
  const open = (counted = "all") => choice.incidents(report, { counted });
  return (
    <div class="grid4">
      <StatCard
        label="Pages"
        value={formatNumber(now.pages)}
        sub={`of ${plural(now.incidents, "ended incident")}; open ones are left out`}
        {...change(({ pages }) => pages)}
        href={open()}
      />
      <StatCard
        label="First response (MTTA)"
        value={span(now.ack.median)}
        sub={most(now.acknowledged, now.ack.p90)}
        {...change(({ ack }) => ack.median)}
        href={open("acknowledged")}
      />
      <StatCard
        label="Until the end (MTTR)"
        value={span(now.resolve.median)}
        sub={most(now.incidents, now.resolve.p90)}
        {...change(({ resolve }) => resolve.median)}
        href={open()}
      />
      <StatCard
        label="Without a response"
        value={share === null ? "—" : formatPercent(share, 0)}
        sub={`${formatNumber(now.paged - now.acknowledged)} of ${formatNumber(now.paged)} that paged`}
        tone={share !== null && share > 0.5 ? "warn" : "accent"}
        href={open("unacknowledged")}
      />
      <StatCard
        label="Ended by themselves"
        value={formatNumber(now.brief)}
        sub={`within 5 minutes · ${formatNumber(now.reopened)} came again`}
        {...change(({ brief }) => brief)}
        href={open("brief")}
      />
    </div>
  );
}

function deltaOf(now: number | null, before: number | null) {
  if (now === null || before === null || before === 0) return {};
  return { delta: (now - before) / before, deltaGood: "down" as const };
}
