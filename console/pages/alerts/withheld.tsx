import { href } from "../../app/base.ts";
import { useGet } from "../../app/query.ts";
import { Link, plural, Time } from "../../ui/index.ts";
import type { Silence } from "../silences/silence-types.ts";
import type { Alert } from "./alert-types.ts";

/** @returns the link, with the end as soon as it is known */
function SilenceLink({ id, text }: { readonly id: string; readonly text: string }) {
  const { data } = useGet<Pick<Silence, "endsAt" | "recurrence" | "window">>(`/silences/${id}`);
  const end = data?.window?.endsAt ?? (data?.recurrence ? null : data?.endsAt);
  return (
    <>
      <Link href={href(`/silences/${id}`)}>{text}</Link>
      {end && (
        <>
          {" until "}
          <Time at={end} mode="full" />
        </>
      )}
    </>
  );
}

/** Why no one is notified of an alert, with links. */
export function WithheldText({ withheld }: { readonly withheld: NonNullable<Alert["withheld"]> }) {
  const { silencedBy, inhibitedBy, mutedBy } = withheld;
  const parts = [
    ...silencedBy.map((id, at) => (
      <SilenceLink key={id} id={id} text={silencedBy.length === 1 ? "a silence" : `silence ${at + 1}`} />
    )),
    ...(inhibitedBy.length > 0 ? [<span key="inhibited">{plural(inhibitedBy.length, "inhibiting alert")}</span>] : []),
    ...mutedBy.map((name) => <span key={`interval ${name}`}>the time interval “{name}”</span>),
  ];
  return (
    <span class="in-text">
      {"withheld by "}
      {parts.map((part, at) => (
        <span key={part.key}>
          {at > 0 && ", "}
          {part}
        </span>
      ))}
    </span>
  );
}
