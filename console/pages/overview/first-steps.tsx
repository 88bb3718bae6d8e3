import { Bell, Send, SlidersVertical } from "lucide";
import { useState } from "preact/hooks";
import { href, SERVER_URL } from "../../app/base.ts";
import type { Project } from "../../app/projects.ts";
import { can } from "../../app/session.ts";
import { Button, Card, CodeBlock } from "../../ui/index.ts";
import { SendDialog } from "../events/send-dialog.tsx";

const CURL = `curl -X POST ${SERVER_URL}/api/v1/events \\
  -H "Authorization: Bearer $PRISM_TOKEN" \\
  -H "Content-Type: application/json" \\
  -d '{"type":"test.hello","payload":{"message":"Hello"}}'`;

/** A server without events: what to do first. */
export function FirstSteps({ projects }: { readonly projects: readonly Project[] }) {
  const [isSending, setSending] = useState(false);
  return (
    <div class="grid3 first-steps">
      {can("events:write") && (
        <Card title="1. Send a test event" sub="Programs send what happened: a JSON object with a type.">
          <div class="stack">
            <CodeBlock label="curl command" text={CURL} wrap />
            <CodeBlock label="prism command" text={'prism send --type test.hello "Hello"'} wrap />
            <div>
              <Button variant="primary" icon={Send} onClick={() => setSending(true)}>
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
      <Card title={`${can("rules:write") ? "3. " : ""}Connect this phone`} sub="Notifications reach the lock screen.">
        <div class="stack">
          <p class="muted small">
            Open {new URL(SERVER_URL).host} on the phone, sign in, and allow notifications. It works in this browser
            too.
          </p>
          <div>
            <Button icon={Bell} href={href("/account/device")}>
              Set up this device
            </Button>
          </div>
        </div>
      </Card>
      <SendDialog isOpen={isSending} onClose={() => setSending(false)} projects={projects} />
    </div>
  );
}
