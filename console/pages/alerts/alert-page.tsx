import { BellOff } from "lucide";
import type { Alert, AlertDetails } from "../../../src/client/api-types.gen.ts";
import type { Page as PageOf } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useHotkeys } from "../../app/hotkeys.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { matchersOf, matcherText } from "../../app/matchers.ts";
import { canInProject } from "../../app/memberships.ts";
import { navigate } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { useProjects } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import {
  Badge,
  Banner,
  Button,
  Card,
  CopyButton,
  DataTable,
  DescriptionList,
  Duration,
  Link,
  Num,
  Page,
  Time,
  UserText,
} from "../../ui/index.ts";
import { safeLink } from "../inbox/notification-types.ts";
import { useAlertingChanges } from "../incidents/changes.ts";
import { Annotation } from "../incidents/incident-alerts.tsx";
import { stateOf as incidentState } from "../incidents/incident-types.ts";
import { LabelLinks } from "../incidents/label-links.tsx";
import { isResolvable, nameOf, resolveAlert, SOURCES, silencePath, stateOf } from "./alert-types.ts";
import { QuietText } from "./quiet.tsx";

/** `/alerts/:id`: what fires since when, who is notified of it, and when it fired before. */
export function AlertPage({ params }: PageProps) {
  const query = useGet<AlertDetails>(`/alerts/${encodeURIComponent(params["id"] ?? "")}`);
  useAlertingChanges(query.reload, query.data?.projectId);
  return (
    <LoadedPage title="Alert" query={query}>
      {(alert) => <AlertView alert={alert} />}
    </LoadedPage>
  );
}

interface Props {
  readonly alert: AlertDetails;
}

function AlertView({ alert }: Props) {
  const { projectId, annotations, labels, withheld, state } = alert;
  const project = useProjects().find(({ id }) => id === projectId)?.slug ?? projectId;
  const isEnded = state === "resolved";
  const maySilence = !isEnded && canInProject("silences:write") === true;
  const mayResolve = isResolvable(alert) && canInProject("incidents:act") === true;
  const silence = () => navigate(silencePath(alert, project));
  useHotkeys({
    s: () => maySilence && silence(),
    e: () => mayResolve && resolveAlert(alert),
  });
  const { summary, description, ...others } = annotations;
  return (
    <Page
      title={nameOf(alert)}
      subtitle={<Subtitle alert={alert} />}
      breadcrumb={[{ label: "Alerts", href: href(`/alerts?project=${project}`) }]}
      badge={<Badge tone={stateOf(alert).tone}>{stateOf(alert).text}</Badge>}
      actions={
        <>
          {mayResolve && (
            <Button keys="e" onClick={() => resolveAlert(alert)}>
              Resolve
            </Button>
          )}
          {maySilence && (
            <Button icon={BellOff} keys="s" onClick={silence}>
              Silence
            </Button>
          )}
        </>
      }
    >
      <div class="stack">
        {withheld !== null && (
          <Banner tone="info" title="No one is notified of it now">
            It is <QuietText withheld={withheld} />.
          </Banner>
        )}
        <div class="two">
          <div class="stack">
            <Card title="Labels">
              <div class="stack s2">
                <LabelLinks labels={labels} project={project} />
                {description && <UserText lines={8}>{description}</UserText>}
                {Object.entries(others).map(([name, value]) => (
                  <Annotation key={name} name={name} value={value} />
                ))}
              </div>
            </Card>
            <History alert={alert} />
          </div>
          <div class="stack">
            <Incidents alert={alert} />
            <Card title="Details">
              <Details alert={alert} />
            </Card>
          </div>
        </div>
      </div>
    </Page>
  );
}

function Subtitle({ alert: { state, startsAt, resolvedAt, timedOut, incidents } }: Props) {
  const [incident] = incidents.filter((each) => each.state !== "resolved");
  if (state === "resolved")
    return (
      <>
        It fired from <Time at={startsAt} mode="full" /> to <Time at={resolvedAt} mode="full" />
        {timedOut && ", when its source stopped reporting it"}.
      </>
    );
  return (
    <>
      {state === "pending" ? "Its condition has been true since " : "It has been firing since "}
      <Time at={startsAt} mode="full" />.{incident && ` Incident #${incident.number} is ${incident.state}.`}
    </>
  );
}

function Incidents({ alert: { incidents } }: Props) {
  return (
    <Card title="Incidents">
      {incidents.length === 0 ? (
        <p class="muted">It belongs to none.</p>
      ) : (
        <div class="stack s2">
          {incidents.map(({ id, number, title, state, resolvedBy }) => {
            const { text, tone } = incidentState({ state, resolvedBy, isSnoozed: false, urgency: "high" });
            return (
              <div class="spread" key={id}>
                <Link href={href(`/incidents/${id}`)}>
                  <UserText lines={1}>{`#${number} ${title}`}</UserText>
                </Link>
                <Badge tone={tone}>{text}</Badge>
              </div>
            );
          })}
        </div>
      )}
    </Card>
  );
}

function Details({ alert }: Props) {
  const { source, severity, count, lastAt, endsAt, fingerprint, key, generatorUrl, state } = alert;
  const link = safeLink(generatorUrl);
  return (
    <DescriptionList
      items={[
        { label: "Source", value: SOURCES[source] ?? source },
        ...(link === null
          ? []
          : [
              {
                label: "Cause",
                value: (
                  <Link href={link} external>
                    {new URL(link).host}
                  </Link>
                ),
              },
            ]),
        { label: "Severity", value: <UserText>{severity ?? "none"}</UserText> },
        {
          label: "Reported",
          value: <Num n={count} />,
          hint: (
            <>
              last <Time at={lastAt} />
            </>
          ),
        },
        ...(state === "firing"
          ? [{ label: "Times out", value: <Time at={endsAt} mode="full" empty="never; its source resolves it" /> }]
          : []),
        { label: "Key", value: <UserText mono>{key}</UserText> },
        {
          label: "Fingerprint",
          value: (
            <span class="inline mono">
              {fingerprint}
              <CopyButton text={fingerprint} label="Copy fingerprint" quiet />
            </span>
          ),
        },
      ]}
    />
  );
}

/** Longest filter of the API. */
const MAX_MATCHER = 4096;
const SHOWN = 50;

/** Earlier alerts with the same labels. */
function History({ alert }: Props) {
  const { projectId, labels, fingerprint, id } = alert;
  const matcher = matchersOf(labels).map(matcherText).join(",");
  const path = matcher.length > MAX_MATCHER || matcher === "" ? null : "/alerts";
  const query = useGet<PageOf<Alert>>(path, { projectId, state: "resolved", matcher, limit: SHOWN });
  const earlier = query.data?.data.filter((each) => each.fingerprint === fingerprint && each.id !== id);
  return (
    <Card title="Before" sub="Alerts with the same labels, the latest first." flush>
      <DataTable<Alert>
        label="Earlier alerts"
        list={query}
        rows={path === null ? [] : earlier}
        rowHref={(each) => href(`/alerts/${each.id}`)}
        columns={[
          { label: "Began", cell: ({ startsAt }) => <Time at={startsAt} mode="full" /> },
          {
            label: "Lasted",
            cell: ({ startsAt, resolvedAt }) =>
              resolvedAt === null ? "" : <Duration ms={Date.parse(resolvedAt) - Date.parse(startsAt)} />,
            align: "end",
          },
        ]}
        bare
        empty={<p class="muted small card-body">No earlier occurrence is stored.</p>}
      />
    </Card>
  );
}
