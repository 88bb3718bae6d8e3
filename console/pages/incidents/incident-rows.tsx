import type { ListedIncident } from "../../../src/client/api-types.gen.ts";
import { MirrorBadge } from "../../app/mirror.tsx";
import type { Project } from "../../app/projects.ts";
import { Badge, type Column, formatDuration, Time, UserText } from "../../ui/index.ts";
import { actorName, isOpen, stateOf } from "./incident-types.ts";
import { Age, SeverityBadge } from "./severity.tsx";

/** @param projects more than one: each row says which it is of */
export function columnsOf(projects: readonly Project[]): readonly Column<ListedIncident>[] {
  return [
    {
      label: "Severity",
      cell: ({ severity, urgency }) => <SeverityBadge word={severity} urgency={urgency} />,
      width: "min",
      card: "aside",
    },
    {
      label: "Incident",
      cell: ({ number, title, summary, projectId }) => (
        <span class="one-line incident-name">
          <span class="num muted">#{number}</span>
          <UserText lines={1}>{title}</UserText>
          <MirrorBadge projectId={projectId} />
          {summary && summary !== title && <UserText lines={1}>{summary}</UserText>}
        </span>
      ),
      card: "title",
      width: "wide",
    },
    ...(projects.length < 2
      ? []
      : [
          {
            label: "Project",
            cell: ({ projectId }: ListedIncident) => (
              <UserText lines={1}>{projects.find(({ id }) => id === projectId)?.name ?? ""}</UserText>
            ),
            card: "meta",
            priority: 3,
            width: "min",
          } as const,
        ]),
    { label: "State", cell: (incident) => <State incident={incident} />, card: "meta", width: "min" },
    {
      label: "Firing",
      cell: ({ alerts, firing }) => <span class="num nowrap">{`${firing} of ${alerts}`}</span>,
      align: "end",
      width: "min",
      card: "hide",
      priority: 2,
    },
    {
      label: "Duration",
      cell: ({ firingSince, openedAt, resolvedAt }) =>
        resolvedAt === null ? (
          <Age at={firingSince} />
        ) : (
          <span class="num nowrap">
            <span class="only-phone">lasted </span>
            {formatDuration(Math.max(1000, Date.parse(resolvedAt) - Date.parse(openedAt)))}
          </span>
        ),
      card: "meta",
      width: "min",
    },
    { label: "Next", cell: (incident) => <Next incident={incident} />, card: "meta", width: "min" },
  ];
}

/** The colour of a row is its severity; the state needs a colour only where someone has it. */
function State({ incident }: { readonly incident: ListedIncident }) {
  const { text, tone } = stateOf(incident);
  return isOpen(incident) ? <span class="only-wide">{text}</span> : <Badge tone={tone}>{text}</Badge>;
}

/** Who has it, or what happens next. */
function Next({ incident }: { readonly incident: ListedIncident }) {
  const { acknowledgedBy, isSnoozed, withheldAs, snoozedUntil, nextStepAt, resolvedAt, state, notifiesPeople } =
    incident;
  if (state === "resolved")
    return (
      <span>
        ended <Time at={resolvedAt} />
      </span>
    );
  if (isSnoozed)
    return (
      <span>
        open again <Time at={snoozedUntil} />
      </span>
    );
  const names = acknowledgedBy.map(actorName);
  if (state === "acknowledged") return <UserText lines={2}>{`by ${names.join(", ")}`}</UserText>;
  if (withheldAs !== null) return <span class="muted">{withheldAs}</span>;
  return nextStepAt === null ? (
    <span class="muted only-wide">{notifiesPeople ? "waits for people" : "calls webhooks only"}</span>
  ) : (
    <span>
      next step <Time at={nextStepAt} />
    </span>
  );
}

/** Open, and people are notified of it. */
export function isWaiting(incident: ListedIncident): boolean {
  return isOpen(incident) && incident.notifiesPeople && incident.withheldAs === null;
}

/** Open, but all its alerts are silenced, inhibited or muted: it comes after those that wait for people. */
export function isQuiet(incident: ListedIncident): boolean {
  return isOpen(incident) && incident.withheldAs !== null;
}
