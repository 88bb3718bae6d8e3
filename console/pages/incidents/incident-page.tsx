import { ArrowRightLeft, BellOff, Check, ChevronsUp, CircleCheck, Moon, NotebookPen, UserPlus } from "lucide";
import { useState } from "preact/hooks";
import { href } from "../../app/base.ts";
import { useHotkeys } from "../../app/hotkeys.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { MirrorBadge, MirrorNotice } from "../../app/mirror.tsx";
import type { PageProps } from "../../app/page-module.ts";
import { useProjects } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import {
  Badge,
  Button,
  Card,
  DescriptionList,
  Link,
  Menu,
  type MenuItem,
  openDialog,
  Page,
  plural,
  StatusDot,
  Time,
  Timeline,
  UserText,
} from "../../ui/index.ts";
import { stateOf as stateOfAlert } from "../alerts/alert-types.ts";
import { QuietText } from "../alerts/quiet.tsx";
import { safeLink } from "../inbox/notification-types.ts";
import { useAlertingChanges } from "./changes.ts";
import {
  acknowledge,
  addNote,
  askSnooze,
  escalate,
  resolve,
  silence,
  unacknowledge,
  unsnooze,
} from "./incident-actions.tsx";
import { type AlertOfIncident, actorName, type IncidentDetail, isOpen, stateOf } from "./incident-types.ts";
import { LabelLinks } from "./label-links.tsx";
import { NextSteps } from "./next-steps.tsx";
import { PeopleDialog } from "./people-dialog.tsx";
import { Age, SeverityBadge } from "./severity.tsx";
import { namesOf, sentenceOf } from "./timeline-words.tsx";
import { WhyPaged } from "./why-paged.tsx";

const SHOWN_ALERTS = 10;

/** `/incidents/:id`: what happens, who has it, who was notified and why, and what follows. */
export function IncidentPage({ params }: PageProps) {
  const query = useGet<IncidentDetail>(`/incidents/${encodeURIComponent(params["id"] ?? "")}`);
  useAlertingChanges(query.reload, query.data?.projectId);
  return (
    <LoadedPage title="Incident" query={query}>
      {(incident) => <IncidentView incident={incident} />}
    </LoadedPage>
  );
}

function IncidentView({ incident }: { readonly incident: IncidentDetail }) {
  const { number, title, urgency, state, mayAct } = incident;
  const isLive = state !== "resolved" && mayAct;
  useHotkeys({
    a: () => isLive && mayAcknowledge(incident) && acknowledge(incident),
    e: () => isLive && resolve(incident),
    s: () => isLive && incident.direct === null && silence(incident),
    z: () => isLive && askSnooze(incident),
  });
  return (
    <Page
      title={title}
      documentTitle={`#${number} ${title}`}
      subtitle={<Subtitle incident={incident} />}
      breadcrumb={[{ label: "Incidents", href: href("/incidents") }]}
      badge={
        <span class="inline">
          {incident.direct === null && <SeverityBadge word={incident.severity} urgency={urgency} />}
          <State incident={incident} />
          <MirrorBadge projectId={incident.projectId} />
          {urgency === "low" && incident.severity !== null && <Badge tone="plain">low urgency</Badge>}
        </span>
      }
      actions={mayAct ? <Actions incident={incident} /> : undefined}
    >
      <MirrorNotice projectId={incident.projectId} />
      <div class="two incident-body">
        <div class="stack">
          {incident.direct === null ? <Alerts incident={incident} /> : <Message incident={incident} />}
          <History incident={incident} />
        </div>
        <div class="stack">
          {state !== "resolved" && (
            <Card title="What happens next">
              <NextSteps incident={incident} />
            </Card>
          )}
          <Card title="People">
            <People incident={incident} />
          </Card>
          <Card title="Details">
            <Details incident={incident} />
          </Card>
        </div>
      </div>
      {isLive && (
        <div class="incident-bar" role="group" aria-label="Actions in reach">
          <BarActions incident={incident} />
        </div>
      )}
    </Page>
  );
}

interface Props {
  readonly incident: IncidentDetail;
}

/** The colour of an open one is that of its severity beside it. */
function State({ incident }: Props) {
  const { text, tone } = stateOf(incident);
  return <Badge tone={isOpen(incident) ? "plain" : tone}>{text}</Badge>;
}

/** Whether an acknowledgement of the user changes anything. */
function mayAcknowledge(incident: IncidentDetail): boolean {
  const isMine = incident.acknowledgements.some(({ userId }) => userId === me.value?.id);
  return incident.state === "open" && !isMine;
}

