import type { IncidentCounts, ListedIncident } from "../../../src/client/api-types.gen.ts";
import { plural } from "../../ui/index.ts";
import { isWaiting } from "./incident-rows.tsx";
import { isOpen } from "./incident-types.ts";

type Counts = Pick<IncidentCounts, "waiting" | "quiet" | "acknowledged" | "snoozed"> &
  Partial<Pick<IncidentCounts, "mineElsewhere">>;

/** Of incidents in projects that the user does not read. */
export function notifiedText(count: number): string {
  return `You were notified of ${plural(count, "incident")}`;
}

/** Of the listed incidents, for the filters that the server does not count. */
export function countsOf(items: readonly ListedIncident[] | undefined): Counts | undefined {
  if (items === undefined) return undefined;
  const unresolved = items.filter(({ state }) => state !== "resolved");
  const open = unresolved.filter(isOpen);
  const waiting = open.filter(isWaiting).length;
  const snoozed = unresolved.filter((each) => each.isSnoozed).length;
  return {
    waiting,
    quiet: open.length - waiting,
    snoozed,
    acknowledged: unresolved.length - open.length - snoozed,
  };
}

/** The line below the title of a list behind a figure of the reports. */
export function figureText(total: number | undefined): string {
  return total === undefined
    ? "The incidents of a figure, the latest first."
    : `${plural(total, "incident")}, the latest first.`;
}

/** The line below the title of the list. */
export function subtitleOf(counts: Counts | undefined, filter: string): string {
  if (filter === "resolved") return "Resolved incidents, the latest first.";
  if (counts === undefined) return "Open incidents, and who takes care of them.";
  const { waiting, quiet, acknowledged, snoozed } = counts;
  const taken = acknowledged + snoozed;
  const rest = [
    ...(taken > 0 ? [`${taken} acknowledged or snoozed`] : []),
    ...(quiet > 0 ? [`${quiet} quiet`] : []),
  ].join(", ");
  if (waiting === 0 && counts.mineElsewhere) return `${notifiedText(counts.mineElsewhere)}${rest && `, ${rest}`}.`;
  if (waiting === 0 && rest === "") return "No incident waits for people.";
  // One line on a phone, as before the rows are known.
  if (waiting === 0) return `None waits for people, ${rest}.`;
  const wait = plural(waiting, "incident waits", "incidents wait");
  return rest === "" ? `${wait} for an acknowledgement.` : `${wait}, ${rest}.`;
}
