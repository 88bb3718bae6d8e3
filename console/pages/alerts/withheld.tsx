import { href } from "../../app/base.ts";
import { Link, plural } from "../../ui/index.ts";
import type { Alert } from "./alert-types.ts";

/** Why no one is notified of an alert, with links. */
export function WithheldText({ withheld }: { readonly withheld: NonNullable<Alert["withheld"]> }) {
  const { silencedBy, inhibitedBy, mutedBy } = withheld;
  const parts = [
    ...silencedBy.map((id, at) => (
      <Link key={id} href={href(`/silences/${id}`)}>
        {silencedBy.length === 1 ? "a silence" : `silence ${at + 1}`}
      </Link>
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