/** The words of its first alert, then since when, where, and who takes care of it. */
function Subtitle({ incident }: Props) {
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
        ? plural(firing, "alert fires", "alerts fire")
        : `${firing} of ${alerts} alerts are firing`;
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

function Actions({ incident }: Props) {
  if (incident.state === "resolved") return <Button onClick={() => addNote(incident)}>Add a note</Button>;
  const snooze = { label: "Snooze…", icon: Moon, keys: "z", onSelect: () => askSnooze(incident) };
  return (
    <div class="inline only-wide">
      <Button keys="e" onClick={() => resolve(incident)}>
        Resolve
      </Button>
      <MainAction incident={incident} />
      <More first={snooze} incident={incident} />
    </div>
  );
}

function MainAction({ incident }: Props) {
  if (mayAcknowledge(incident))
    return (
      <Button variant="primary" icon={Check} keys="a" onClick={() => acknowledge(incident)}>
        Acknowledge
      </Button>
    );
  // The button stands where Acknowledge was: the second click of a double click is not meant for it.
  const onClick = ({ detail }: MouseEvent) => (detail > 1 ? undefined : unacknowledge(incident));
  return <Button onClick={onClick}>Unacknowledge</Button>;
}

/** All that has no button. @param first what has one only in the other of header and bar */
function More({ first, incident }: Props & { readonly first: MenuItem }) {
  const ask = (asking: "responders" | "reassign") => () => openDialog(<PeopleDialog {...{ incident, asking }} />);
  return (
    <Menu
      label="More actions"
      text="More"
      variant="default"
      items={[
        first,
        ...(incident.isSnoozed ? [{ label: "End the snooze", onSelect: () => unsnooze(incident) }] : []),
        ...(incident.direct === null
          ? [{ label: "Silence…", icon: BellOff, keys: "s", onSelect: () => silence(incident) }]
          : []),
        { label: "Add a note…", icon: NotebookPen, onSelect: () => addNote(incident) },
        "separator",
        { label: "Escalate now…", icon: ChevronsUp, onSelect: () => escalate(incident) },
        { label: "Add responders…", icon: UserPlus, onSelect: ask("responders") },
        { label: "Reassign…", icon: ArrowRightLeft, onSelect: ask("reassign") },
      ]}
    />
  );
}

/** On phones at the bottom of the screen. */
function BarActions({ incident }: Props) {
  return (
    <>
      <MainAction incident={incident} />
      <Button icon={Moon} onClick={() => askSnooze(incident)}>
        Snooze
      </Button>
      <More
        first={{ label: "Resolve…", icon: CircleCheck, keys: "e", onSelect: () => resolve(incident) }}
        incident={incident}
      />
    </>
  );
}

/** The text of the person who pages others. */
function Message({ incident: { direct } }: Props) {
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

function Alerts({ incident: { alertList, alerts, projectId } }: Props) {
  const [isAll, setAll] = useState(false);
  const project = useProjects().find(({ id }) => id === projectId)?.slug ?? projectId;
  const shown = isAll ? alertList : alertList.slice(0, SHOWN_ALERTS);
  const left = alerts - alertList.length;
  return (
    <Card title="Alerts" sub={left > 0 ? `the last ${alertList.length} of ${alerts}` : undefined}>
      {shown.map((alert) => (
        <AlertCard key={alert.id} alert={alert} project={project} />
      ))}
      {alertList.length > SHOWN_ALERTS && (
        <Button small variant="quiet" onClick={() => setAll(!isAll)}>
          {isAll ? "Show fewer" : `Show ${alertList.length - SHOWN_ALERTS} more`}
        </Button>
      )}
    </Card>
  );
}

function AlertCard({ alert, project }: { readonly alert: AlertOfIncident; readonly project: string }) {
  const { id, state, timedOut, labels, annotations, startsAt, resolvedAt, leftAt, notifiedAt, generatorUrl, withheld } =
    alert;
  const { summary, description, ...others } = annotations;
  const link = safeLink(generatorUrl);
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
      {Object.entries(others).map(([name, value]) => (
        <Annotation key={name} name={name} value={value} />
      ))}
      <p class="muted small in-text">
        since <Time at={startsAt} />
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
        {link !== null && (
          <>
            {" · "}
            <Link href={link} external>
              source
            </Link>
          </>
        )}
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

function History({ incident }: Props) {
  const names = namesOf(incident);
  const items = incident.timeline.toReversed().map((entry) => ({
    key: String(entry.seq),
    ...sentenceOf(entry, names),
    time: <Time at={entry.at} mode="clock" />,
  }));
  return (
    <Card title="Timeline" sub="The latest first.">
      <Timeline label="Timeline" items={items} />
    </Card>
  );
}

function People({ incident }: Props) {
  const { audience, acknowledgements } = incident;
  if (audience.length === 0) return <p class="muted">No one was notified.</p>;
  return (
    <DescriptionList
      items={audience.map(({ userId, name, notifications, firstAt, lastAt }) => {
        const ack = acknowledgements.find((each) => each.userId === userId);
        return {
          label: userId === me.value?.id ? `${name} (you)`.trim() : name || userId.slice(-12),
          value:
            ack === undefined ? (
              <StatusDot tone="plain">not acknowledged</StatusDot>
            ) : (
              <StatusDot tone="ok">
                acknowledged <Time at={ack.at} />
              </StatusDot>
            ),
          hint: (
            <>
              notified <Time at={firstAt} />
              {notifications > 1 && (
                <>
                  , {notifications} times, last <Time at={lastAt} />
                </>
              )}
            </>
          ),
        };
      })}
    />
  );
}

function Details({ incident }: Props) {
  const { projectId, groupLabels, notifiedAt, ackQuorum } = incident;
  const project = useProjects().find(({ id }) => id === projectId);
  const isGrouped = Object.keys(groupLabels).length > 0;
  return (
    <DescriptionList
      items={[
        { label: "Project", value: <UserText>{project?.name ?? projectId}</UserText> },
        {
          label: "Grouped by",
          value: isGrouped ? <LabelLinks labels={groupLabels} project={project?.slug ?? projectId} /> : "nothing",
        },
        { label: "First notification", value: <Time at={notifiedAt} mode="full" empty="none" /> },
        ...(ackQuorum > 1 ? [{ label: "Acknowledgements needed", value: ackQuorum }] : []),
      ]}
    />
  );
}
