import { useEffect, useRef } from "preact/hooks";
import type { AlertExplanation } from "../../../src/client/api-types.gen.ts";
import { useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { plural, Time } from "../../ui/index.ts";
import { type IncidentDetail, withheldOf } from "./incident-types.ts";

type Story = AlertExplanation["incidents"][number];
type NextLine = Story["next"][number];

const SHOWN_PEOPLE = 4;
/** Actions that call people again who were called before. */
const AGAIN: Readonly<Record<string, string>> = {
  repeat: "again,",
  "looked-again": "again,",
  "new-alerts": "of the new alerts,",
  "severity-raised": "as it got worse,",
};

/** What the server says that follows if no one acts, with the people who are on call at that time. */
export interface Ahead {
  /** Undefined until it is known. */
  readonly story: Pick<Story, "next" | "people"> | undefined;
  readonly isFailed: boolean;
}

/** What follows; the line at the top and the card both read it. */
export function useAhead(incident: IncidentDetail): Ahead {
  const { data, error, reload } = useGet<AlertExplanation>(`/explain/incident/${incident.id}`);
  const { state, step, round, nextStepAt, nextDueAt, snoozedUntil, firing, assigned, notifiedAt } = incident;
  const phase = JSON.stringify([
    state,
    step,
    round,
    nextStepAt,
    nextDueAt,
    snoozedUntil,
    firing > 0,
    assigned,
    notifiedAt,
  ]);
  const known = useRef(phase);
  useEffect(() => {
    if (known.current === phase) return;
    known.current = phase;
    reload();
  }, [phase]);
  return { story: data?.incidents[0], isFailed: error !== undefined };
}

interface Props {
  readonly incident: IncidentDetail;
  readonly ahead: Ahead;
}

/** Who is called next and when, if no one acts. */
export function NextCall({ incident, ahead: { story, isFailed } }: Props) {
  return (
    <p class="incident-line next-call" aria-live="polite">
      <b>Next:</b>{" "}
      {story === undefined ? isFailed ? <Unknown incident={incident} /> : "…" : <Call {...{ story, incident }} />}
    </p>
  );
}

const PAUSES: Readonly<Record<string, string>> = {
  "ack-expired": "when the acknowledgement expires",
  "snooze-ended": "when the snooze ends",
};

interface CallProps {
  readonly story: NonNullable<Ahead["story"]>;
  readonly incident: IncidentDetail;
}

function Call({ story, incident }: CallProps) {
  const { next } = story;
  const call = next.find(({ kind, users }) => kind in AGAIN || (kind === "notified" && (users?.length ?? 0) > 0));
  const before = call === undefined ? next[0] : next.slice(0, next.indexOf(call)).find(({ kind }) => kind in PAUSES);
  const isQuiet = withheldOf(incident) !== null;
  if (call === undefined || (isQuiet && next[0]?.kind === "withheld"))
    return (
      <>
        no one is called{isQuiet ? ": its alerts are silenced, inhibited or muted" : ""}.
        {!isQuiet && before !== undefined && (
          <>
            {" "}
            {before.at !== null && <Time at={before.at} />}: {before.text}
          </>
        )}
      </>
    );
  return (
    <>
      <b>{call.kind in AGAIN ? againText(call, story, incident) : peopleOf(call.users ?? [])}</b>{" "}
      {call.at !== null && <Time at={call.at} />}
      {before !== undefined && `, ${PAUSES[before.kind]}`}
    </>
  );
}

/** The people of a repetition: those that the line names, otherwise all who were notified and did not acknowledge. */
function againText(call: NextLine, { next, people }: CallProps["story"], { acknowledgements }: IncidentDetail): string {
  const before = next.slice(0, next.indexOf(call)).flatMap(({ users }) => users ?? []);
  const has = new Set(acknowledgements.map(({ userId }) => userId));
  const known = new Map([...people, ...before].map((each) => [each.userId, each]));
  const users = call.users ?? [...known.values()].filter(({ userId }) => !has.has(userId));
  return `${users.length === 0 ? "those notified before" : peopleOf(users)}, ${AGAIN[call.kind]}`;
}

function peopleOf(users: readonly Pick<NonNullable<NextLine["users"]>[number], "userId" | "name">[]): string {
  const names = users.map(({ userId, name }) => (userId === me.value?.id ? "you" : name || userId));
  const left = names.length - SHOWN_PEOPLE;
  return left > 0 ? `${names.slice(0, SHOWN_PEOPLE).join(", ")} and ${plural(left, "other")}` : names.join(", ");
}

/** Without the server's answer only the time is known. */
function Unknown({ incident: { nextStepAt, step } }: { readonly incident: IncidentDetail }) {
  if (nextStepAt === null) return <>no step is due.</>;
  return (
    <>
      step {step + 1} of its policy <Time at={nextStepAt} />
    </>
  );
}
