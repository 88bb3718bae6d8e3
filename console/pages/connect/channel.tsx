import { Trash2 } from "lucide";
import type { Channel, ChannelPreset } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { LockedForm, ManagedBadge, ManagedNotice } from "../../app/managed.tsx";
import { navigate } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { Banner, Button, Card, Menu, Page, plural, toast, UserText } from "../../ui/index.ts";
import { MessagesForm, ServiceForm } from "./channel-form.tsx";
import { ChannelTest } from "./channel-test.tsx";
import { ChannelBadge } from "./connect.tsx";

export default function ChannelPage({ params }: PageProps) {
  const query = useGet<Channel>(`/channels/${encodeURIComponent(params["id"] ?? "")}`);
  const presets = useGet<{ readonly presets: readonly ChannelPreset[] }>("/channels/presets");
  return (
    <LoadedPage title="Channel" query={query} besides={[presets]} managedAs="channels">
      {(channel) => (
        <ChannelView channel={channel} preset={presets.data?.presets.find(({ name }) => name === channel.preset)} />
      )}
    </LoadedPage>
  );
}

interface ViewProps {
  readonly channel: Channel;
  readonly preset: ChannelPreset | undefined;
}

function ChannelView({ channel, preset }: ViewProps) {
  const { id, name, projectId } = channel;
  const path = `/channels/${id}`;
  const switchTo = async (active: boolean) => {
    await api.patch(path, { active });
    invalidate("/channels");
    toast.ok(active ? "The channel is on." : "The channel is disabled: nothing is sent.");
  };
  const remove = async () => {
    const text = "Its pending messages are not sent. A channel that policies name cannot be deleted.";
    await confirmDelete(path, { title: `Delete ${name}?`, text }, () => navigate("/connect?kind=channels"));
  };
  const items = [
    channel.active
      ? { label: "Disable", onSelect: () => switchTo(false) }
      : { label: "Enable", onSelect: () => switchTo(true) },
    "separator" as const,
    { label: "Delete", icon: Trash2, danger: true, onSelect: remove },
  ];
  return (
    <Page
      title={name}
      subtitle={`${preset?.title ?? channel.preset}: ${projectId === null ? "your notifications" : "notifications of a project"}.`}
      breadcrumb={[{ label: "Connect", href: href("/connect?kind=channels") }]}
      badge={
        <>
          <ChannelBadge channel={channel} />
          <ManagedBadge kind="channels" id={id} />
        </>
      }
      actions={<Menu label={`More for ${name}`} items={items} />}
    >
      <div class="stack">
        <Health channel={channel} onEnable={() => switchTo(true)} />
        <ManagedNotice kind="channels" id={id} />
        <div class="two">
          {preset && (
            <LockedForm kind="channels" id={id}>
              <ServiceForm channel={channel} preset={preset} />
            </LockedForm>
          )}
          <div class="stack">
            <Card title="Test" sub="A dry run shows the request without secrets; nothing is sent.">
              <ChannelTest id={id} />
            </Card>
            <LockedForm kind="channels" id={id}>
              <MessagesForm channel={channel} />
            </LockedForm>
          </div>
        </div>
      </div>
    </Page>
  );
}

function Health({ channel, onEnable }: { readonly channel: Channel; readonly onEnable: () => Promise<void> }) {
  const { disabledAt, disabledReason, failures } = channel;
  if (disabledAt !== null) {
    return (
      <Banner
        tone="bad"
        title="Prism has disabled this channel"
        action={
          <Button small onClick={onEnable}>
            Enable again
          </Button>
        }
      >
        <UserText>{disabledReason ?? ""}</UserText>
      </Banner>
    );
  }
  if (failures === 0) return null;
  return <Banner tone="warn" title={`${plural(failures, "failure")} in a row`} />;
}
