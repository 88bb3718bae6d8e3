import type { Event } from "../../../src/client/api-types.gen.ts";
import { useFilters as useAddressFilters } from "../../app/filters.ts";

/** The filters of the list, as they are in the address. Empty: not filtered. */
export interface FilterValues {
  /** Id of a project; "": all that the user may read. */
  readonly project: string;
  /** Types or prefixes such as `order.*`, separated by commas. */
  readonly type: string;
  readonly level: string;
  readonly source: string;
  readonly q: string;
  readonly outcome: string;
  readonly from: string;
  readonly to: string;
  readonly processed: string;
  /** `true`: Prism's own events are listed too. */
  readonly own: string;
}

/** Start of the sources of events that Prism itself writes. */
const OWN = "prism:";

export type SetFilter = (name: keyof FilterValues, value: string) => void;
export type SetFilters = (changes: Partial<FilterValues>) => void;

/** Filters of the list of all events. */
export const ALL_EVENTS: FilterValues = {
  project: "",
  type: "",
  level: "",
  source: "",
  q: "",
  outcome: "",
  from: "",
  to: "",
  processed: "",
  own: "",
};

export function useFilters(): [FilterValues, SetFilter, SetFilters] {
  const { values, set } = useAddressFilters<keyof FilterValues>(ALL_EVENTS);
  return [values, (name, value) => set({ [name]: value }), set];
}

/** Filters that the server applies. */
export function queryOf({ project, type, level, source, q, from, to, processed, own }: FilterValues) {
  const isAsked = own === "true" || source.startsWith(OWN);
  const projectId = project === "" ? "*" : project;
  return { projectId, type, level, source, q, from, to, processed, own: isAsked ? "" : "false" };
}

export function isFiltered(filters: FilterValues): boolean {
  return Object.values(filters).some((value) => value !== "");
}

/** Whether a live event belongs into the list. Events of the future of `to` do not arrive. */
export function accepts(filters: FilterValues, event: Event): boolean {
  const { type, level, source, q, to, processed, own } = filters;
  if (own !== "true" && !source.startsWith(OWN) && event.source?.startsWith(OWN)) return false;
  if (to !== "" || processed === "true") return false;
  if (type !== "" && !type.split(",").some((pattern) => matchesType(pattern.trim(), event.type))) return false;
  if (level !== "" && !level.split(",").includes(event.level)) return false;
  if (source !== "" && event.source !== source) return false;
  if (q === "") return true;
  const text = `${event.type}\n${event.source ?? ""}\n${JSON.stringify(event.payload)}`.toLowerCase();
  return text.includes(q.toLowerCase());
}

function matchesType(pattern: string, type: string): boolean {
  return pattern.endsWith("*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern;
}
