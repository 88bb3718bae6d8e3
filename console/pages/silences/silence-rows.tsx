import type { Silence } from "../../../src/client/api-types.gen.ts";
import { MatcherChips } from "../../app/matcher-field.tsx";
import { Creator } from "../../app/person-name.tsx";
import { Badge, Button, type Column, Left, Menu, Num, Time, UserText } from "../../ui/index.ts";
import { expire, timeEntries } from "./silence-actions.ts";
import { endOf, nameOf, rhythmOf, STATES } from "./silence-types.ts";

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

/** Until when it lasts and what is left of it, or when it starts next. */
function When({ silence }: { readonly silence: Silence }) {
  const { state, window, recurrence } = silence;
  const title = recurrence ? rhythmOf(recurrence) : undefined;
  if (state === "expired")
    return (
      <span title={title}>
        ended <Time at={window?.endsAt ?? silence.endsAt} />
      </span>
    );
  const at = state === "active" ? endOf(silence) : window?.startsAt;
  return (
    <span title={title}>
      {state === "active" ? "until " : "from "}
      <Time at={at} mode="short" />
      {at && (state === "active" ? ", " : ", starts ")}
      {at && (state === "active" ? <Left at={at} /> : <Time at={at} />)}
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
