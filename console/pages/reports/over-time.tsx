import { useMemo } from "preact/hooks";
import type { IncidentsReport } from "../../../src/client/api-types.gen.ts";
import { navigate } from "../../app/navigate.ts";
import { filtersOf } from "../../app/time-range.tsx";
import { Card, ChartCard, formatNumber, Histogram } from "../../ui/index.ts";
import { DAY_MS, type ReportChoice } from "./range.ts";

interface Props {
  readonly choice: ReportChoice;
  /** By day or by week. */
  readonly report: IncidentsReport;
}

type Group = IncidentsReport["data"][number];

/** How the numbers went over the time: times of response and end, incidents by severity. */
export function Course({ choice, report }: Props) {
  const { step } = choice;
  const [from, to] = [Date.parse(report.from), Date.parse(report.to)];
  const stepMs = step === "day" ? DAY_MS : 7 * DAY_MS;
  const { starts, groups } = useMemo(() => periodsOf(report, from, to, stepMs), [report, from, to, stepMs]);
  const by = step === "day" ? "by day" : "by week";
  return (
    <>
      <Card title="Incidents by severity" sub={`Opened ${by}, in UTC. Press a bar for its incidents.`}>
        <Histogram
          title="Incidents"
          from={starts[0] ?? from}
          stepMs={stepMs}
          series={LOOKS.map((look) => ({
            look,
            label: look,
            values: groups.map((group) => group?.severities[look] ?? 0),
          }))}
          onRange={(start, end) => navigate(choice.list(filtersOf(Math.max(start, from), Math.min(end, to))))}
        />
      </Card>
      <div class="grid2">
        <Times
          title="First response"
          sub={`MTTA: from the first page, ${by}`}
          starts={starts}
          values={groups.map((group) => group?.ack)}
        />
        <Times
          title="Until the end"
          sub={`MTTR: from the opening, ${by}`}
          starts={starts}
          values={groups.map((group) => group?.resolve)}
        />
      </div>
    </>
  );
}

const LOOKS = ["critical", "error", "warning", "info"] as const;

/** The periods of the time, also those without an incident. A week begins on Monday. */
function periodsOf({ data }: IncidentsReport, from: number, to: number, stepMs: number) {
  const offset = stepMs === DAY_MS ? 0 : 4 * DAY_MS;
  const first = Math.floor((from - offset) / stepMs) * stepMs + offset;
  const starts = Array.from({ length: Math.max(1, Math.ceil((to - first) / stepMs)) }, (_, n) => first + n * stepMs);
  const byStart = new Map(data.map((group) => [Date.parse(group.group), group]));
  return { starts, groups: starts.map((start): Group | undefined => byStart.get(start)) };
}

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** With longer times an axis in minutes is hard to read. */
const IN_HOURS_MS = 3 * HOUR_MS;

interface TimesProps {
  readonly title: string;
  readonly sub: string;
  readonly starts: readonly number[];
  readonly values: readonly (Group["ack"] | undefined)[];
}

/** Median and ninth tenth as bars, one before the other. */
function Times({ title, sub, starts, values }: TimesProps) {
  const most = Math.max(0, ...values.map((value) => value?.p90 ?? 0));
  const isHours = most > IN_HOURS_MS;
  const unitMs = isHours ? HOUR_MS : MINUTE_MS;
  const of = (name: "median" | "p90") =>
    values.map((value) => {
      const ms = value?.[name] ?? null;
      return ms === null ? null : ms / unitMs;
    });
  // In the middle of the day a date is the same in nearly all zones.
  const x = useMemo(() => starts.map((start) => start + DAY_MS / 2), [starts]);
  const series = useMemo(
    () => [
      { label: "nine of ten", values: of("p90"), tone: "muted" as const },
      { label: "median", values: of("median") },
    ],
    [values.map((value) => `${value?.median} ${value?.p90}`).join()],
  );
  return (
    <ChartCard
      title={title}
      sub={sub}
      kind="bars"
      height={180}
      x={most === 0 ? [] : x}
      series={series}
      format={(n) => `${formatNumber(n, n < 10 ? 1 : 0)} ${isHours ? "h" : "min"}`}
      emptyText="No incident with one in this time"
    />
  );
}
