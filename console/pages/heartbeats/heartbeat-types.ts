import type { Heartbeat, HeartbeatPing } from "../../../src/client/api-types.gen.ts";
import { cronWords } from "../../app/cron-words.ts";
import { formatDuration, type Tone } from "../../ui/index.ts";

// The members of answers of /api/v1/heartbeats that the pages use.

export type Status = Heartbeat["status"];
export type PingKind = HeartbeatPing["kind"];

export type RecentPing = NonNullable<Heartbeat["recentPings"]>[number];

export const STATUS: Readonly<Record<Status, { readonly tone: Tone; readonly text: string }>> = {
  new: { tone: "plain", text: "new" },
  up: { tone: "ok", text: "up" },
  grace: { tone: "warn", text: "late" },
  down: { tone: "bad", text: "down" },
  paused: { tone: "plain", text: "paused" },
};

export const PING: Readonly<Record<PingKind, { readonly tone: Tone; readonly text: string }>> = {
  success: { tone: "ok", text: "success" },
  start: { tone: "info", text: "start" },
  fail: { tone: "bad", text: "failure" },
  log: { tone: "plain", text: "log" },
  ignored: { tone: "plain", text: "ignored" },
};

export function titleOf({ name, slug }: Pick<Heartbeat, "name" | "slug">): string {
  return name || slug || "Unnamed heartbeat";
}

/** In words when pings are expected. */
export function planOf({ kind, timeoutMs, schedule, timezone }: Heartbeat): string {
  return kind === "simple"
    ? `every ${formatDuration(timeoutMs)}`
    : `${(kind === "cron" && cronWords(schedule ?? "")) || schedule?.split("\n").join("; ")} in ${timezone}`;
}
