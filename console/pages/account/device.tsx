import { BellRing, MonitorSmartphone } from "lucide";
import type { PushSubscription } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useGet } from "../../app/query.ts";
import { endPush, installPrompt, pushId, SUBSCRIPTIONS } from "../../app/worker.ts";
import { Badge, Banner, Button, Card, confirm, EmptyState, Loaded, Time, toast, UserText } from "../../ui/index.ts";
import { AccountPage } from "./account-page.tsx";
import { pushObstacle, subscribeToPush, testPush } from "./push.ts";

export default function Device() {
  const browsers = useGet<{ readonly data: readonly PushSubscription[] }>(SUBSCRIPTIONS);
  const isOn = pushId.value !== null && (browsers.data?.data.some(({ id }) => id === pushId.value) ?? true);
  const subtitle = `Push notifications are ${isOn ? "on" : "off"} in this browser.`;
  return (
    <AccountPage tab="device" subtitle={subtitle}>
      <PushCard isOn={isOn} reload={browsers.reload} />
      <InstallCard />
      <Card title="Browsers that receive push">
        <Loaded query={browsers}>{({ data }) => <Browsers browsers={data} reload={browsers.reload} />}</Loaded>
      </Card>
    </AccountPage>
  );
}

interface PushProps {
  readonly isOn: boolean;
  readonly reload: () => void;
}

function PushCard({ isOn, reload }: PushProps) {
  const problem = pushObstacle();
  const turnOn = async () => {
    await subscribeToPush();
    reload();
    toast.ok("Push is on. Send a test to see it.");
  };
  const turnOff = async () => {
    await endPush();
    reload();
  };
  return (
    <Card
      title="Push to this browser"
      sub="Notifications arrive while the console is closed, also on a phone's lock screen. Push services see no text: messages are encrypted for this browser."
      actions={<Badge tone={isOn ? "ok" : "plain"}>{isOn ? "on" : "off"}</Badge>}
    >
      {isOn ? (
        <div class="inline">
          <TestButton id={pushId.value ?? ""} />
          <Button onClick={turnOff}>Turn off</Button>
        </div>
      ) : problem ? (
        <Banner tone="info">{problem}</Banner>
      ) : (
        <Button variant="primary" icon={BellRing} onClick={turnOn}>
          Turn on
        </Button>
      )}
    </Card>
  );
}

function TestButton({ id, small }: { readonly id: string; readonly small?: boolean }) {
  const test = async () => {
    await testPush(id);
    toast.ok("The push service has taken the test. It arrives in a moment.");
  };
  return (
    <Button onClick={test} {...(small && { small })}>
      Send a test
    </Button>
  );
}

function Browsers({
  browsers,
  reload,
}: {
  readonly browsers: readonly PushSubscription[];
  readonly reload: () => void;
}) {
  if (browsers.length === 0) {
    const text = "Turn push on in each browser and on each phone that should receive your notifications.";
    return <EmptyState icon={BellRing} title="No browser receives push" text={text} small />;
  }
  const remove = async ({ id, device }: PushSubscription) => {
    const title = `Stop push to ${device}?`;
    const text = "That browser receives no more notifications. It can turn push on again.";
    if (!(await confirm({ title, text, action: "Stop", danger: true }))) return;
    if (id === pushId.value) await endPush();
    else await api.del(`${SUBSCRIPTIONS}/${id}`);
    reload();
  };
  return (
    <ul class="account-rows">
      {browsers.map((browser) => (
        <li key={browser.id}>
          <div>
            <span class="inline">
              <UserText>{browser.device}</UserText>
              {browser.id === pushId.value && <Badge tone="ok">this one</Badge>}
            </span>
            <div class="muted small">
              {browser.service ?? "unknown service"}, last message{" "}
              <Time at={browser.lastUsedAt} mode="date" empty="none yet" />
            </div>
          </div>
          <div class="inline">
            <TestButton id={browser.id} small />
            <Button small onClick={() => remove(browser)}>
              Remove
            </Button>
          </div>
        </li>
      ))}
    </ul>
  );
}

function InstallCard() {
  const prompt = installPrompt.value;
  const isInstalled = matchMedia("(display-mode: standalone)").matches;
  const text = isInstalled
    ? "The console runs as an app."
    : "Its own window and icon, on a computer and on a phone's home screen.";
  const install = async () => {
    await prompt?.prompt();
    installPrompt.value = null;
  };
  return (
    <Card title="Install the console" sub={text} actions={isInstalled ? <Badge tone="ok">installed</Badge> : undefined}>
      {!isInstalled &&
        (prompt ? (
          <Button icon={MonitorSmartphone} onClick={install}>
            Install
          </Button>
        ) : (
          <p class="muted small">
            Use “Install” or “Add to home screen” in the browser's menu. Browsers offer it for addresses with https.
          </p>
        ))}
    </Card>
  );
}
