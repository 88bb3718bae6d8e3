import type { Channel, ChannelPreset, UpdateChannel } from "../../../src/client/api-types.gen.ts";
import { useEdits } from "../../app/edits.ts";
import { channel as described } from "../../forms/channel.gen.ts";
import { type FieldOf, Fields, ResourceForm } from "../../forms/fields.tsx";
import { partOf, useResource } from "../../forms/use-resource.ts";
import { Card } from "../../ui/index.ts";
import { ChannelFields, changedFields, type Values } from "./channel-fields.tsx";
import { docsUrl } from "./connect-types.ts";

const MESSAGES: readonly FieldOf<UpdateChannel>[] = [
  { name: "eventTypes", mono: true },
  "sendResolved",
  { name: "template", label: "Own texts as JSON", placeholder: '{"title": "[prod] {{ n.title }}"}', rows: 5 },
];

/** Which notifications are sent, and their texts. */
export function MessagesForm({ channel }: { readonly channel: Channel }) {
  const form = useResource<UpdateChannel, Channel>(described, { stored: channel, isVersioned: true });
  return (
    <Card title="Messages">
      <ResourceForm of={form} label="Messages" action="Save messages">
        <Fields of={form} show={MESSAGES} />
      </ResourceForm>
    </Card>
  );
}

interface Props {
  readonly channel: Channel;
  readonly preset: ChannelPreset;
}

/** Secrets are not sent to the browser: their fields are empty. */
function shownFields({ fields }: Channel, preset: ChannelPreset): Values {
  return Object.fromEntries(preset.fields.map(({ key, secret }) => [key, secret ? "" : (fields[key] ?? "")]));
}

/** Its name and the values of its service. */
export function ServiceForm({ channel, preset }: Props) {
  const { values, change, saved } = useEdits<Values>(shownFields(channel, preset));
  const fields = changedFields(preset.fields, values, channel.fields);
  const form = useResource<UpdateChannel, Channel>(described, {
    ...{ stored: channel, isVersioned: true },
    given: Object.keys(fields).length > 0 ? { fields } : {},
  });
  const send = async () => {
    const answer = await form.send();
    if (answer) saved(shownFields(answer, preset));
    return answer;
  };
  return (
    <Card title="Channel" link={{ href: docsUrl(preset), text: "Manual" }}>
      <ResourceForm of={{ ...form, send }} label="Channel">
        <Fields of={form} show={["name"]} />
        <ChannelFields
          fields={preset.fields}
          values={values}
          onChange={change}
          of={partOf(form, "fields")}
          stored={channel.fields}
        />
      </ResourceForm>
    </Card>
  );
}
