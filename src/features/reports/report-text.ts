import { countText } from "../../core/text/clean-text.ts";
import { spanText } from "../../core/time/clock.ts";
import type { Readable } from "./range.ts";
import type { IncidentFigures, IncidentsReport, NoiseReport, SchedulesReport } from "./schema.ts";

/* Reports as lines of text, for mails, rooms and commands. Nothing in them names a person. */

const percent = (share: number | null): string => (share === null ? "–" : `${Math.round(share * 100)} %`);
const span = (ms: number | null): string => (ms === null ? "–" : spanText(ms));

export function incidentLines({ total, isApproximate }: Readable<IncidentsReport>): string[] {
  const about = isApproximate ? "≈ " : "";
  return [
    `${countText(total.incidents, "incident")}, ${countText(total.pages, "page")}; ${percent(total.unacknowledgedShare)} without a response`,
    `First response: median ${about}${span(total.ack.median)}, nine of ten within ${about}${span(total.ack.p90)}`,
    `End: median ${about}${span(total.resolve.median)}, nine of ten within ${about}${span(total.resolve.p90)}`,
    `${total.brief} ended by themselves within 5 minutes, ${total.reopened} came again within 30`,
  ];
}

/** Whether it is getting better. */
export function comparedLines({ compared }: Readable<IncidentsReport>): string[] {
  const about = compared?.isApproximate ? "≈ " : "";
  const figures = ({ incidents, pages, ack, resolve }: Readable<IncidentFigures>): string =>
    `${countText(incidents, "incident")}, ${countText(pages, "page")}; first response median ${about}${span(ack.median)}, end median ${about}${span(resolve.median)}`;
  if (compared === null) return ["Too few incidents before to compare with"];
  if (compared.with === "before") return [`Before: ${figures(compared.before)}`];
  return [
    "There were too few incidents before, so the second half of the time is compared with the first:",
    `  First half: ${figures(compared.before)}`,
    `  Second half: ${figures(compared.now)}`,
  ];
}

/** What to mend first: the key with the change that saves most pages. */
function firstToMend({ data, pages }: Readable<NoiseReport>): string[] {
  const savesOf = ({ suggestions: [best] }: (typeof data)[number]): number => best?.saves ?? 0;
  const [first] = data.toSorted((a, b) => savesOf(b) - savesOf(a));
  if (first === undefined || savesOf(first) === 0) return [];
  return [`First ${first.key}: a change would have saved ${savesOf(first)} of ${countText(pages, "page")}`];
}

/** @param most keys */
export function noiseLines(report: Readable<NoiseReport>, most: number): string[] {
  const keys = report.data.slice(0, most).flatMap(({ key, pages, incidents, acknowledgedShare, suggestions }) => {
    const [first] = suggestions;
    const line = `${key}: ${countText(pages, "page")} of ${countText(incidents, "incident")}, ${percent(acknowledgedShare)} with a response`;
    return first === undefined ? [line] : [line, `  ${first.text}`];
  });
  return [...firstToMend(report), ...keys];
}

export function scheduleLines({ data }: Readable<SchedulesReport>): string[] {
  return data.map(({ name, shifts, pagesPerShift, gapHours, smallestShare, largestShare }) => {
    const pages = pagesPerShift === null ? "no shifts" : `${countText(shifts, "shift")}, ${pagesPerShift} pages each`;
    return `${name}: ${pages}, ${gapHours} h without anyone, shares from ${percent(smallestShare)} to ${percent(largestShare)}`;
  });
}
