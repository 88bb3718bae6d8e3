import { useEffect, useRef } from "preact/hooks";
import type { AlertExplanation } from "../../../src/client/api-types.gen.ts";
import { useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import { plural, Time } from "../../ui/index.ts";
import { type IncidentDetail, withheldOf } from "./incident-types.ts";

type NextLine = AlertExplanation["incidents"][number]["next"][number];

const SHOWN_PEOPLE = 4;
/** Actions that call people again who were called before. */
const AGAIN: Readonly<Record<string, string>> = {
  repeat: "those notified before, again,",
  "looked-again": "those notified before, again,",
  "new-alerts": "those notified before, of the new alerts,",
  "severity-raised": "those notified before, as it got worse,",
};

/** Who is called next and when, if no one acts. The server says it, with the people who are on call at that time. */
export function NextCall({ incident }: { readonly incident: IncidentDetail }) {
  const { data, error, reload } = useGet<AlertExplanation>(`/explain/incident/${incident.id}`);
  const { state, step, round, nextStepAt, snoozedUntil, firing, assigned, notifiedAt } = incident;
  const phase = JSON.stringify([state, step, round, nextStepAt, snoozedUntil, firing > 0, assigned, notifiedAt]);
  const known = useRef(phase);
  useEffect(() => {
    if (known.current === phase) return;
    known.current = phase;
    reload();
  }, [phase]);
  const next = data?.incidents[0]?.next;
  return (
    <p class="incident-line next-call" aria-live="polite">
      <b>Next:</b>{" "}
      {next === undefined ? error ? <Unknown incident={incident} /> : "…" : <Call {...{ next, incident }} />}
    </p>
  );
}

const PAUSES: Readonly<Record<string, string>> = {
  "ack-expired": "when the acknowledgement expires",
  "snooze-ended": "when the snooze ends",
};

function Call({ next, incident }: { readonly next: readonly NextLine[]; readonly incident: IncidentDetail }) {
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
      <b>{AGAIN[call.kind] ?? peopleOf(call.users ?? [])}</b> {call.at !== null && <Time at={call.at} />}
      {before !== undefined && `, ${PAUSES[before.kind]}`}
    </>
  );
}

function peopleOf(users: NonNullable<NextLine["users"]>): string {
  const names = users.map(({ userId, name, username }) =>
    userId === me.value?.id ? "you" : name || username || userId,
  );
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
