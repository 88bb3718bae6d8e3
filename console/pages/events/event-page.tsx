import { RotateCcw, SlidersVertical } from "lucide";
import type { EventDetail } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useHotkeys } from "../../app/hotkeys.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { useQueryState } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { useProjects, useProjectsQuery } from "../../app/projects.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Badge,
  Button,
  Card,
  Code,
  CodeInline,
  CopyButton,
  confirm,
  DescriptionList,
  Menu,
  Page,
  plural,
  Time,
  toast,
  UserText,
} from "../../ui/index.ts";
import { openStory } from "../explain/index.ts";
import { Story } from "../explain/story.tsx";
import { summaryOf } from "./event-types.ts";
import { LevelText } from "./outcome-badge.tsx";

/** `/events/:id`: the event, its payload, and what happened to it. */
export default function EventPage({ params }: PageProps) {
  const id = params["id"] ?? "";
  const query = useGet<EventDetail>(`/events/${encodeURIComponent(id)}`);
  useHotkeys({ e: () => openStory("event", id) });
  return (
    <LoadedPage title="Event" query={query} besides={[useProjectsQuery()]}>
      {(event) => (
        <Page
          title={event.type}
          subtitle={subtitleOf(event)}
          breadcrumb={[{ label: "Events", href: href("/events") }]}
          actions={<Actions event={event} onReload={query.reload} />}
          badge={event.failure ? <Badge tone="bad">not evaluated</Badge> : undefined}
        >
          <EventBody event={event} />
        </Page>
      )}
    </LoadedPage>
  );
}

function subtitleOf(event: EventDetail) {
  const { receivedAt, source, notifications, processedAt } = event;
  const count = notifications.length;
  const result =
    processedAt === null
      ? "waits for its rules"
      : count === 0
        ? "no user was notified"
        : `it caused ${plural(count, "notification")}`;
  return (
    <>
      Received <Time at={receivedAt} />
      {source !== null && ` from ${source}`}, {result}.
    </>
  );
}

interface ActionProps {
  readonly event: EventDetail;
  readonly onReload: () => void;
}

function Actions({ event, onReload }: ActionProps) {
  const { id } = event;
  const reprocess = async () => {
    const isSure = await confirm({
      title: "Evaluate this event again?",
      text: "A job evaluates all active rules. Rules that notified users because of this event are skipped.",
      action: "Evaluate again",
    });
    if (!isSure) return;
    await api.post(`/events/${id}/reprocess`);
    toast.ok("The event is evaluated again.");
    onReload();
  };
  return (
    <>
      {can("rules:write") && (
        <Button variant="primary" icon={SlidersVertical} href={href(`/rules/new?from=${id}`)}>
          Create a rule from this
        </Button>
      )}
      <Menu
        label="More actions"
        items={[
          { label: "Events of this type", href: href(`/events?type=${encodeURIComponent(event.type)}`) },
          {
            label: "Events of this source",
            href: href(`/events?source=${encodeURIComponent(event.source ?? "")}`),
            disabled: event.source === null,
          },
          ...(can("jobs:manage") ? [{ label: "Evaluate again…", icon: RotateCcw, onSelect: reprocess }] : []),
        ]}
      />
    </>
  );
}

function EventBody({ event }: { readonly event: EventDetail }) {
  const [user, setUser] = useQueryState("user");
  return (
    <div class="story-page">
      <Card title="Payload">
        <Code value={event.payload} label="payload" depth={3} maxHeight={560} />
      </Card>
      <Card title="What happened" sub="Every rule with the values it read, and every person with the reason.">
        <Story subject={{ kind: "event", id: event.id }} user={user} onUser={setUser} />
      </Card>
      <Card title="Details">
        <Details event={event} />
      </Card>
    </div>
  );
}

function Details({ event }: { readonly event: EventDetail }) {
  const projects = useProjects();
  const { id, type, level, source, projectId, dedupeKey, occurredAt, receivedAt, processedAt, correlationId } = event;
  const project = projects.find((each) => each.id === projectId)?.name;
  const summary = summaryOf(event);
  return (
    <DescriptionList
      items={[
        ...(summary === "" ? [] : [{ label: "Summary", value: <UserText lines={4}>{summary}</UserText> }]),
        { label: "Type", value: <CodeInline>{type}</CodeInline> },
        { label: "Level", value: <LevelText level={level} /> },
        { label: "Source", value: source === null ? null : <UserText>{source}</UserText> },
        ...(project === undefined ? [] : [{ label: "Project", value: <UserText>{project}</UserText> }]),
        { label: "Happened", value: <Time at={occurredAt} mode="full" /> },
        { label: "Received", value: <Time at={receivedAt} mode="full" /> },
        { label: "Evaluated", value: <Time at={processedAt} mode="full" empty="not yet" /> },
        ...(dedupeKey === null ? [] : [{ label: "Dedupe key", value: <CodeInline>{dedupeKey}</CodeInline> }]),
        { label: "Id", value: <IdText id={id} /> },
        ...(correlationId === id ? [] : [{ label: "Correlation", value: <IdText id={correlationId} /> }]),
      ]}
    />
  );
}

function IdText({ id }: { readonly id: string }) {
  return (
    <span class="inline">
      <CodeInline>{id}</CodeInline>
      <CopyButton text={id} label="Copy" quiet />
    </span>
  );
}
