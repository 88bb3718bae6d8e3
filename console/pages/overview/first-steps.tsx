import { Bell, Send, SlidersVertical } from "lucide";
import { href, isLoopback, SERVER_URL } from "../../app/base.ts";
import { can } from "../../app/session.ts";
import { Button, Card, CodeBlock, Link, openDialog } from "../../ui/index.ts";
import { SendDialog } from "../events/send-dialog.tsx";

const CURL = `curl -X POST ${SERVER_URL}/api/v1/events \\
  -H "Authorization: Bearer $PRISM_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{"type":"test.hello","payload":{"message":"Hello"}}'`;

/** A server without events: what to do first. */
export function FirstSteps() {
  return (
    <div class="grid3 first-steps">
      {can("events:write") && (
        <Card title="1. Send a test event" sub="Programs send what happened: a JSON object with a type.">
          <div class="stack">
            <CodeBlock label="curl command" text={CURL} wrap />
            <p class="muted small">
              PRISM_TOKEN is a <Link href={href("/account/tokens")}>service token</Link> with events:write, or the API
              key of a <Link href={href("/projects")}>project</Link>.
            </p>
            <CodeBlock label="prism command" text={'prism send --type test.hello "Hello"'} wrap />
            <div>
              <Button variant="primary" icon={Send} onClick={() => openDialog(<SendDialog />)}>
                Send it from here
              </Button>
            </div>
          </div>
        </Card>
      )}
      {can("rules:write") && (
        <Card title="2. Create a rule" sub="A rule says which events notify whom.">
          <div class="stack">
            <CodeBlock label="condition" text="event.type == 'test.hello'" />
            <div>
              <Button icon={SlidersVertical} href={href("/rules/new")}>
                Create a rule
              </Button>
            </div>
          </div>
        </Card>
      )}
      <Card title={`${can("rules:write") ? "3. " : ""}Connect a phone`} sub="Notifications reach the lock screen.">
        <div class="stack">
          <p class="muted small">
            <PhoneText />
          </p>
          <div>
            <Button icon={Bell} href={href("/account/device")}>
              Set up this device
            </Button>
          </div>
        </div>
      </Card>
    </div>
  );
}

/** Phones reach an address of the network only, and browsers allow push with https only. */
function PhoneText() {
  const { protocol, host, hostname } = new URL(SERVER_URL);
  const isLocal = isLoopback(hostname);
  if (protocol === "https:" && !isLocal)
    return <>Open {host} on the phone, sign in, and allow notifications. It works in this browser too.</>;
  return (
    <>
      {isLocal ? "Only this machine reaches this address. " : "Browsers allow push with https only. "}
      For a phone, serve Prism with https and set {can("system:manage") ? <SettingsLink /> : "the public URL"}
      {isLocal && "; this browser works already"}.
    </>
  );
}

function SettingsLink() {
  return <Link href={href("/settings")}>the public URL</Link>;
}
