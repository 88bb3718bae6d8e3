import { type Command, Option } from "commander";
import type { IncidentsReport, NoiseReport, PeopleReport, SchedulesReport } from "../../../client/api-types.gen.ts";
import { nearestName } from "../../../config/nearest.ts";
import { countText } from "../../../core/text/clean-text.ts";
import { csvLine } from "../../../core/text/csv.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { integerFlag, pastFlag, timeOf } from "../../output/flag-values.ts";
import { type Output, printable } from "../../output/output.ts";
import { type Call, callOf, resource, type Values, type Verb } from "../../resource.ts";
import { slugsOf } from "../access/projects.ts";
import { OF_PROJECT } from "./shared.ts";

interface Reports {
  readonly incidents: IncidentsReport;
  readonly noise: NoiseReport;
  /** Null: reports about people are off. */
  readonly people: PeopleReport | null;
  readonly schedules: SchedulesReport;
}

/** The longest time of a report. */
const MAX_RANGE_DAYS = 400;
const FORMATS = ["text", "markdown", "csv", "json"];

/** `prism report`: incidents, noise, people and schedules of some days on one page. */
export function addReport(program: Command): void {
  resource(program, "report", "report", {
    text: "report how incidents went and whom they woke: week, month, range",
    examples: ["report week", "report month --project default --format markdown", "report range --days 90"],
    verbs: {
      week: reportOf({ text: "the last 7 days, including today", examples: EXAMPLES }, () => ({ days: 7 })),
      month: reportOf({ text: "the last 30 days, including today", examples: EXAMPLES }, () => ({ days: 30 })),
      range: reportOf(
        {
          text: "other days",
          examples: ["--days 90", "--from 2026-11-01 --to 2026-12-01"],
          flags: {
            days: ["--days <n>", "the last n days in UTC, including today", integerFlag(1, MAX_RANGE_DAYS)],
            from: [
              "--from <time>",
              "incidents that were opened from then on: a day (in UTC), a time, or 90d",
              pastFlag,
            ],
            to: ["--to <time>", "and before then (default: now)", pastFlag],
          },
          excludes: [
            ["days", "from"],
            ["days", "to"],
          ],
          check({ days, from, to }) {
            if (days === undefined && from === undefined)
              throw new CommandError(EXIT.usage, "say which days: --days 90, or --from 2026-11-01");
            if (to !== undefined && Number(from) >= Number(to))
              throw new CommandError(EXIT.usage, "--from must be before --to");
          },
        },
        ({ days, from, to }) =>
          days === undefined
            ? { from: Number(from), to: to === undefined ? undefined : Number(to) }
            : { days: Number(days) },
      ),
    },
  });
}

const EXAMPLES = ["", "--project default --format csv"];

/** Days until now, or times in epoch ms; without an end until now. */
type Range = { readonly days: number } | { readonly from: number; readonly to: number | undefined };

function reportOf(
  verb: Pick<Verb, "text" | "examples" | "flags" | "excludes" | "check">,
  rangeOf: (given: Values) => Range,
): Verb {
  return {
    ...verb,
    text: `report ${verb.text}: incidents, what pages most, people, schedules`,
    about: "Others' load is shown to those who may see it (reports.people). See `prism docs reports`.",
    flags: {
      ...verb.flags,
      project: OF_PROJECT,
      format: new Option("--format <format>", "form of the report").choices(FORMATS).default("text"),
    },
    async run(call) {
      const { out, given } = call;
      const reports = await readReports(call, rangeOf(given)).catch((error: unknown) => projectNamed(error, call));
      if (given["format"] === "json" && !out.json) out.line(JSON.stringify(reports, null, 2));
      else if (given["format"] === "csv" && !out.json) out.line(csvOf(reports).trimEnd());
      else {
        const lines = await linesOf(reports, given["format"] === "markdown", out);
        out.result(reports, () => lines);
      }
    },
  };
}

async function readReports({ server, given: { project } }: Call, range: Range): Promise<Reports> {
  const query = { project, ...("days" in range ? range : { from: timeOf(range.from), to: timeOf(range.to) }) };
  return {
    incidents: await callOf<IncidentsReport>(server, "reportIncidents", { ...query, by: "severity", compare: true }),
    noise: await callOf<NoiseReport>(server, "reportNoise", query),
    people: await callOf<PeopleReport>(server, "reportPeople", query).catch((error: unknown) => {
      if (error instanceof ServerRefused && error.code === "FORBIDDEN") return null;
      throw error;
    }),
    schedules: await callOf<SchedulesReport>(server, "reportSchedules", query),
  };
}

