import { Printer } from "lucide";
import type { IncidentsReport, NoiseReport, PeopleReport, SchedulesReport } from "../../../src/client/api-types.gen.ts";
import type { Query } from "../../app/api.ts";
import { ProjectFilter } from "../../app/project-choice.tsx";
import { useProjects } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import {
  Button,
  DateTimeInput,
  EmptyState,
  ErrorState,
  Page,
  plural,
  Segmented,
  Skeleton,
  Toolbar,
} from "../../ui/index.ts";
import { Answers } from "./answers.tsx";
import { Figures } from "./figures.tsx";
import { Noise } from "./noise.tsx";
import { Course } from "./over-time.tsx";
import { People } from "./people.tsx";
import { PrintHead } from "./print-head.tsx";
import { changeText, LENGTHS, type ReportChoice, type ReportSpan, useReportChoice } from "./range.ts";
import { Schedules } from "./schedules.tsx";

/** `/reports`: is it getting better, who was woken most and by what, which alert is mended first. */
export function ReportsPage() {
  const choice = useReportChoice();
  const { query, step, problem } = choice;
  const get = <T,>(path: string, more: Query = {}) =>
    useGet<T>(problem === null ? `/reports/${path}` : null, { ...query, ...more });
  const incidents = get<IncidentsReport>("incidents", { by: step, compare: true });
  const noise = get<NoiseReport>("noise");
  const people = get<PeopleReport>("people");
  const schedules = get<SchedulesReport>("schedules");
  const failed = [incidents, noise].find(({ data, error }) => error && !data);
  const { data } = incidents;
  // The choice of a project moves what is below it.
  const isPlaced = useProjects().length > 0 || data !== undefined;
  const isReady = data && noise.data && (people.data || people.error);
  return (
    <Page
      title="Reports"
      subtitle={subtitleOf(choice, data)}
      actions={
        <Button icon={Printer} onClick={() => print()}>
          Print
        </Button>
      }
    >
      {data && <PrintHead choice={choice} report={data} />}
      <Controls choice={choice} now={data} />
      {problem !== null && <EmptyState small title="No figures for these dates" text="Correct the dates above." />}
      {isPlaced && problem === null && (
        <div class="stack s5">
          {failed ? (
            <ErrorState error={failed.error} retry={failed.reload} />
          ) : !isReady || !data || !noise.data ? (
            <Skeleton kind="cards" count={3} />
          ) : data.total.incidents === 0 ? (
            <None choice={choice} />
          ) : (
            <>
              <Answers choice={choice} incidents={data} noise={noise.data} people={people.data} />
              <Figures choice={choice} report={data} />
              <Noise choice={choice} report={noise.data} />
              <Course choice={choice} report={data} />
            </>
          )}
          <People choice={choice} query={people} />
          <Schedules query={schedules} />
        </div>
      )}
    </Page>
  );
}

function subtitleOf({ text }: ReportChoice, report: IncidentsReport | undefined): string {
  if (!report) return "How often people were woken, by what, and how fast they answered.";
  const { incidents, pages } = report.total;
  return `${plural(pages, "page")} of ${plural(incidents, "incident")} in ${text}${changeOf(report)}.`;
}

function changeOf({ compared }: IncidentsReport): string {
  if (compared === null) return "";
  const change = changeText(compared.now.pages, compared.before.pages, ["fewer than", "more than", "as many as"]);
  return compared.with === "before" ? `, ${change} before` : `, in the second half ${change} in the first`;
}

/** @param now the report of the time that "Other" begins with */
function Controls({
  choice: { filters, problem },
  now,
}: {
  readonly choice: ReportChoice;
  readonly now: ReportSpan | undefined;
}) {
  const { days } = filters.values;
  const choose = (next: string) =>
    filters.set({ days: next, from: (next === "own" && now?.from) || "", to: (next === "own" && now?.to) || "" });
  return (
    <Toolbar label="Time and project" end={<ProjectFilter small by="slug" {...filters.bind("project")} />}>
      <Segmented small label="Time" value={days} onChange={choose} options={LENGTHS} />
      {days === "own" && (
        <>
          <DateTimeInput label="From" {...filters.bind("from")} />
          <DateTimeInput label="To" {...filters.bind("to")} />
        </>
      )}
      {problem !== null && (
        <span class="text-bad small" role="alert">
          {problem}
        </span>
      )}
    </Toolbar>
  );
}

function None({ choice: { text } }: { readonly choice: ReportChoice }) {
  return (
    <EmptyState
      title={`No incident ended in ${text}`}
      text="Reports are made of incidents that have ended: how many, whom they paged, how long people took, and which alerts to mend. They are counted a minute after their end. The same by command:"
      command="prism report month"
    />
  );
}
