import { Trash2 } from "lucide";
import { useState } from "preact/hooks";
import type { Channel, ChannelPreset } from "../../../src/client/api-types.gen.ts";
import { api, errorText, ifMatch } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { confirmDelete } from "../../app/confirm-delete.ts";
import { useEdits } from "../../app/edits.ts";
import { useFieldErrors } from "../../app/field-errors.ts";
import { LoadedPage } from "../../app/loaded-page.tsx";
import { navigate } from "../../app/navigate.ts";
import type { PageProps } from "../../app/page-module.ts";
import { invalidate, useGet } from "../../app/query.ts";
import { SubmitButton } from "../../app/submit-button.tsx";
import {
  Banner,
  Button,
  Card,
  Field,
  Form,
  Input,
  Menu,
  MultiCombobox,
  Page,
  plural,
  Switch,
  Textarea,
  toast,
  UserText,
} from "../../ui/index.ts";
import { ChannelFields, changedFields, type Values } from "./channel-fields.tsx";
import { ChannelTest } from "./channel-test.tsx";
import { ChannelBadge } from "./connect.tsx";
import { docsUrl } from "./connect-types.ts";

export default function ChannelPage({ params }: PageProps) {
  const query = useGet<Channel>(`/channels/${encodeURIComponent(params["id"] ?? "")}`);
  const presets = useGet<{ readonly presets: readonly ChannelPreset[] }>("/channels/presets");
  return (
    <LoadedPage title="Channel" query={query}>
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
      badge={<ChannelBadge channel={channel} />}
      actions={<Menu label={`More for ${name}`} items={items} />}
    >
      <div class="stack">
        <Health channel={channel} onEnable={() => switchTo(true)} />
        <div class="two">
          {preset && <Fields channel={channel} preset={preset} />}
          <div class="stack">
            <Card title="Test" sub="A dry run shows the request without secrets; nothing is sent.">
              <ChannelTest id={id} />
            </Card>
            <Content channel={channel} />
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

/** Which notifications are sent, and their texts. */
function Content({ channel }: { readonly channel: Channel }) {
  const { values, change } = useEdits({
    eventTypes: channel.eventTypes,
    sendResolved: channel.sendResolved,
    template: channel.template === null ? "" : JSON.stringify(channel.template, null, 2),
  });
  const { eventTypes, sendResolved, template } = values;
  const [problem, setProblem] = useState<string>();
  const save = async () => {
    setProblem(undefined);
    try {
      const own = template.trim() === "" ? null : JSON.parse(template);
      await api.patch(`/channels/${channel.id}`, { eventTypes, sendResolved, template: own }, ifMatch(channel));
    } catch (error) {
      setProblem(errorText(error));
      return;
    }
    invalidate("/channels");
    toast.ok("Saved.");
  };
  return (
    <Form onSubmit={save} label="Messages">
      <Card title="Messages">
        <div class="stack">
          <Field label="Event types" hint="Types or prefixes; * is all of them.">
            <MultiCombobox values={eventTypes} onChange={(eventTypes) => change({ eventTypes })} custom mono />
          </Field>
          <Switch
            label="Send the end of an alert as a new message"
            hint="Where its first message cannot be changed."
            checked={sendResolved}
            onChange={(sendResolved) => change({ sendResolved })}
          />
          <Field
            label="Own texts as JSON"
            hint='Such as {"title": "[prod] {{ n.title }}"}; an HTTP request has "request", too.'
            error={problem}
            optional
          >
            <Textarea value={template} onChange={(template) => change({ template })} rows={5} mono />
          </Field>
          <div>
            <Button type="submit">Save messages</Button>
          </div>
        </div>
      </Card>
    </Form>
  );
}

/** Secrets are not sent to the browser: their fields are empty. */
function shownFields({ fields }: Channel, preset: ChannelPreset): Values {
  return Object.fromEntries(preset.fields.map(({ key, secret }) => [key, secret ? "" : (fields[key] ?? "")]));
}

function Fields({ channel, preset }: { readonly channel: Channel; readonly preset: ChannelPreset }) {
  const named = useEdits({ name: channel.name });
  const { name } = named.values;
  const { values, change, saved } = useEdits<Values>(shownFields(channel, preset));
  const errors = useFieldErrors(
    preset.fields.map(({ key }) => key),
    { prefix: "fields." },
  );
  const save = async () => {
    const fields = changedFields(preset.fields, values, channel.fields);
    const answer = await errors.attempt(() =>
      api.patch<Channel>(`/channels/${channel.id}`, { name, fields }, ifMatch(channel)),
    );
    if (answer === undefined) return;
    saved(shownFields(answer, preset));
    invalidate("/channels");
    toast.ok("Saved.");
  };
  return (
    <Form onSubmit={save} label="Channel">
      <Card title="Channel" link={{ href: docsUrl(preset), text: "Manual" }}>
        <div class="stack">
          <Field label="Name" required>
            <Input value={name} onChange={(name) => named.change({ name })} maxLength={100} />
          </Field>
          <ChannelFields
            fields={preset.fields}
            values={values}
            onChange={change}
            errorOf={errors.of}
            stored={channel.fields}
          />
          <SubmitButton>Save</SubmitButton>
        </div>
      </Card>
    </Form>
  );
}
