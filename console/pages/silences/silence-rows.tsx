import type { Silence } from "../../../src/client/api-types.gen.ts";
import { MatcherChips } from "../../app/matcher-field.tsx";
import { Creator } from "../../app/person-name.tsx";
import { Badge, Button, type Column, Menu, Num, Time, UserText } from "../../ui/index.ts";
import { expire, timeEntries } from "./silence-actions.ts";
import { nameOf, rhythmOf, STATES } from "./silence-types.ts";

export const COLUMNS: readonly Column<Silence>[] = [
  {
    label: "Silence",
    width: "wide",
    card: "title",
    cell: (silence) => (
      <div class="silence-what">
        <UserText lines={1}>{nameOf(silence)}</UserText>
        <MatcherChips matchers={silence.matchers} />
      </div>
    ),
  },
  {
    label: "State",
    card: "aside",
    width: "min",
    cell: ({ state, recurrence }) => (
      <span class="inline nowrap">
        <Badge {...STATES[state]} />
        {recurrence && <Badge tone="plain">recurs</Badge>}
      </span>
    ),
  },
  { label: "When", card: "meta", cell: (silence) => <When silence={silence} /> },
  { label: "By", card: "meta", priority: 2, cell: ({ createdBy }) => <Creator name={createdBy} /> },
  { label: "Silenced", align: "end", card: "meta", cardLabel: true, cell: ({ hits }) => <Num n={hits} /> },
];

/** Until when it lasts, or when it starts next. */
function When({ silence: { state, window, endsAt, recurrence } }: { readonly silence: Silence }) {
  const at = state === "pending" ? window?.startsAt : (window?.endsAt ?? endsAt);
  const word = state === "pending" ? "starts" : state === "active" ? "until" : "ended";
  return (
    <span title={recurrence ? rhythmOf(recurrence) : undefined}>
      {word} <Time at={at} />
    </span>
  );
}

export function RowActions({ silence }: { readonly silence: Silence }) {
  if (silence.state === "expired") return null;
  return (
    <span class="inline">
      <Button small onClick={() => expire(silence)}>
        End
      </Button>
      <Menu small label={`More for ${nameOf(silence)}`} items={timeEntries(silence)} />
    </span>
  );
}
