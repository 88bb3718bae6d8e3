import { Pause, Play } from "lucide";
import type { Heartbeat, HeartbeatFlip } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { ManagedBadge } from "../../app/managed.tsx";
import { navigate, useQueryState } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { invalidate, useGet, useList } from "../../app/query.ts";
import { Facts } from "../../forms/facts.tsx";
import {
  Badge,
  Banner,
  Button,
  Card,
  confirm,
  formatRelative,
  Menu,
  Page,
  plural,
  Tabs,
  toast,
} from "../../ui/index.ts";
import { Badges } from "./badges.tsx";
import { Plan } from "./heartbeat-rows.tsx";
import { STATUS, titleOf } from "./heartbeat-types.ts";
import { Flips, Pings } from "./history.tsx";
import { HowTo } from "./how-to.tsx";
import { useHeartbeatsLive } from "./live.ts";
import { Settings } from "./settings.tsx";
import { UptimeCard } from "./uptime-card.tsx";

export default function HeartbeatPage({ params }: PageProps) {
  const query = useGet<Heartbeat>(`/heartbeats/${params["id"]}`);
  useHeartbeatsLive();
  return (
    <LoadedPage title="Heartbeat" query={query} managedAs="heartbeats">
      {(heartbeat) => <HeartbeatView heartbeat={heartbeat} />}
    </LoadedPage>
  );
}

function HeartbeatView({ heartbeat }: { readonly heartbeat: Heartbeat }) {
  const [tab] = useQueryState("tab", "overview");
  const { id, status, pingUrl } = heartbeat;
  const isWriter = pingUrl !== null;
  const tabs = [
    { value: "overview", label: "Overview", href: href(`/heartbeats/${id}`) },
    { value: "settings", label: "Settings", href: href(`/heartbeats/${id}?tab=settings`) },
  ];
  return (
    <Page
      title={titleOf(heartbeat)}
      subtitle={subtitleOf(heartbeat)}
      breadcrumb={[{ label: "Heartbeats", href: href("/heartbeats") }]}
      badge={
        <>
          <Badge {...STATUS[status]} />
          <ManagedBadge kind="heartbeats" id={id} />
        </>
      }
      tabs={isWriter ? <Tabs label="Heartbeat" value={tab} tabs={tabs} /> : undefined}
      actions={isWriter ? <Actions heartbeat={heartbeat} /> : undefined}
    >
      {tab === "settings" && isWriter ? <Settings heartbeat={heartbeat} /> : <Overview heartbeat={heartbeat} />}
    </Page>
  );
}

function subtitleOf({ status, lastPingAt, nextPingAt, dueAt, isStarted }: Heartbeat): string {
  switch (status) {
    case "new":
      return "It waits for its first ping.";
    case "paused":
      return "It is paused: nothing is expected.";
    case "down":
      return `It is down; the last ping came ${lastPingAt === null ? "never" : formatRelative(lastPingAt)}.`;
    case "grace":
      return `The ping is late${dueAt === null ? "" : `; it goes down ${formatRelative(dueAt)}`}.`;
    default:
      if (isStarted) return "A run has started.";
      return nextPingAt === null ? "It is up." : `It is up; the next ping is due ${formatRelative(nextPingAt)}.`;
  }
}

function Overview({ heartbeat }: { readonly heartbeat: Heartbeat }) {
  const { id, status, pingUrl, fedBy } = heartbeat;
  const changes = useList<HeartbeatFlip>(`/heartbeats/${id}/flips`, { limit: 100 });
  return (
    <div class="stack">
      {status === "new" && fedBy !== null && (
        <Banner tone="info" title="Waiting for the alert">
          The heartbeat is watched from the first report of an alert that matches {fedBy}, or from its first ping on.
        </Banner>
      )}
      {status === "new" && fedBy === null && pingUrl !== null && (
        <Banner tone="info" title="Call the ping URL">
          The heartbeat is watched from its first ping on. Copy a line below into the job; this page shows the ping when
          it arrives.
        </Banner>
      )}
      <div class="two">
        <div class="stack">
          {status === "new" && pingUrl !== null && <HowTo heartbeat={heartbeat} pingUrl={pingUrl} />}
          <Pings id={id} />
          {status !== "new" && pingUrl !== null && <HowTo heartbeat={heartbeat} pingUrl={pingUrl} />}
        </div>
        <div class="stack">
          <State heartbeat={heartbeat} />
          <UptimeCard changes={changes} />
          <Flips list={changes} />
          <Badges heartbeat={heartbeat} />
        </div>
      </div>
    </div>
  );
}

function State({ heartbeat }: { readonly heartbeat: Heartbeat }) {
  return (
    <Card title="State" sub={heartbeat.description || undefined}>
      <Facts
        of={heartbeat}
        show={[
          { label: "Expected", value: <Plan heartbeat={heartbeat} /> },
          { name: "graceMs", label: "Grace time" },
          { name: "fedBy", mono: true },
          { name: "lastPingAt", empty: "never" },
          { name: "nextPingAt", label: "Next due" },
          { name: "dueAt", label: "Goes down" },
          { name: "lastDurationMs", label: "Last run took" },
          { name: "pingCount", label: "Pings" },
          "tags",
        ]}
      />
    </Card>
  );
}

function Actions({ heartbeat }: { readonly heartbeat: Heartbeat }) {
  const { id, status, pingCount } = heartbeat;
  const path = `/heartbeats/${id}`;
  const name = titleOf(heartbeat);
  const act = async (action: "pause" | "resume") => {
    await api.post(`${path}/${action}`);
    invalidate("/heartbeats");
    toast.ok(action === "pause" ? `${name} is paused.` : `${name} is watched from its next ping on.`);
  };
  const rotate = async () => {
    const text = "Jobs that call the current URL are not recorded until they have the new one.";
    if (!(await confirm({ title: "Replace the ping URL?", text, action: "Replace", danger: true }))) return;
    await api.post(`${path}/rotate`);
    invalidate("/heartbeats");
  };
  const remove = async () => {
    const text = `Its ping URL stops working; ${plural(pingCount, "ping")} and its changes are deleted. An open alert is resolved.`;
    await confirmDelete(path, { title: `Delete ${name}?`, text }, () => navigate("/heartbeats"));
  };
  // The button stands where Resume was: the second click of a double click is not meant for it.
  const pause = ({ detail }: MouseEvent) => (detail > 1 ? undefined : act("pause"));
  return (
    <span class="inline">
      {status === "paused" ? (
        <Button variant="primary" icon={Play} onClick={() => act("resume")}>
          Resume
        </Button>
      ) : (
        <Button icon={Pause} onClick={pause}>
          Pause
        </Button>
      )}
      <Menu
        label={`More for ${name}`}
        items={[
          { label: "Replace the ping URL", onSelect: rotate },
          "separator",
          { label: "Delete", onSelect: remove, danger: true },
        ]}
      />
    </span>
  );
}
