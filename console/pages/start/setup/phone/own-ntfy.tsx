import { useState } from "preact/hooks";
import type { CreateNtfyTopic, NtfyTopic } from "../../../../../src/client/api-types.gen.ts";
import { useGet } from "../../../../app/query.ts";
import { useRefresh } from "../../../../app/refresh.ts";
import { me } from "../../../../app/session.ts";
import { Fields } from "../../../../forms/fields.tsx";
import { ntfyTopic } from "../../../../forms/ntfy-topic.gen.ts";
import { useResource } from "../../../../forms/use-resource.ts";
import { Button, CodeBlock, Form, Loaded } from "../../../../ui/index.ts";
import { hasNtfyAddress, type SettingOf } from "./ntfy-address.ts";
import { Subscribe } from "./subscribe.tsx";
import { randomTopic } from "./ways.ts";

const ASK_EVERY_MS = 2000;

/** The inbox topic of the signed-in person, requested again while it is shown. */
export function useInboxTopic() {
  const query = useGet<{ readonly data: readonly NtfyTopic[] }>("/ntfy/topics", { limit: 100 });
  useRefresh(query.reload, ASK_EVERY_MS, ASK_EVERY_MS);
  const topic = query.data?.data.find(({ kind, userId }) => kind === "inbox" && userId === me.value?.id);
  return { ...query, topic };
}

interface OwnNtfyProps {
  readonly setting: SettingOf;
  readonly onRung: () => void;
}

/** Prism's own API of ntfy: the app subscribes to the person's notifications. */
export function OwnNtfy({ setting, onRung }: OwnNtfyProps) {
  const { topic, ...query } = useInboxTopic();
  if (!hasNtfyAddress(setting)) return <NoPort />;
  return (
    <Loaded query={query}>
      {() =>
        topic ? <Subscribe topic={topic} setting={setting} onRung={onRung} /> : <NewTopic onMade={query.reload} />
      }
    </Loaded>
  );
}

const CONFIG = `{ "host": "0.0.0.0", "ntfy": { "port": 2586 } }`;

function NoPort() {
  return (
    <div class="stack">
      <p>
        The app accepts only an address without a path, so Prism needs a port of its own for it. Add this to
        prism.config.json, restart Prism, and reload this page:
      </p>
      <CodeBlock text={CONFIG} label="prism.config.json" />
      <p class="muted small">
        Or start it with HOST=0.0.0.0 PRISM_NTFY_PORT=2586. The console can then be reached from your network, too.
      </p>
    </div>
  );
}

function NewTopic({ onMade }: { readonly onMade: () => void }) {
  const [start] = useState(() => ({ name: randomTopic("phone-", 5), kind: "inbox" as const }));
  const form = useResource<CreateNtfyTopic, NtfyTopic>(ntfyTopic, { start });
  const { name = "" } = form.values;
  const create = async () => {
    if (await form.send({ name: name.trim() })) onMade();
  };
  const hint = "The app subscribes to it and gets your notifications. Only you can read it.";
  return (
    <Form onSubmit={create} label="Topic">
      <Fields of={form} show={[{ name: "name", label: "Topic", hint, mono: true, required: false }]} />
      <div class="setup-actions">
        <Button variant="primary" type="submit" disabled={name.trim() === ""}>
          Create topic
        </Button>
      </div>
    </Form>
  );
}