/** A project that is not there is named, with how to find those that are. */
async function projectNamed(error: unknown, { server, given: { project } }: Call): Promise<never> {
  if (!(error instanceof ServerRefused) || error.code !== "PROJECT_NOT_FOUND") throw error;
  const name = String(project);
  const nearest = nearestName(name, [...(await slugsOf(server)).values()]);
  const hint = nearest === undefined ? "" : `; did you mean ${printable(nearest)}?`;
  const message = `there is no project ${printable(name)} that you may read${hint}; "prism projects list" lists all`;
  throw new CommandError(EXIT.notFound, message, { cause: error });
}

const KEYS = 10;

async function linesOf({ incidents, noise, people, schedules }: Reports, isMarkdown: boolean, out: Output) {
  const text = await import("../../../features/reports/report-text.ts");
  const { comparedLines, incidentLines, noiseLines, scheduleLines } = text;
  const parts: readonly (readonly [string, readonly string[]])[] = [
    ["Incidents", [...incidentLines(incidents), ...comparedLines(incidents)]],
    ["What pages most", noiseLines(noise, KEYS)],
    ["People", peopleLines(people)],
    ["Schedules", scheduleLines(schedules)],
  ];
  const heading = (text: string): string => (isMarkdown ? `## ${text}\n` : out.bold(text));
  return parts
    .filter(([, lines]) => lines.length > 0)
    .flatMap(([name, lines]) => [heading(name), ...lines.map((line) => shown(line, isMarkdown)), ""]);
}

/** Names and keys come from senders and people. */
function shown(line: string, isMarkdown: boolean): string {
  const text = printable(line);
  return isMarkdown ? text.replace(/^( *)/, "$1- ").replace(/[\\`*_[\]<>#|~]/g, "\\$&") : `  ${text}`;
}

function peopleLines(people: PeopleReport | null): readonly string[] {
  if (people === null) return ["Reports about people are off"];
  return people.data.length === 0 ? ["No one was paged or on call"] : people.data.map(personLine);
}

function personLine({ name, userId, ...load }: PeopleReport["data"][number]): string {
  const onCall = `${load.onCallHours} h on call in ${countText(load.onCallNights, "night")}`;
  const pages = `${countText(load.pagesDay + load.pagesNight, "page")}, ${load.pagesNight} at night, ${countText(load.sleepBreaks, "sleep break")}`;
  const [most] = load.keys;
  const by = most === undefined ? "" : `, most by ${most.key} (${most.pages})`;
  return `${name || userId}: ${pages}${by}; ${onCall}`;
}

/** A row for each figure. Cells that a spreadsheet would run are text. */
function csvOf({ incidents, noise, people, schedules }: Reports): string {
  const rows: (string | number | null)[][] = [["report", "of", "figure", "value"]];
  const add = (report: string, of: string, figures: Readonly<Record<string, unknown>>): void => {
    for (const [name, value] of Object.entries(figures))
      if (typeof value === "number" || value === null) rows.push([report, of, name, value]);
  };
  const addTimes = (of: string, { ack, resolve }: IncidentsReport["total"]): void => {
    add("incidents", of, { ackMedianMs: ack.median, ackP90Ms: ack.p90, ackMeanMs: ack.mean });
    add("incidents", of, { resolveMedianMs: resolve.median, resolveP90Ms: resolve.p90, resolveMeanMs: resolve.mean });
  };
  const { total, compared, data } = incidents;
  const isHalves = compared?.with === "firstHalf";
  for (const { group, ...figures } of [
    { group: "total", ...total },
    ...(compared === null ? [] : [{ group: isHalves ? "first half" : "before", ...compared.before }]),
    ...(isHalves ? [{ group: "second half", ...compared.now }] : []),
    ...data,
  ]) {
    add("incidents", group, { ...figures, ackSinceOpening: undefined });
    addTimes(group, figures);
  }
  for (const { key, ...figures } of noise.data) add("noise", key, { ...figures, silencedAt: undefined });
  for (const { name, userId, ...figures } of people?.data ?? []) add("people", name || userId, figures);
  for (const { name, ...figures } of schedules.data) add("schedules", name, figures);
  return rows.map(csvLine).join("");
}
