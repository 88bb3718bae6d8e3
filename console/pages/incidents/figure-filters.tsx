import { linkFilter } from "../../app/list-of.tsx";
import { PersonName } from "../../app/person-name.tsx";

const COUNTED: Readonly<Record<string, string>> = {
  all: "In reports",
  acknowledged: "With a response",
  unacknowledged: "Without a response",
  brief: "Ended within 5 minutes",
  reopened: "Came again",
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
};
