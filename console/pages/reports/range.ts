import { useState } from "preact/hooks";
import type { Query } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { type Filters, useFilters } from "../../app/filters.ts";
import { filtersOf, rangeOf } from "../../app/time-range.tsx";
import { choices, formatDuration, formatNumber, plural } from "../../ui/index.ts";

const MINUTE_MS = 60_000;
export const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 30;
/** With more days a point of a chart is a week. */
const MOST_DAYS_BY_DAY = 31;
/** The longest time of a report. */
const MAX_DAYS = 400;

export const LENGTHS = choices({ "7": "7 days", "30": "30 days", "90": "90 days", own: "Other" });
const ABSENT = { days: String(DEFAULT_DAYS), from: "", to: "", project: "" };

/** The time and the project of the page. */
export interface ReportChoice {
  readonly filters: Filters<keyof typeof ABSENT>;
  readonly from: number;
  readonly to: number;
  readonly step: "day" | "week";
  /** Why the chosen dates are not shown. */
  readonly problem: string | null;
  /** As in "in 30 days". */
  readonly text: string;
  /** Parameters of requests for reports. */
  readonly query: Query;
  /** And for the time of the same length before. */
  readonly before: Query;
  /** The page of the incidents behind a figure, below the console. @param more filters of their list */
  readonly list: (more?: Readonly<Record<string, string>>) => string;
  /** The same as a link. */
  readonly incidents: (more?: Readonly<Record<string, string>>) => string;
}

/** A day of the API begins at midnight in UTC. */
const startOfDay = (ms: number): number => Math.floor(ms / DAY_MS) * DAY_MS;

/** What the address of the page chooses; "now" stays that of the opening. */
export function useReportChoice(): ReportChoice {
  const [now] = useState(() => Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS);
  const filters = useFilters(ABSENT);
  const { days: given, project } = filters.values;
  const own = given === "own" ? rangeOf(filters.values) : null;
  const problem = given === "own" ? problemOf(own) : null;
  const isOwn = own !== null && problem === null;
  const days = Number(given) || DEFAULT_DAYS;
  const { from, to } = isOwn ? own : { from: startOfDay(now) - (days - 1) * DAY_MS, to: now };
  const length = Math.max(1, Math.ceil((to - from) / DAY_MS));
  const range = filtersOf(from, to);
  const list: ReportChoice["list"] = (more = {}) => {
    const ofProject = project === "" ? {} : { project };
    return `/incidents?${new URLSearchParams({ state: "resolved", counted: "all", ...range, ...ofProject, ...more })}`;
  };
  return {
    ...{ filters, from, to, problem, list },
    step: length <= MOST_DAYS_BY_DAY ? "day" : "week",
    text: plural(length, "day"),
    // Until now: in zones to the east a later day has begun.
    query: { project, from: range.from, ...(isOwn ? { to: range.to } : {}) },
    before: { project, ...filtersOf(from - (to - from), from) },
    incidents: (more) => href(list(more)),
  };
}

function problemOf(own: { readonly from: number; readonly to: number } | null): string | null {
  if (own === null) return "Choose both dates.";
  if (own.from >= own.to) return "The first date must be before the last one.";
  return own.to - own.from > MAX_DAYS * DAY_MS ? `A report has at most ${MAX_DAYS} days.` : null;
}

interface Counted {
  readonly incidents: number;
}

/** Less than this share of the incidents, such as before alerts came, says nothing. */
const LEAST_SHARE = 0.1;

export function isComparable(now: Counted, before: Counted): boolean {
  return before.incidents > 0 && before.incidents >= now.incidents * LEAST_SHARE;
}

/** "23 % fewer", "as many". */
export function changeText(now: number, before: number, words: readonly [less: string, more: string, same: string]) {
  const change = Math.round(((now - before) / Math.max(1, before)) * 100);
  if (change === 0) return words[2];
  return `${formatNumber(Math.abs(change))} % ${change < 0 ? words[0] : words[1]}`;
}

/** A length of time as people say it: without seconds from ten minutes on. */
export function spanText(ms: number): string {
  return formatDuration(ms < 10 * MINUTE_MS ? Math.round(ms / 1000) * 1000 : Math.round(ms / MINUTE_MS) * MINUTE_MS);
}
