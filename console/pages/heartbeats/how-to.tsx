import { useState } from "preact/hooks";
import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { useGet } from "../../app/query.ts";
import { Button, Card, CodeBlock, choices, Late, Segmented, toast } from "../../ui/index.ts";

interface Keys {
  readonly pingUrl: string | null;
  readonly badgeUrl: string | null;
}

const FORMS = choices({ curl: "curl", cron: "cron", systemd: "systemd", shell: "With log" });

/** Lines to copy; cron patterns of the heartbeat are used as they are. */
function lines(form: string, url: string, { kind, schedule }: Heartbeat): string {
  const curl = "curl -fsS -m 10 --retry 5";
  switch (form) {
    case "cron":
      return `${kind === "cron" ? schedule : "30 2 * * *"}  backup && ${curl} -o /dev/null ${url}`;
    case "systemd":
      return [
        "[Service]",
        `ExecStartPre=-curl -fsS -m 10 ${url}/start`,
        "ExecStart=/usr/local/bin/backup",
        `ExecStopPost=-/bin/sh -c 'curl -fsS -m 10 ${url}/\${EXIT_STATUS}'`,
      ].join("\n");
    case "shell":
      return [`${curl} ${url}/start`, "m=$(/usr/local/bin/backup 2>&1)", `${curl} --data-binary "$m" ${url}/$?`].join(
        "\n",
      );
    default:
      return `${curl} ${url}`;
  }
}

function Url({ label, url }: { readonly label: string; readonly url: string }) {
  return (
    <div class="hb-url">
      <span class="muted small">{label}</span>
      <CodeBlock label={label} text={url} wrap />
    </div>
  );
}

/** The ping URLs of a heartbeat and lines for the programs that call them. */
export function HowTo({ heartbeat, pingUrl }: { readonly heartbeat: Heartbeat; readonly pingUrl: string }) {
  const [form, setForm] = useState("curl");
  const { projectId, slug, pushUrl } = heartbeat;
  const keys = useGet<Keys>("/heartbeats/key", { projectId });
  const makeKey = async () => {
    await api.post("/heartbeats/key/rotate", { projectId });
    keys.reload();
    toast.ok("The project has a ping key.");
  };
  return (
    <Card title="Ping URLs" sub="They are secrets: a call needs no other key.">
      <div class="stack">
        <Url label="By UUID" url={pingUrl} />
        <Late query={keys}>
          {({ pingUrl: byKey }) =>
            slug !== "" &&
            (byKey ? (
              <Url label="By key and slug" url={`${byKey}/${slug}`} />
            ) : (
              <div class="inline">
                <Button small onClick={makeKey}>
                  Create a URL with the slug
                </Button>
                <span class="muted small">{`…/${slug}`}</span>
              </div>
            ))
          }
        </Late>
        {pushUrl !== null && <Url label="Uptime Kuma" url={`${pushUrl}?status=up&msg=OK&ping=`} />}
        <Segmented label="Lines for" small value={form} onChange={setForm} options={FORMS} />
        <CodeBlock label="Commands" text={lines(form, pingUrl, heartbeat)} wrap />
        <p class="muted small">
          Append <code>/start</code>, <code>/fail</code>, <code>/log</code> or an exit status. A body of up to 10 000
          bytes is kept.
        </p>
      </div>
    </Card>
  );
}
