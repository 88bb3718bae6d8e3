import { useState } from "preact/hooks";
import type { NtfyTopic } from "../../../../../src/client/api-types.gen.ts";
import { api } from "../../../../app/api.ts";
import { href, isLoopback } from "../../../../app/base.ts";
import { me } from "../../../../app/session.ts";
import { Banner, Button, Field, Input, Link, plural } from "../../../../ui/index.ts";
import { AppTopic } from "./app-topic.tsx";
import { type SettingOf, serverUrl } from "./ntfy-address.ts";
import { Ring } from "./ring.tsx";

interface SubscribeProps {
  readonly topic: NtfyTopic;
  readonly setting: SettingOf;
  readonly onRung: () => void;
}

/** The app subscribes to the topic, and gets a test. */
export function Subscribe({ topic, setting, onRung }: SubscribeProps) {
  const [server, setServer] = useState(() => serverUrl(setting));
  const [sentTo, setSentTo] = useState<number>();
  const test = async () => {
    const text = { title: "Test", message: "Prism can reach this phone.", priority: 600 };
    await api.post<object>("/notifications", { recipients: [me.value?.id], channels: ["in_app"], ...text });
    setSentTo(topic.subscribers);
  };
  const host = setting("host")?.value;
  return (
    <div class="stack">
      {typeof host === "string" && isLoopback(host) && (
        <Banner tone="warn" title="Prism listens on this computer only">
          A phone cannot reach it. Set <code class="code-in">host</code> to 0.0.0.0 and restart Prism.
        </Banner>
      )}
      <Field
        label="Server URL for the app"
        hint="As the phone reaches this computer. The start of Prism prints it: “Server URL for ntfy's app”."
      >
        <Input type="url" value={server} onChange={setServer} mono placeholder="http://192.168.1.5:2586" />
      </Field>
      <ol class="stack s2 setup-list">
        <li>Install the app ntfy on the phone.</li>
        <li>
          In its settings under “Manage users” add this server, {me.value?.email ?? me.value?.username ?? "your name"}{" "}
          and your password. With a second factor, or without a password, take a token with the scope notifications:own
          as the password.
          <div>
            <Link href={href("/account/tokens")} external>
              Make a token
            </Link>
          </div>
        </li>
        <li>Subscribe to the topic: scan the code, or type both into the app.</li>
      </ol>
      <AppTopic server={server} topic={topic.name} />
      <div role="status">
        <Listens count={topic.subscribers} />
      </div>
      <div class="setup-actions">
        <Button variant={topic.subscribers > 0 && sentTo === undefined ? "primary" : "default"} onClick={test}>
          {sentTo === undefined ? "Send a test" : "Send it again"}
        </Button>
      </div>
      {sentTo !== undefined && (
        <>
          <Sent count={sentTo} />
          <Ring way="own" onYes={onRung} />
        </>
      )}
    </div>
  );
}

function Listens({ count }: { readonly count: number }) {
  return count === 0 ? (
    <Banner tone="info">Waiting for the app to subscribe</Banner>
  ) : (
    <Banner tone="ok">{plural(count, "app")} subscribed to the topic</Banner>
  );
}

function Sent({ count }: { readonly count: number }) {
  return count === 0 ? (
    <Banner tone="warn">No app was subscribed. It gets the message when it subscribes.</Banner>
  ) : (
    <Banner tone="ok">The message went to {plural(count, "app")}.</Banner>
  );
}
