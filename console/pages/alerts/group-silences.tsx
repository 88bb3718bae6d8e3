import { BellOff } from "lucide";
import type { Alert, Silence } from "../../../src/client/api-types.gen.ts";
import { href } from "../../app/base.ts";
import { Creator } from "../../app/person-name.tsx";
import { useGet } from "../../app/query.ts";
import {
  formatDuration,
  formatInstant,
  Icon,
  isPending,
  Link,
  now,
  plural,
  UserText,
  Waiting,
} from "../../ui/index.ts";

/** More silences of one group are on the pages of its alerts. */
const SHOWN = 3;
const IN_HOURS_MS = 48 * 3_600_000;

interface Props {
  readonly alerts: readonly Alert[];
}

/** The silences of a group: for how long, by whom and why. */
export function GroupSilences({ alerts }: Props) {
  const counts = new Map<string, number>();
  for (const id of alerts.flatMap(({ withheld }) => withheld?.silencedBy ?? []))
    counts.set(id, (counts.get(id) ?? 0) + 1);
  if (counts.size === 0) return null;
  return (
    <ul class="alert-silences plain-list" aria-label="Silences">
      {[...counts].slice(0, SHOWN).map(([id, count]) => (
        <li key={id}>
          <Icon node={BellOff} size={14} />
          <SilenceLine id={id} of={count === alerts.length ? null : `${count} of ${alerts.length}`} />
        </li>
      ))}
      {counts.size > SHOWN && <li class="muted">and {plural(counts.size - SHOWN, "more silence")}</li>}
    </ul>
  );
}

/** "for 2 h more", "until 4 Dec"; null: it has no end. */
function remaining(end: string | null | undefined): string {
  if (end === null || end === undefined) return "without an end";
  const ms = Date.parse(end) - now.value;
  if (ms <= 0) return "until now";
  return ms < IN_HOURS_MS ? `for ${formatDuration(ms)} more` : `until ${formatInstant(end, "date")}`;
}

/** @param of how many of the alerts; null: all */
function SilenceLine({ id, of }: { readonly id: string; readonly of: string | null }) {
  const query = useGet<Silence>(`/silences/${id}`);
  const { data } = query;
  if (data === undefined)
    return (
      <>
        <span class="muted">{of === null ? "Silenced" : `${of} silenced`}</span>
        {isPending(query) && <Waiting />}
      </>
    );
  const end = data.window?.endsAt ?? data.endsAt;
  return (
    <span class="in-text">
      {`${of === null ? "Silenced" : `${of} silenced`} ${remaining(end)} by `}
      <Creator name={data.createdBy} isWithin />
      {": "}
      <Link href={href(`/silences/${id}`)}>
        <UserText>{data.comment}</UserText>
      </Link>
    </span>
  );
}
