import { useState } from "preact/hooks";
import type { Channel, ChannelPreset, ChannelTest } from "../../../../../src/client/api-types.gen.ts";
import { api, ifMatch } from "../../../../app/api.ts";
import { useFieldErrors } from "../../../../app/field-errors.ts";
import { invalidate, useGet } from "../../../../app/query.ts";
import { Button, Form, Link, Loaded } from "../../../../ui/index.ts";
import { ChannelFields, changedFields, type Values } from "../../../connect/channel-fields.tsx";
import { TestOutcome, testChannel } from "../../../connect/channel-test.tsx";
import { docsUrl, type PresetField } from "../../../connect/connect-types.ts";
import { SetupLines } from "../../../connect/setup-lines.tsx";
import { AppTopic } from "./app-topic.tsx";
import { Ring } from "./ring.tsx";
import { randomTopic, type Way } from "./ways.ts";

interface ChannelWayProps {
  readonly way: Way;
  readonly onRung: () => void;
}

/** A service that reaches the phone, as a channel of the signed-in person. */
export function ChannelWay({ way, onRung }: ChannelWayProps) {
  const presets = useGet<{ readonly presets: readonly ChannelPreset[] }>("/channels/presets");
  const own = useGet<{ readonly data: readonly Channel[] }>("/channels", { limit: 100 });
  return (
    <Loaded query={presets}>
      {(all) => (
        <Loaded query={own}>
          {({ data }) => {
            const preset = all.presets.find(({ name }) => name === way);
            const known = data.find((each) => each.preset === way && each.projectId === null);
            return preset && <ChannelForm way={way} preset={preset} known={known} onRung={onRung} />;
          }}
        </Loaded>
      )}
    </Loaded>
  );
}

interface FormProps extends ChannelWayProps {
  readonly preset: ChannelPreset;
  /** A channel of an earlier set-up. */
  readonly known: Channel | undefined;
}

function ChannelForm({ way, preset, known, onRung }: FormProps) {
  const { fields } = preset;
  const [channel, setChannel] = useState(known);
  const [values, setValues] = useState<Values>(() => firstValues(preset, known));
  const [result, setResult] = useState<ChannelTest>();
  const errors = useFieldErrors(
    fields.map(({ key }) => key),
    { prefix: "fields." },
  );
  const save = async () => {
    setResult(undefined);
    const stored = await errors.attempt(() => store(preset, channel, changedFields(fields, values, channel?.fields)));
    if (stored === undefined) return;
    setChannel(stored);
    invalidate("/channels");
    setResult(await testChannel(stored.id));
  };
  const shared = {
    values,
    onChange: setValues,
    of: { errorOf: errors.of, show: () => undefined },
    ...(channel && { stored: channel.fields }),
  };
  const topic = way === "ntfy" ? values["topic"]?.trim() : undefined;
  const server = values["url"] || fields.find(({ key }) => key === "url")?.default || "";
  return (
    <Form onSubmit={save} label={preset.title}>
      <SetupLines lines={preset.setup} />
      <ChannelFields {...shared} fields={fields.filter(isShown)} />
      <details>
        <summary>More fields</summary>
        <div class="stack setup-more">
          <ChannelFields {...shared} fields={fields.filter((field) => !isShown(field))} />
        </div>
      </details>
      {topic && <AppTopic server={server} topic={topic} />}
      <div class="setup-actions">
        <Button variant={result?.class === "ok" ? "default" : "primary"} type="submit">
          {result ? "Save and test again" : "Save and send a test"}
        </Button>
        <Link href={docsUrl(preset)} external>
          Manual
        </Link>
      </div>
      <div role="status">{result && <TestOutcome result={result} />}</div>
      {result?.class === "ok" && <Ring way={way} onYes={onRung} />}
    </Form>
  );
}

/** Required, or a field that names the phone or its server. */
const isShown = ({ key, required }: PresetField): boolean => required || ["url", "service"].includes(key);

function firstValues({ fields, name }: ChannelPreset, known: Channel | undefined): Values {
  if (known) {
    const isSecret = (key: string) => fields.some((field) => field.key === key && field.secret);
    return Object.fromEntries(Object.entries(known.fields).filter(([key]) => !isSecret(key)));
  }
  return name === "ntfy" ? { topic: randomTopic("prism-", 12) } : {};
}

type Fields = ReturnType<typeof changedFields>;

async function store({ name, title }: ChannelPreset, known: Channel | undefined, fields: Fields): Promise<Channel> {
  if (known === undefined) return api.post<Channel>("/channels", { name: title, preset: name, fields });
  if (Object.keys(fields).length === 0 && known.active) return known;
  return api.patch<Channel>(`/channels/${known.id}`, { fields, active: true }, ifMatch(known));
}
