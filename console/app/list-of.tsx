import { X } from "lucide";
import type { ComponentChildren, VNode } from "preact";
import { Button, DateTimeInput, type Option, SearchInput, Segmented, Select } from "../ui/index.ts";
import type { Query } from "./api.ts";
import { type Filters, useFilters } from "./filters.ts";
import { knownOr, ProjectChoice, ProjectFilter } from "./project-choice.tsx";
import { useProjects } from "./projects.ts";
import { type ListResult, useList } from "./query.ts";

interface Bound {
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** A filter in the address of a list. */
export interface ListFilter {
  /** What to change when nothing matches. */
  readonly word: string;
  readonly absent: string;
  /** The parameter of the request; default: the name in the address. */
  readonly parameter?: string;
  /** At the right of the others. */
  readonly isEnd?: boolean;
  /** The search, which is first. */
  readonly isSearch?: boolean;
  /** Chooses what the list is of: an empty list is then not one without a match. */
  readonly isChoice?: boolean;
  /** A hook: the value that the address stands for. */
  readonly useValue?: (value: string) => string;
  /** Null: the address has it by a link only. */
  readonly control: ((bound: Bound) => VNode | null) | null;
}

/** @param label for screen readers; default: that of every search */
export function searchFilter(label?: string, placeholder?: string): ListFilter {
  return {
    word: "search",
    absent: "",
    isSearch: true,
    control: (bound) => <SearchInput {...bound} label={label} placeholder={placeholder} />,
  };
}

/** A few choices in a row. */
export function segmentFilter(label: string, options: readonly Option[]): ListFilter {
  const absent = options[0]?.value ?? "";
  return { word: label.toLowerCase(), absent, control: (bound) => <Segmented {...{ ...bound, label, options }} /> };
}

/** A few choices, small and at the right. */
export function endFilter(label: string, options: readonly Option[]): ListFilter {
  const control = (bound: Bound) => <Segmented small {...{ ...bound, label, options }} />;
  return { ...segmentFilter(label, options), isEnd: true, control };
}

/** Choices in a menu. */
export function selectFilter(label: string, options: readonly Option[], small = false): ListFilter {
  const absent = options[0]?.value ?? "";
  return { word: label.toLowerCase(), absent, control: (bound) => <Select {...{ ...bound, label, options, small }} /> };
}

export function dateFilter(label: string): ListFilter {
  return ownFilter("date", (bound) => <DateTimeInput {...bound} label={label} />);
}

/** A filter with a control of the page. */
export function ownFilter(word: string, control: ListFilter["control"], parameter?: string): ListFilter {
  return { word, absent: "", control, ...(parameter === undefined ? {} : { parameter }) };
}

/** A filter that a link sets, with a button that ends it. @param text without one nothing is shown of it */
export function linkFilter(text?: (value: string) => ComponentChildren): ListFilter {
  const end = ({ value, onChange }: Bound) =>
    value === "" || text === undefined ? null : (
      <Button small icon={X} title="Without this filter" onClick={() => onChange("")}>
        {text(value)}
      </Button>
    );
  return { word: "link", absent: "", control: text === undefined ? null : end };
}

export const PROJECT_FILTER = ownFilter("project", (bound) => <ProjectFilter {...bound} />, "projectId");

function Choice(bound: Bound) {
  return <ProjectChoice {...bound} projects={useProjects()} />;
}

/** The list is of one project. */
export const PROJECT_CHOICE: ListFilter = {
  ...ownFilter("project", (bound) => <Choice {...bound} />, "projectId"),
  absent: "default",
  isChoice: true,
  useValue: (value) => knownOr(useProjects(), value),
};

export type Controls = Readonly<Record<string, ListFilter>>;

/** A list with its filters. */
export interface Listed<T, F extends Controls = Controls> extends ListResult<T>, Filters<keyof F & string> {
  readonly controls: F;
  /** What the requests of its pages ask for. */
  readonly query: Query;
}

const LIMIT = 50;

/**
 * A list of the API with filters, which the address keeps.
 * @param query besides the filters, or in place of some
 */
export function useListOf<T, F extends Controls = Controls>(
  path: string,
  controls: F,
  query: Query | ((values: Readonly<Record<keyof F & string, string>>) => Query) = {},
): Listed<T, F> {
  type Name = keyof F & string;
  const names = Object.keys(controls) as Name[];
  const record = (of: (name: Name) => string) =>
    Object.fromEntries(names.map((name) => [name, of(name)])) as Record<Name, string>;
  const absent = record((name) => controls[name]?.absent ?? "");
  const filters = useFilters<Name>(absent);
  const values = record((name) => controls[name]?.useValue?.(filters.values[name]) ?? filters.values[name]);
  const given = names.map((name) => [controls[name]?.parameter ?? name, values[name]]);
  const more = typeof query === "function" ? query(values) : query;
  const asked: Query = { limit: LIMIT, ...Object.fromEntries(given), ...more };
  const list = useList<T>(path, asked);
  const isFiltered = names.some((name) => !controls[name]?.isChoice && filters.values[name] !== absent[name]);
  const clear = () =>
    filters.set(
      Object.fromEntries(
        names.filter((name) => !controls[name]?.isChoice).map((name) => [name, absent[name]]),
      ) as Partial<typeof absent>,
    );
  return {
    ...{ ...filters, ...list, controls, query: asked, values, isFiltered, clear },
    bind: (name) => ({ ...filters.bind(name), value: values[name] }),
  };
}
