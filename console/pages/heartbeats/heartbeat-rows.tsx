import { HeartPulse } from "lucide";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Heartbeat } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { CronText } from "../../app/cron-text.tsx";
import { Badge, Button, type Column, EmptyState, Time, UserText } from "../../ui/index.ts";
import { planOf, type RecentPing, STATUS, titleOf } from "./heartbeat-types.ts";
import { PingBars } from "./ping-bars.tsx";

export const COLUMNS: readonly Column<Heartbeat>[] = [
  {
    label: "Heartbeat",
    cell: (heartbeat) => (
      <span class="stack s2">
        <UserText>{titleOf(heartbeat)}</UserText>
        {heartbeat.tags.length > 0 && (
          <span class="inline">
            {heartbeat.tags.map((tag) => (
              <Badge key={tag} tone="plain">
                {tag}
              </Badge>
            ))}
          </span>
        )}
      </span>
    ),
    card: "title",
    width: "wide",
  },
  {
    label: "State",
    cell: ({ status, isStarted }) => (
      <Badge tone={STATUS[status].tone}>{isStarted ? `${STATUS[status].text}, running` : STATUS[status].text}</Badge>
    ),
    card: "aside",
    width: "min",
  },
  {
    label: "Expected",
    cell: (heartbeat) => <Plan heartbeat={heartbeat} />,
    card: "text",
    priority: 3,
  },
  { label: "Last pings", cell: ({ recentPings = [] }) => <PingBars pings={recentPings} />, priority: 2, card: "text" },
  { label: "Last ping", cell: ({ lastPingAt }) => <Time at={lastPingAt} empty="never" />, align: "end" },
  {
    label: "Next due",
    cell: ({ nextPingAt, status, recentPings = [] }) => (
      <Time at={nextPingAt} empty={status !== "down" ? "—" : hasFailed(recentPings) ? "failed" : "overdue"} />
    ),
    align: "end",
  },
];

/** In words when pings are expected; a cron pattern is beside them. */
export function Plan({ heartbeat }: { readonly heartbeat: Heartbeat }) {
  const { kind, schedule, timezone } = heartbeat;
  if (kind === "cron" && schedule !== null) return <CronText cron={schedule} more={`in ${timezone}`} />;
  return <UserText>{planOf(heartbeat)}</UserText>;
}

/** @param pings the latest first */
function hasFailed(pings: readonly RecentPing[]): boolean {
  return pings.find(({ kind }) => kind === "success" || kind === "fail")?.kind === "fail";
}

/** The command works at once: it has the project's ping key, when there is one. */
export function NoHeartbeat({ isWriter, action }: { readonly isWriter: boolean; readonly action: ComponentChildren }) {
  const [url, setUrl] = useState("");
  const show = async () => {
    const known = await api.get<{ pingUrl: string | null }>("/heartbeats/key");
    const { pingUrl } = known.pingUrl === null ? await api.post<typeof known>("/heartbeats/key/rotate") : known;
    setUrl(pingUrl ?? "");
  };
  return (
    <EmptyState
      icon={HeartPulse}
      title="No job is watched"
      text="A job calls a URL each time it runs. When the call does not come, an alert opens. The command creates a heartbeat and pings it."
      action={
        <span class="inline">
          {action}
          {isWriter && url === "" && <Button onClick={show}>Show a command to try</Button>}
        </span>
      }
      command={url === "" ? undefined : `curl -fsS "${url}/nightly-backup?create=1"`}
    />
  );
}
