import { useState } from "preact/hooks";
import { href } from "../../app/base.ts";
import { useProjects } from "../../app/projects.ts";
import { Button, Card, Link, StatusDot, Time, UserText } from "../../ui/index.ts";
import { stateOf as stateOfAlert } from "../alerts/alert-types.ts";
import { QuietText } from "../alerts/quiet.tsx";
import { safeLink } from "../inbox/notification-types.ts";
import type { AlertOfIncident, IncidentDetail } from "./incident-types.ts";
import { LabelLinks } from "./label-links.tsx";
import { AlertLinks, isLinkOfHead } from "./runbooks.tsx";
import { Age } from "./severity.tsx";

const SHOWN_ALERTS = 10;

interface Props {
  readonly incident: IncidentDetail;
}

/** The text of the person who pages others. */
export function Message({ incident: { direct } }: Props) {
  return (
    <Card title="Message" sub={`by ${direct?.byName ?? "a person"}`}>
      {direct?.message ? (
        <UserText>{direct.message}</UserText>
      ) : (
        <p class="muted">There is no text besides the title.</p>
      )}
    </Card>
  );
}

/** The alerts, at first the first ones. */
export function Alerts({ incident: { alertList, alerts, projectId } }: Props) {
  const [isAll, setAll] = useState(false);
  const project = useProjects().find(({ id }) => id === projectId)?.slug ?? projectId;
  const shown = isAll ? alertList : alertList.slice(0, SHOWN_ALERTS);
  const left = alerts - alertList.length;
  return (
    <Card title="Alerts" sub={left > 0 ? `the last ${alertList.length} of ${alerts}` : undefined}>
      {shown.map((alert) => (
        <AlertCard key={alert.id} alert={alert} project={project} hasLinks={alertList.length > 1} />
      ))}
      {alertList.length > SHOWN_ALERTS && (
        <Button small variant="quiet" onClick={() => setAll(!isAll)}>
          {isAll ? "Show fewer" : `Show ${alertList.length - SHOWN_ALERTS} more`}
        </Button>
      )}
    </Card>
  );
}

interface AlertCardProps {
  readonly alert: AlertOfIncident;
  readonly project: string;
  /** The links of the only alert are at the top of the page. */
  readonly hasLinks: boolean;
}

function AlertCard({ alert, project, hasLinks }: AlertCardProps) {
  const { id, state, timedOut, labels, annotations, startsAt, resolvedAt, leftAt, notifiedAt, withheld } = alert;
  const { summary, description, ...others } = annotations;
  return (
    <div class="alert-card">
      <div class="spread">
        <Link href={href(`/alerts/${id}`)}>
          <UserText lines={2}>{summary || labels["alertname"] || "Alert"}</UserText>
        </Link>
        <StatusDot tone={stateOfAlert(alert).tone}>{stateOfAlert(alert).text}</StatusDot>
      </div>
      {description && <UserText lines={6}>{description}</UserText>}
      <LabelLinks labels={labels} project={project} />
      {Object.entries(others)
        .filter(([name, value]) => !isLinkOfHead(name, value))
        .map(([name, value]) => (
          <Annotation key={name} name={name} value={value} />
        ))}
      {hasLinks && <AlertLinks alerts={[alert]} />}
      <p class="muted small in-text">
        {state === "firing" ? (
          <>
            firing <Age at={startsAt} />
          </>
        ) : (
          <>
            started <Time at={startsAt} />
          </>
        )}
        {resolvedAt !== null && (
          <>
            , {timedOut ? "not repeated until" : "resolved"} <Time at={resolvedAt} />
          </>
        )}
        {withheld !== null && (
          <>
            {" · "}
            <QuietText withheld={withheld} />
          </>
        )}
        {leftAt !== null && (
          <>
            , moved to another incident <Time at={leftAt} />
          </>
        )}
        {notifiedAt === null && state === "firing" && leftAt === null && " · no one was notified of it yet"}
      </p>
    </div>
  );
}

/** A link such as that of a runbook can be opened. */
export function Annotation({ name, value }: { readonly name: string; readonly value: string }) {
  const link = safeLink(value);
  return (
    <p class="small in-text">
      <span class="muted">
        <bdi>{name}</bdi>:{" "}
      </span>
      {link === null ? (
        <UserText lines={3}>{value}</UserText>
      ) : (
        <Link href={link} external>
          {value}
        </Link>
      )}
    </p>
  );
}
