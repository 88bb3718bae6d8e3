import type { PeopleReport } from "../../../src/client/api-types.gen.ts";
import type { QueryResult } from "../../app/query.ts";
import { Card, type Column, DataTable, EmptyState, formatNumber, Link, Loaded, Num, Skeleton } from "../../ui/index.ts";
import { HeatMap } from "./heat-map.tsx";
import type { ReportChoice } from "./range.ts";

type PersonLoad = PeopleReport["data"][number];

interface Props {
  readonly choice: ReportChoice;
  readonly query: QueryResult<PeopleReport>;
}

/** Whom pages reached, when, and how long people were on call. */
export function People({ choice, query }: Props) {
  const isOff = query.error?.status === 403;
  return (
    <section class="section" aria-label="People">
      <h2>People</h2>
      {isOff ? (
        <Card>
          <p class="muted">Reports about people are off on this server (reports.people).</p>
        </Card>
      ) : (
        <Loaded query={query} skeleton={<Skeleton count={4} />}>
          {(report) => <Load choice={choice} report={report} />}
        </Loaded>
      )}
    </section>
  );
}

function Load({ choice, report }: { readonly choice: ReportChoice; readonly report: PeopleReport }) {
  const { data, others } = report;
  const paged = data.filter(({ hours }) => hours.some((n) => n > 0));
  return (
    <>
      <p class="muted small">
        {others ? "" : "You see your own load; the setting reports.people says who sees that of others. "}
        Nights and hours are those of each person's clock.
      </p>
      {paged.length > 0 && (
        <Card title="Pages by hour">
          <HeatMap
            label="Pages by hour"
            rows={paged.map((load) => ({ key: load.userId, name: nameOf(load), values: load.hours }))}
          />
        </Card>
      )}
      <DataTable<PersonLoad>
        label="Load of people"
        rows={data}
        rowKey={({ userId }) => userId}
        columns={columnsOf(choice, report)}
        empty={<EmptyState small title="No one was paged or on call" text="Whom pages reach is listed here." />}
      />
    </>
  );
}

const nameOf = ({ name }: PersonLoad): string => name || "Without a name";

function columnsOf(choice: ReportChoice, report: PeopleReport): readonly Column<PersonLoad>[] {
  const count = (label: string, of: (load: PersonLoad) => number, priority?: 2 | 3): Column<PersonLoad> => ({
    ...{ label, cell: (load) => <Num n={of(load)} digits={1} />, align: "end", width: "min", card: "meta" },
    priority,
  });
  const pages = (label: string, name: "day" | "night", of: (load: PersonLoad) => number): Column<PersonLoad> => ({
    ...count(label, of),
    cell: (load) =>
      of(load) === 0 ? (
        <Num n={0} />
      ) : (
        <Link href={choice.paged(report, load.userId, name)}>
          <Num n={of(load)} />
        </Link>
      ),
  });
  return [
    {
      label: "Person",
      cell: (load) => (
        <span class="report-name short">
          <Link href={choice.paged(report, load.userId, "all")}>{nameOf(load)}</Link>
        </span>
      ),
      card: "title",
    },
    pages("Pages at night", "night", ({ pagesNight }) => pagesNight),
    pages("By day", "day", ({ pagesDay }) => pagesDay),
    count("On weekends", ({ pagesWeekend }) => pagesWeekend, 3),
    count("Sleep breaks", ({ sleepBreaks }) => sleepBreaks),
    count("Hours on call", ({ onCallHours }) => onCallHours, 2),
    count("Nights on call", ({ onCallNights }) => onCallNights, 3),
    {
      label: "Most by",
      cell: ({ userId, keys }) => (
        <span class="small">
          {keys.length === 0 && <span class="faint">—</span>}
          {keys.map(({ key, pages }, at) => (
            <span key={key}>
              {at > 0 && ", "}
              <Link href={choice.paged(report, userId, "all", { key })}>{key}</Link>
              {` (${formatNumber(pages)})`}
            </span>
          ))}
        </span>
      ),
      width: "wide",
      card: "text",
      cardLabel: true,
    },
  ];
}
