import { useState } from "preact/hooks";
import type { NtfyTopic, Setting } from "../../../../../src/client/api-types.gen.ts";
import { api } from "../../../../app/api.ts";
import { href, isLoopback, SERVER_URL } from "../../../../app/base.ts";
import { useFieldErrors } from "../../../../app/field-errors.ts";
import { useGet } from "../../../../app/query.ts";
import { useRefresh } from "../../../../app/refresh.ts";
import { me } from "../../../../app/session.ts";
import { Banner, Button, CodeBlock, Field, Form, Input, Link, Loaded, plural } from "../../../../ui/index.ts";
import { AppTopic } from "./app-topic.tsx";
import { Ring } from "./ring.tsx";
import { randomTopic } from "./ways.ts";

type SettingOf = (key: string) => Setting | undefined;

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

/** Whether the app can reach ntfy's API of Prism: it takes no address with a path. */
export function hasNtfyAddress(setting: SettingOf): boolean {
  return ["ntfy.port", "ntfy.baseUrl", "ntfy.hosts"].some((key) => isSet(setting(key)));
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
  const [name, setName] = useState(() => randomTopic("phone-", 5));
  const errors = useFieldErrors(["name"]);
  const create = async () => {
    if (await errors.attempt(() => api.post<NtfyTopic>("/ntfy/topics", { name: name.trim(), kind: "inbox" }))) onMade();
  };
  return (
    <Form onSubmit={create} label="Topic">
      <Field
        label="Topic"
        hint="The app subscribes to it and gets your notifications. Only you can read it."
        error={errors.of("name")}
      >
        <Input value={name} onChange={setName} mono maxLength={64} />
      </Field>
      <div class="setup-actions">
        <Button variant="primary" type="submit" disabled={name.trim() === ""}>
          Create topic
        </Button>
      </div>
    </Form>
  );
}

interface SubscribeProps extends OwnNtfyProps {
  readonly topic: NtfyTopic;
}

function Subscribe({ topic, setting, onRung }: SubscribeProps) {
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

function isSet(setting: Setting | undefined): boolean {
  const value = setting?.value;
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== null && value !== "";
}

/** The root of ntfy's API as the phone reaches it; empty if only the start of the server knows that. */
function serverUrl(setting: SettingOf): string {
  const [base, hosts, port] = ["ntfy.baseUrl", "ntfy.hosts", "ntfy.port"].map((key) => setting(key)?.value);
  if (typeof base === "string" && base !== "") return base;
  if (Array.isArray(hosts) && hosts.length > 0) return `https://${hosts[0]}`;
  const { hostname } = new URL(SERVER_URL);
  if (isLoopback(hostname)) return "";
  return `${isSet(setting("tls.certFile")) ? "https" : "http"}://${hostname}:${port}`;
}
