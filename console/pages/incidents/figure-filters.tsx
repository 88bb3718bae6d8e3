import type { Query } from "../../app/api.ts";
import { linkFilter } from "../../app/list-of.tsx";
import { PersonName } from "../../app/person-name.tsx";
import { useGet } from "../../app/query.ts";

const COUNTED: Readonly<Record<string, string>> = {
  all: "In reports",
  acknowledged: "With a response",
  unacknowledged: "Without a response",
  brief: "Ended within 5 minutes",
  reopened: "Came again",
};

const PAGES: Readonly<Record<string, string>> = {
  all: "By day and at night",
  day: "Pages by day",
  night: "Pages at night",
};

function Paged({ id }: { readonly id: string }) {
  return (
    <>
      Paged: <PersonName id={id} isPlain />
    </>
  );
}

/** The incidents behind a figure of the reports: they come by a link. */
export const FIGURE_FILTERS = {
  from: linkFilter(),
  to: linkFilter(),
  counted: linkFilter((value) => COUNTED[value] ?? value),
  key: linkFilter((value) => value),
  paged: linkFilter((value) => <Paged id={value} />),
  pages: linkFilter((value) => PAGES[value] ?? value),
};

type Values = Readonly<Record<keyof typeof FIGURE_FILTERS, string>>;

/** Whether the list is that of a figure of the reports. */
export const isOfFigure = ({ counted, key, paged }: Values): boolean => counted !== "" || key !== "" || paged !== "";

/** How many incidents the list has in all, on whichever page; undefined: it is not known, or not of a figure. */
export function useFigureTotal({ values, query }: { readonly values: Values; readonly query: Query }) {
  const path = isOfFigure(values) ? "/incidents" : null;
  return useGet<{ readonly total?: number }>(path, { ...query, limit: 1, page: 1 }).data?.total;
}
