import type { Query } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { type Filters, useFilters } from "../../app/filters.ts";
import { filtersOf, rangeOf } from "../../app/time-range.tsx";
import { choices, formatDuration, formatPercent, plural } from "../../ui/index.ts";

const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 30;
/** With more days a point of a chart is a week. */
const MOST_DAYS_BY_DAY = 31;
/** The longest time of a report. */
const MAX_DAYS = 400;

export const LENGTHS = choices({ "7": "7 days", "30": "30 days", "90": "90 days", own: "Other" });
const ABSENT = { days: String(DEFAULT_DAYS), from: "", to: "", project: "" };

/** From when to when a report is, as the API says it. */
export interface ReportSpan {
  readonly from: string;
  readonly to: string;
}

type More = Readonly<Record<string, string>>;

/** The time and the project of the page. */
export interface ReportChoice {
  readonly filters: Filters<keyof typeof ABSENT>;
  readonly step: "day" | "week";
  /** Why the chosen dates cannot be shown. */
  readonly problem: string | null;
  /** As in "in 30 days". */
  readonly text: string;
  /** Parameters of requests for reports. */
  readonly query: Query;
  /** The page of the incidents behind a figure, below the console. @param more filters of their list */
  readonly list: (of: ReportSpan, more?: More) => string;
  /** The same as a link. */
  readonly incidents: (of: ReportSpan, more?: More) => string;
  /** The incidents with pages to a person as a link. @param pages `all`, or those by `day` or at `night` */
  readonly paged: (of: ReportSpan, userId: string, pages: "all" | "day" | "night", more?: More) => string;
}

/** What the address of the page chooses. Which days "30 days" are is the API's decision. */
export function useReportChoice(): ReportChoice {
  const filters = useFilters(ABSENT);
  const { days: given, project } = filters.values;
  const own = given === "own" ? rangeOf(filters.values) : null;
  const problem = given === "own" ? problemOf(own) : null;
  const days = own === null ? Number(given) || DEFAULT_DAYS : Math.max(1, Math.ceil((own.to - own.from) / DAY_MS));
  const list: ReportChoice["list"] = ({ from, to }, more = {}) => {
    const ofProject = project === "" ? {} : { project };
    return `/incidents?${new URLSearchParams({ state: "resolved", counted: "all", from, to, ...ofProject, ...more })}`;
  };
  const incidents: ReportChoice["incidents"] = (of, more) => href(list(of, more));
  return {
    ...{ filters, problem, list, incidents },
    step: days <= MOST_DAYS_BY_DAY ? "day" : "week",
    text: plural(days, "day"),
    query: { project, ...(own === null ? { days } : filtersOf(own.from, own.to)) },
    // Also of incidents that are open: their pages are counted.
    paged: (of, userId, pages, more) => incidents(of, { state: "all", counted: "", paged: userId, pages, ...more }),
  };
}

function problemOf(own: { readonly from: number; readonly to: number } | null): string | null {
  if (own === null) return "Choose both dates.";
  if (own.from >= own.to) return "The first date must be before the last one.";
  return own.to - own.from > MAX_DAYS * DAY_MS ? `A report has at most ${MAX_DAYS} days.` : null;
}

/** "23 % fewer", "as many": a number stays with its sign. */
export function changeText(now: number, before: number, words: readonly [less: string, more: string, same: string]) {
  const change = Math.round(((now - before) / Math.max(1, before)) * 100) / 100;
  if (change === 0) return words[2];
  return `${formatPercent(Math.abs(change), 0)} ${change < 0 ? words[0] : words[1]}`;
}

/** A length of time as people say it: without seconds from ten minutes on. */
export function spanText(ms: number): string {
  return formatDuration(ms < 10 * MINUTE_MS ? Math.round(ms / 1000) * 1000 : Math.round(ms / MINUTE_MS) * MINUTE_MS);
}
