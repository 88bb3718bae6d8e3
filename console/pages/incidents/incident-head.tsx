import { useProjects } from "../../app/projects.ts";
import { Badge, plural, Time, UserText } from "../../ui/index.ts";
import { actorName, type IncidentDetail, isOpen, stateOf, withheldOf } from "./incident-types.ts";
import { Age } from "./severity.tsx";
import { WhyPaged } from "./why-paged.tsx";

interface Props {
  readonly incident: IncidentDetail;
}

/** The colour of an open one is that of its severity beside it. */
export function State({ incident }: Props) {
  const { text, tone } = stateOf(incident);
  const quiet = isOpen(incident) ? quietWord(withheldOf(incident)) : null;
  return (
    <>
      <Badge tone={isOpen(incident) ? "plain" : tone}>{text}</Badge>
      {quiet !== null && <Badge tone="plain">{quiet}</Badge>}
    </>
  );
}

/** As the list says it. */
function quietWord(withheld: ReturnType<typeof withheldOf>): string | null {
  if (withheld === null) return null;
  if (withheld.silencedBy.length > 0) return "silenced";
  return withheld.inhibitedBy.length > 0 ? "inhibited" : "muted";
}

/** The words of its first alert, then since when, where, and who takes care of it. */
export function Subtitle({ incident }: Props) {
  const { title, alertList } = incident;
  const [first] = alertList;
  const reason = first?.annotations["summary"] || first?.annotations["description"];
  return (
    <span class="incident-sub">
      {reason && reason !== title && (
        <b>
          <UserText lines={2}>{reason}</UserText>
        </b>
      )}
      <span>
        <Facts incident={incident} />
      </span>
      <WhyPaged incident={incident} />
    </span>
  );
}

function Facts({ incident }: Props) {
  const project = useProjects().find(({ id }) => id === incident.projectId)?.name;
  const {
    number,
    firing,
    alerts,
    openedAt,
    firingSince,
    resolvedAt,
    acknowledgements,
    ackQuorum,
    isSnoozed,
    snoozedUntil,
  } = incident;
  const who = acknowledgements.map(actorName);
  const { direct } = incident;
  const count =
    direct !== null
      ? `opened by ${direct.byName}`
      : firing === alerts
        ? `${plural(firing, "alert")} firing`
        : `${firing} of ${alerts} alerts firing`;
  const where = project === undefined ? "" : ` in ${project}`;
  if (resolvedAt !== null)
    return (
      <>
        #{number}
        {where}, open from <Time at={openedAt} mode="full" /> to <Time at={resolvedAt} mode="full" />.
      </>
    );
  return (
    <>
      #{number}
      {where}: {count} <Age at={direct === null ? firingSince : openedAt} />
      {who.length > 0 && `, acknowledged by ${who.join(", ")}`}
      {who.length > 0 && who.length < ackQuorum && ` (${who.length} of ${ackQuorum})`}
      {isSnoozed && (
        <>
          , snoozed until <Time at={snoozedUntil} mode="full" />
        </>
      )}
      .
    </>
  );
}
