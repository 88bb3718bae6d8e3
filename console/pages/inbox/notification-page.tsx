import { Check } from "lucide";
import { useEffect } from "preact/hooks";
import type { Notification, NotificationDetail } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useHotkeys } from "../../app/hotkeys.ts";
import { useStream } from "../../app/live.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { canInProject } from "../../app/memberships.ts";
import { MirrorBadge, MirrorNotice } from "../../app/mirror.tsx";
import { navigate, useQueryState } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { useProjectsQuery } from "../../app/projects.ts";
import { invalidate, refresh, useGet } from "../../app/query.ts";
import { me } from "../../app/session.ts";
import {
  Badge,
  Button,
  Card,
  Code,
  CodeInline,
  CopyButton,
  DescriptionList,
  Link,
  Menu,
  Page,
  StatusDot,
  Time,
  UserText,
} from "../../ui/index.ts";
import { Story } from "../explain/story.tsx";
import { channelName, deliveryWords } from "../explain/words.ts";
import { useAlertingChanges } from "../incidents/changes.ts";
import { acknowledge, askNote, remove } from "./inbox-actions.ts";
import { IncidentState, incidentIdOf, isTaken, useIncidents, useIncidentsQuery } from "./incident-state.tsx";
import { kindName, safeLink, stateOf, textOf } from "./notification-types.ts";

/** `/inbox/:id`: a notification, who has seen it, and why it was sent. */
export default function NotificationPage({ params }: PageProps) {
  const id = params["id"] ?? "";
  const path = `/notifications/${encodeURIComponent(id)}`;
  const query = useGet<NotificationDetail>(path);
  const notification = query.data;
  const isMine = notification !== undefined && notification.userId === me.value?.id;
  const change = (next: Notification) => query.change((known) => (known ? { ...known, ...next } : known));
  useMarkRead(isMine ? notification : undefined, (read, readAt) =>
    query.change((known) => (known ? { ...known, read, me: { ...known.me, readAt } } : known)),
  );
  const reload = () => {
    query.reload();
    invalidate("/explain/");
  };
  useAlertingChanges(() => refresh("/incidents"), notification?.projectId ?? undefined);
  useStream("user:me", ({ data }) => (data as { id?: string }).id === id && reload(), reload);
  const isOfIncident = notification !== undefined && incidentIdOf(notification) !== null;
  const incidentOf = useIncidents(isOfIncident);
  const isOpen = isMine && notification.me.acknowledgedAt === null && !isTaken(incidentOf(notification));
  useHotkeys({
    a: () => isOpen && acknowledge(notification, change),
    e: () => document.getElementById("story")?.scrollIntoView({ block: "start" }),
  });
  return (
    <LoadedPage title="Notification" query={query} besides={[useIncidentsQuery(isOfIncident), useProjectsQuery()]}>
      {(each) => (
        <Page
          title={each.title}
          subtitle={<Subtitle notification={each} isMine={isMine} />}
          breadcrumb={[{ label: "Inbox", href: href("/inbox") }]}
          badge={
            <span class="inline">
              <IncidentState notification={each} />
              {isMine && <Badge {...stateOf(each)} />}
              <MirrorBadge projectId={each.projectId} />
            </span>
          }
          actions={
            <>
              <IncidentButton notification={each} />
              {isMine && <Actions notification={each} isOpen={isOpen} change={change} />}
            </>
          }
        >
          <MirrorNotice projectId={each.projectId} />
          <Body notification={each} isMine={isMine} />
        </Page>
      )}
    </LoadedPage>
  );
}

function IncidentButton({ notification }: { readonly notification: NotificationDetail }) {
  const id = incidentIdOf(notification);
  return id === null ? null : <Button href={href(`/incidents/${id}`)}>Show the incident</Button>;
}

/** Looking at a notification reads it. */
function useMarkRead(
  notification: NotificationDetail | undefined,
  change: (read: boolean, readAt: string | null) => void,
): void {
  const isUnread = notification !== undefined && !notification.read;
  useEffect(() => {
    if (!isUnread || document.hidden) return;
    api
      .patch<Notification>(`/notifications/${notification.id}/read`)
      // Its other members may be older than an acknowledgement that was sent meanwhile.
      .then(({ read, me: { readAt } }) => change(read, readAt))
      // It stays unread, as the list shows.
      .catch(() => undefined);
  }, [isUnread, notification?.id]);
}

interface Props {
  readonly notification: NotificationDetail;
  readonly isMine: boolean;
}

function Subtitle({ notification: { createdAt, recipients, acknowledgedBy, kind }, isMine }: Props) {
  const others = recipients.length - (isMine ? 1 : 0);
  const acknowledgements = acknowledgedBy.length;
  return (
    <>
      {kindName(kind)} notification, sent <Time at={createdAt} />
      {others > 0 && ` to ${isMine ? "you and " : ""}${others} ${others === 1 ? "other person" : "other people"}`}
      {recipients.length > 1 && `, acknowledged by ${acknowledgements} of ${recipients.length}`}.
    </>
  );
}

