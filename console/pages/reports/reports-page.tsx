import { Printer } from "lucide";
import type { IncidentsReport, NoiseReport, PeopleReport, SchedulesReport } from "../../../src/client/api-types.gen.ts";
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
import { changeText, isComparable, LENGTHS, type ReportChoice, useReportChoice } from "./range.ts";
import { Schedules } from "./schedules.tsx";

/** `/reports`: is it getting better, who was woken most and by what, which alert is mended first. */
export function ReportsPage() {
  const choice = useReportChoice();
  const { query, step } = choice;
  const incidents = useGet<IncidentsReport>("/reports/incidents", { ...query, by: step });
  const before = useGet<IncidentsReport>("/reports/incidents", { ...choice.before, by: "project" });
  const noise = useGet<NoiseReport>("/reports/noise", query);
  const people = useGet<PeopleReport>("/reports/people", query);
  const schedules = useGet<SchedulesReport>("/reports/schedules", query);
  const failed = [incidents, before, noise].find(({ data, error }) => error && !data);
  const { data } = incidents;
  // The choice of a project moves what is below it.
  const isPlaced = useProjects().length > 0 || data !== undefined;
  const isReady = data && before.data && noise.data && (people.data || people.error);
  return (
    <Page
      title="Reports"
      subtitle={subtitleOf(choice, data, before.data)}
      actions={
        <Button icon={Printer} onClick={() => print()}>
          Print
        </Button>
      }
    >
      <Controls choice={choice} />
      {isPlaced && (
        <div class="stack s5">
          {failed ? (
            <ErrorState error={failed.error} retry={failed.reload} />
          ) : !isReady || !data || !before.data || !noise.data ? (
            <Skeleton kind="cards" count={3} />
          ) : data.total.incidents === 0 ? (
            <None choice={choice} />
          ) : (
            <>
              <Answers
                choice={choice}
                now={data.total}
                before={before.data.total}
                noise={noise.data}
                people={people.data}
              />
              <Figures choice={choice} now={data.total} before={before.data.total} isApproximate={data.isApproximate} />
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

function subtitleOf({ text }: ReportChoice, now?: IncidentsReport, before?: IncidentsReport): string {
  if (!now || !before) return "How often people were woken, by what, and how fast they answered.";
  const { incidents, pages } = now.total;
  const compared = isComparable(now.total, before.total)
    ? `, ${changeText(pages, before.total.pages, ["fewer than", "more than", "as many as"])} before`
    : "";
  return `${plural(pages, "page")} of ${plural(incidents, "incident")} in ${text}${compared}.`;
}

function Controls({ choice: { filters, from, to, problem } }: { readonly choice: ReportChoice }) {
  const { days } = filters.values;
  const choose = (next: string) =>
    filters.set(
      next === "own"
        ? { days: next, from: new Date(from).toISOString(), to: new Date(to).toISOString() }
        : { days: next, from: "", to: "" },
    );
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
        <span class="text-bad small" role="status">
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
