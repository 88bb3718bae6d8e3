import { href } from "../../app/base.ts";
import { PersonName } from "../../app/person-name.tsx";
import { me } from "../../app/session.ts";
import { formatDuration, Link, plural, Time, Timeline } from "../../ui/index.ts";
import { QuietText } from "../alerts/quiet.tsx";
import { type IncidentDetail, isOpen, type PolicyStep, withheldOf } from "./incident-types.ts";
import type { Ahead } from "./next-call.tsx";
import { ChannelName, ScheduleName } from "./timeline-words.tsx";

interface Planned {
  readonly index: number;
  readonly step: PolicyStep;
  /** Null: it depends on what happens before. */
  readonly at: number | null;
}

/** The steps of this round that are left, with their times as far as they are known. */
function plannedOf({ steps, step: next, nextStepAt }: IncidentDetail): readonly Planned[] {
  let at = nextStepAt === null ? null : Date.parse(nextStepAt);
  return steps.slice(next).flatMap((step, offset): Planned[] => {
    if (step.type === "wait") {
      if (at !== null) at += step.ms;
      return [];
    }
    const planned = { index: next + offset, step, at };
    if (step.type === "onlyIn" || step.type === "ifCount") at = null;
    return [planned];
  });
}

/** The next steps if no one acts. */
export function NextSteps({ incident, ahead }: { readonly incident: IncidentDetail; readonly ahead: Ahead }) {
  const { policy, notifiedAt, nextDueAt, snoozedUntil, isSnoozed, state } = incident;
  const planned = plannedOf(incident);
  const withheld = withheldOf(incident);
  return (
    <div class="stack s2">
      <p>
        Policy <Link href={href(`/policies/${policy.id}`)}>{policy.name}</Link>
        {policy.version > 0 && <span class="muted"> as of version {policy.version}</span>}
        {incident.round > 0 && <span class="muted">, round {incident.round + 1}</span>}
      </p>
      {isSnoozed ? (
        <p>
          No step runs until <Time at={snoozedUntil} mode="full" />.
        </p>
      ) : state === "acknowledged" ? (
        <p>No step runs while it is acknowledged.</p>
      ) : withheld !== null ? (
        <p>
          Nothing is sent: {incident.firing === 1 ? "its firing alert is " : "its firing alerts are "}
          <QuietText withheld={withheld} />.
        </p>
      ) : notifiedAt === null ? (
        <p>
          {nextDueAt === null ? "No one was notified." : "The steps start with the first notification, "}
          {nextDueAt !== null && <Time at={nextDueAt} />}
        </p>
      ) : planned.length === 0 ? (
        <p>
          {nextDueAt === null || ahead.story?.next.length === 0
            ? "Nothing follows."
            : "All steps of this round are done."}
        </p>
      ) : null}
      {isOpen(incident) && withheld === null && notifiedAt !== null && planned.length === 0 && (
        <Follows ahead={ahead} />
      )}
      {isOpen(incident) && incident.assigned?.phase === "waiting" && (
        <p>
          {incident.assigned.by === "page" ? "People were paged directly. " : "It was given to others. "}
          If no one acknowledges it, the policy starts <Time at={incident.nextStepAt} />.
        </p>
      )}
      {isOpen(incident) && withheld === null && planned.length > 0 && (
        <Timeline
          label="Next steps"
          items={planned.map(({ index, step, at }) => ({
            key: String(index),
            pending: true,
            title: <StepText step={step} />,
            ...(at === null ? {} : { time: <Time at={at} /> }),
          }))}
        />
      )}
    </div>
  );
}

/** What the line at the top of the page says in short. */
function Follows({ ahead: { story } }: { readonly ahead: Ahead }) {
  if (story === undefined || story.next.length === 0) return null;
  return (
    <Timeline
      label="What follows"
      items={story.next.map(({ at, text }, index) => ({
        key: String(index),
        pending: true,
        title: text,
        ...(at === null ? {} : { time: <Time at={at} /> }),
      }))}
    />
  );
}

function StepText({ step }: { readonly step: PolicyStep }) {
  switch (step.type) {
    case "notify":
      return <NotifyText step={step} />;
    case "wait":
      return <>Wait {formatDuration(step.ms)}</>;
    case "onlyIn":
      return <>Only in “{step.interval}”</>;
    case "ifCount":
      return <>{`If ${plural(step.alerts, "alert")} joined within ${formatDuration(step.windowMs)}`}</>;
    case "channel":
      return (
        <>
          Send to <ChannelName id={step.id} />
        </>
      );
    case "webhook":
      return <>Call the webhook {step.url}</>;
    case "resolve":
      return <>Resolve the incident</>;
  }
}

function NotifyText({ step }: { readonly step: Extract<PolicyStep, { type: "notify" }> }) {
  const { users, roles, schedules, members, urgency, roundRobin } = step;
  const targets = [
    ...schedules.map(({ id, who }) => (
      <span key={id}>
        {who === "next" ? "next on call of " : who === "both" ? "on call and next of " : "on call on "}
        <ScheduleName id={id} />
      </span>
    )),
    ...users.map((id) => (id === me.value?.id ? <span key={id}>you</span> : <PersonName key={id} id={id} isPlain />)),
    ...(roles.length > 0 ? [<span key="roles">{plural(roles.length, "role")}</span>] : []),
    ...(members ? [<span key="members">members of the project</span>] : []),
  ];
  return (
    <>
      Notify{" "}
      {targets.map((target, at) => (
        <span key={target.key}>
          {at > 0 && ", "}
          {target}
        </span>
      ))}
      <span class="muted">
        {urgency === "low" && " · low urgency"}
        {roundRobin && " · one in turn"}
      </span>
    </>
  );
}
