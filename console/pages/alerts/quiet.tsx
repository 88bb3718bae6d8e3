import type { Alert, Silence } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { useGet } from "../../app/query.ts";
import { Link, plural, Time, UserText } from "../../ui/index.ts";

/** A silence by its comment, with its end as soon as it is known. */
function SilenceLink({ id }: { readonly id: string }) {
  const { data } = useGet<Pick<Silence, "endsAt" | "recurrence" | "window" | "comment">>(`/silences/${id}`);
  const end = data?.window?.endsAt ?? (data?.recurrence ? null : data?.endsAt);
  return (
    <>
      <Link href={href(`/silences/${id}`)}>
        {data?.comment ? <UserText>{`“${data.comment}”`}</UserText> : "a silence"}
      </Link>
      {end && (
        <>
          {" until "}
          <Time at={end} mode="full" />
        </>
      )}
    </>
  );
}

/** Why no one is notified of an alert, with links: "silenced by “Maintenance” until 14:00, inhibited by 1 alert". */
export function QuietText({ withheld }: { readonly withheld: NonNullable<Alert["withheld"]> }) {
  const { silencedBy, inhibitedBy, mutedBy } = withheld;
  const parts = [
    ...silencedBy.map((id, at) => (
      <span key={id}>
        {at === 0 && "silenced by "}
        <SilenceLink id={id} />
      </span>
    )),
    ...(inhibitedBy.length > 0
      ? [<span key="inhibited">{`inhibited by ${plural(inhibitedBy.length, "other alert")}`}</span>]
      : []),
    ...mutedBy.map((name) => <span key={`interval ${name}`}>muted by the time interval “{name}”</span>),
  ];
  return (
    <span class="in-text">
      {parts.map((part, at) => (
        <span key={part.key}>
          {at > 0 && ", "}
          {part}
        </span>
      ))}
    </span>
  );
}
