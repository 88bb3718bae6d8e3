import { useState } from "preact/hooks";
import { SERVER_URL } from "../../app/base.ts";
import { Button, Form } from "../../ui/index.ts";
import { StartFrame } from "./frame.tsx";
import { Done, Incomplete } from "./link-page.tsx";

const KINDS: Readonly<Record<string, string>> = {
  rule: "notifications of rules",
  direct: "notifications that people send",
  timer: "timers",
  digest: "digests",
  alert: "alerts about the server",
  aggregate: "summaries of repeated notifications",
};

/** The link in mails that ends mails of one kind: it has its token in the query (RFC 8058). */
export function Unsubscribe() {
  const token = new URLSearchParams(location.search).get("token") ?? "";
  const [isDone, setDone] = useState(false);
  const kind = KINDS[token.split(".")[1] ?? ""] ?? "this kind";
  if (isDone) {
    return (
      <StartFrame title="Stop these mails">
        <Done
          title="No more such mails are sent to you"
          text="You can change this in your account, under Notifications."
        />
      </StartFrame>
    );
  }
  return (
    <StartFrame title="Stop these mails" sub={`Prism will no longer send you mails about ${kind}.`}>
      {token === "" ? (
        <Incomplete />
      ) : (
        <Form
          label="Stop these mails"
          onSubmit={async () => {
            await endMails(token);
            setDone(true);
          }}
        >
          <Button variant="primary" type="submit" full>
            Stop these mails
          </Button>
        </Form>
      )}
    </StartFrame>
  );
}

/** As mail programs do it. */
async function endMails(token: string): Promise<void> {
  const url = `${SERVER_URL}/account/unsubscribe?token=${encodeURIComponent(token)}`;
  const body = new URLSearchParams({ "List-Unsubscribe": "One-Click" });
  const response = await fetch(url, { method: "POST", body, credentials: "omit" }).catch(() => undefined);
  if (response?.ok) return;
  throw new Error(
    response?.status === 401
      ? "This link is not from this server. Copy the whole link from the mail."
      : "The server cannot be reached. Try again.",
  );
}