interface ActionProps {
  readonly notification: NotificationDetail;
  /** Whether there is something to acknowledge. */
  readonly isOpen: boolean;
  readonly change: (next: Notification) => void;
}

function Actions({ notification, isOpen, change }: ActionProps) {
  const withNote = async () => {
    const note = await askNote(notification);
    if (note !== undefined) await acknowledge(notification, change, note);
  };
  return (
    <>
      {notification.me.acknowledgedAt !== null && <Button onClick={withNote}>Change the note</Button>}
      {isOpen && (
        <Button variant="primary" icon={Check} keys="a" onClick={() => acknowledge(notification, change)}>
          Acknowledge
        </Button>
      )}
      <Menu
        label="More actions"
        items={[
          ...(isOpen ? [{ label: "Acknowledge with a note…", onSelect: withNote }, "separator" as const] : []),
          ...(notification.eventId !== null && canInProject("events:read")
            ? [{ label: "Show the event", href: href(`/events/${notification.eventId}`) }]
            : []),
          ...(notification.ruleId !== null && canInProject("rules:read") ? [causeOf(notification)] : []),
          {
            label: "Delete…",
            danger: true,
            onSelect: async () => {
              if (await remove(notification)) navigate("/inbox");
            },
          },
        ]}
      />
    </>
  );
}

function Body({ notification, isMine }: Props) {
  const { id, action, data, deliveries } = notification;
  const [user, setUser] = useQueryState("user");
  return (
    <div class="story-page">
      <div class="stack">
        <Card title="Message">
          <p class="inbox-body">
            <UserText>{textOf(notification)}</UserText>
          </p>
          {action && incidentIdOf(notification) === null && <ActionLink notification={notification} />}
        </Card>
        {data && Object.keys(data).length > 0 && (
          <Card title="Data">
            <Code value={data} label="data" />
          </Card>
        )}
        {isMine && deliveries.length > 0 && (
          <Card title="Sent to you by">
            <DescriptionList
              items={deliveries.map((delivery) => ({
                label: channelName(delivery.channel),
                value: <DeliveryState delivery={delivery} />,
              }))}
            />
          </Card>
        )}
      </div>
      <Card title="Why was it sent?" sub="Step by step, and the answer at the end." id="story">
        <Story subject={{ kind: "notification", id }} user={user} onUser={setUser} />
      </Card>
      <Card title="Details">
        <Details notification={notification} isMine={isMine} />
      </Card>
    </div>
  );
}

/** Browsers open http and https only; links of apps are shown to be copied. */
function ActionLink({ notification: { id, action } }: { readonly notification: NotificationDetail }) {
  const url = action?.url;
  if (!url) return null;
  const link = safeLink(url);
  if (link === null)
    return (
      <p class="inline">
        <CodeInline>{url}</CodeInline>
        <CopyButton text={url} label="Copy link" quiet />
      </p>
    );
  // The others see in the story that it was opened.
  const record = () =>
    void api.post(`/notifications/${id}/webview-action`, { action: "open", url: link }).catch(() => undefined);
  return (
    <p class="inbox-action" onClick={record}>
      <Link href={link} external title={link}>
        {action?.label || link}
      </Link>
      <span class="muted small" dir="auto">
        {new URL(link).host}
      </span>
    </p>
  );
}

function DeliveryState({ delivery }: { readonly delivery: NotificationDetail["deliveries"][number] }) {
  const { tone, state, why } = deliveryWords(delivery);
  return (
    <>
      <StatusDot tone={tone}>{state}</StatusDot> <Time at={delivery.deliveredAt ?? delivery.updatedAt} />
      {why !== null && (
        <div class="muted small">
          <UserText lines={3}>{why}</UserText>
        </div>
      )}
    </>
  );
}

function Details({ notification, isMine }: Props) {
  const { id, createdAt, priority, aggregateCount, me: own, correlationId } = notification;
  return (
    <DescriptionList
      items={[
        { label: "Sent", value: <Time at={createdAt} mode="full" /> },
        ...(isMine
          ? [
              { label: "You read it", value: <Time at={own.readAt} mode="full" empty="not yet" /> },
              { label: "You acknowledged it", value: <Time at={own.acknowledgedAt} mode="full" empty="not yet" /> },
            ]
          : []),
        ...(own.acknowledgeNote && isMine
          ? [{ label: "Your note", value: <UserText>{own.acknowledgeNote}</UserText> }]
          : []),
        { label: "Priority", value: priority },
        ...(aggregateCount > 1 ? [{ label: "Events", value: aggregateCount }] : []),
        {
          label: "Ids",
          value: (
            <span class="inline">
              <CopyButton text={id} label="Copy notification id" />
              <CopyButton text={correlationId} label="Copy correlation id" />
            </span>
          ),
        },
      ]}
    />
  );
}

/** The rule, or the receiver that notified by itself. */
function causeOf({ ruleId, data }: Pick<Notification, "ruleId" | "data">) {
  const receiver = data?.["receiver"] as { readonly id?: string } | undefined;
  return receiver?.id === ruleId
    ? { label: "Show the receiver", href: href(`/connect/receivers/${ruleId}`) }
    : { label: "Show the rule", href: href(`/rules/${ruleId}`) };
}
