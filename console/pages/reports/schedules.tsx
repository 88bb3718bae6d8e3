import type { SchedulesReport } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { type Project, useProjects } from "../../app/projects.ts";
import type { QueryResult } from "../../app/query.ts";
import {
  type Column,
  DataTable,
  EmptyState,
  formatDuration,
  formatNumber,
  formatPercent,
  Link,
  Num,
  plural,
  Time,
  UserText,
} from "../../ui/index.ts";

type ScheduleLoad = SchedulesReport["data"][number];

/** Whether shifts were shared fairly, and when no one was on call. */
export function Schedules({ query }: { readonly query: QueryResult<SchedulesReport> }) {
  const projects = useProjects();
  return (
    <section class="section" aria-label="Schedules">
      <h2>Schedules</h2>
      <DataTable<ScheduleLoad>
        label="Schedules"
        list={query}
        rowKey={({ scheduleId }) => scheduleId}
        columns={columnsOf(projects)}
        empty={
          <EmptyState
            small
            title="There is no on-call schedule"
            text="How its time was shared, and when no one was on call, is shown here."
          />
        }
      />
    </section>
  );
}

function columnsOf(projects: readonly Project[]): readonly Column<ScheduleLoad>[] {
  return [
    {
      label: "Schedule",
      cell: ({ scheduleId, name }) => <Link href={href(`/oncall/${scheduleId}`)}>{name}</Link>,
      card: "title",
    },
    ...(projects.length < 2
      ? []
      : [
          {
            label: "Project",
            cell: ({ projectId }: ScheduleLoad) => (
              <UserText>{projects.find(({ id }) => id === projectId)?.name ?? ""}</UserText>
            ),
            card: "meta",
            priority: 3,
          } as const,
        ]),
    { label: "Shifts", cell: ({ shifts }) => <Num n={shifts} />, align: "end", width: "min", card: "meta" },
    {
      label: "Pages in a shift",
      cell: ({ pagesPerShift, mostPages }) => (
        <span class="num nowrap">
          {pagesPerShift === null ? "—" : `${formatNumber(pagesPerShift, 1)}, at most ${formatNumber(mostPages)}`}
        </span>
      ),
      align: "end",
      width: "min",
      card: "meta",
    },
    {
      label: "Shares of the time",
      cell: (load) => <Shares load={load} />,
      width: "min",
      card: "meta",
      cardLabel: true,
    },
    { label: "Without anyone", cell: (load) => <Gaps load={load} />, width: "wide", card: "text", cardLabel: true },
  ];
}

/** Shares that differ by less count as fair. */
const FAIR = 1.5;

function Shares({ load: { people, smallestShare, largestShare } }: { readonly load: ScheduleLoad }) {
  if (smallestShare === null || largestShare === null) return <span class="faint">—</span>;
  if (people === 1) return <>one person has all</>;
  const isFair = largestShare <= smallestShare * FAIR;
  return (
    <span class="num nowrap">
      {`${formatPercent(smallestShare, 0)} to ${formatPercent(largestShare, 0)}`}
      {isFair ? ", even" : <b class="text-warn">, uneven</b>}
    </span>
  );
}

/** The API gives no more, the longest first. */
const MOST_GAPS = 20;

function Gaps({ load: { gaps, gapHours } }: { readonly load: ScheduleLoad }) {
  if (gaps.length === 0) return <span class="muted">never</span>;
  const isCut = gaps.length >= MOST_GAPS;
  return (
    <details class="report-gaps">
      <summary>{`${formatNumber(gapHours, 1)} h in ${isCut ? "at least " : ""}${plural(gaps.length, "gap")}`}</summary>
      <ul class="plain-list small">
        {gaps.map(({ start, end }) => (
          <li key={start}>
            <Time at={start} mode="full" />
            {`, ${formatDuration(Date.parse(end) - Date.parse(start))}`}
          </li>
        ))}
      </ul>
    </details>
  );
}
