import { href } from "../../app/base.ts";
import { useHotkeys } from "../../app/hotkeys.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { MirrorBadge, MirrorNotice } from "../../app/mirror.tsx";
import type { PageProps } from "../../app/page-module.ts";
import { useGet } from "../../app/query.ts";
import { Badge, Card, Page, Time, Timeline } from "../../ui/index.ts";
import { useAlertingChanges, usePagesUnderWay } from "./changes.ts";
import { Before, EarlierCard, useEarlier } from "./earlier.tsx";
import { acknowledge, askSnooze, resolve, silence } from "./incident-actions.tsx";
import { Actions, BarActions, mayAcknowledge } from "./incident-actions-bar.tsx";
import { Alerts, Message } from "./incident-alerts.tsx";
import { State, Subtitle } from "./incident-head.tsx";
import { Details, People } from "./incident-people.tsx";
import type { IncidentDetail } from "./incident-types.ts";
import { NextCall, useAhead } from "./next-call.tsx";
import { NextSteps } from "./next-steps.tsx";
import { NoteField } from "./note-field.tsx";
import { IncidentPicture } from "./picture/picture.tsx";
import { AlertLinks } from "./runbooks.tsx";
import { SeverityBadge } from "./severity.tsx";
import { namesOf, sentenceOf } from "./timeline-words.tsx";

/** `/incidents/:id`: what happens, who has it, who was notified and why, and what follows. */
export function IncidentPage({ params }: PageProps) {
  const query = useGet<IncidentDetail>(`/incidents/${encodeURIComponent(params["id"] ?? "")}`);
  useAlertingChanges(query.reload, query.data?.projectId);
  usePagesUnderWay(query.data, query.reload);
  return (
    <LoadedPage title="Incident" query={query}>
      {(incident) => <IncidentView incident={incident} />}
    </LoadedPage>
  );
}

function IncidentView({ incident }: { readonly incident: IncidentDetail }) {
  const { number, title, urgency, state, mayAct } = incident;
  const earlier = useEarlier(incident);
  const ahead = useAhead(incident);
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
      actions={<Actions incident={incident} />}
    >
      <MirrorNotice projectId={incident.projectId} />
      <section class="incident-brief" aria-label="At a glance">
        {state !== "resolved" && <NextCall incident={incident} ahead={ahead} />}
        {incident.direct === null && <Before earlier={earlier} />}
        <AlertLinks alerts={incident.alertList} areButtons />
      </section>
      <IncidentPicture incident={incident} />
      <div class="two incident-body">
        <div class="stack">
          {incident.direct === null ? <Alerts incident={incident} /> : <Message incident={incident} />}
          <History incident={incident} />
        </div>
        <div class="stack">
          {state !== "resolved" && (
            <Card title="What happens next">
              <NextSteps incident={incident} ahead={ahead} />
            </Card>
          )}
          <Card title="People">
            <People incident={incident} />
          </Card>
          {incident.direct === null && <EarlierCard earlier={earlier} />}
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

function History({ incident }: Props) {
  const names = namesOf(incident);
  const items = incident.timeline.toReversed().map((entry) => ({
    key: String(entry.seq),
    ...sentenceOf(entry, names),
    time: <Time at={entry.at} mode="clock" />,
  }));
  return (
    <Card title="Timeline" sub="The latest first.">
      <div class="stack">
        <Timeline label="Timeline" items={items} />
        {incident.mayAct && <NoteField incident={incident} />}
      </div>
    </Card>
  );
}
