import { formatDuration, type Tone } from "../../ui/index.ts";

// What the pages use of the answers of /api/v1/heartbeats.

export type Status = "new" | "up" | "grace" | "down" | "paused";
export type PingKind = "success" | "start" | "fail" | "log" | "ignored";

export interface RecentPing {
  readonly at: string;
  readonly kind: PingKind;
  readonly durationMs: number | null;
}

export interface Filters {
  readonly httpBody?: boolean;
  readonly startKeywords?: string;
  readonly successKeywords?: string;
  readonly failureKeywords?: string;
  readonly defaultFail?: boolean;
}

export interface Heartbeat {
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly slug: string;
  readonly tags: readonly string[];
  readonly description: string;
  readonly kind: "simple" | "cron" | "oncalendar";
  readonly timeoutMs: number;
  readonly graceMs: number;
  readonly schedule: string | null;
  readonly timezone: string;
  readonly methods: string;
  readonly manualResume: boolean;
  readonly filters: Filters;
  /** Names of policies. */
  readonly channels: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly severity: string | null;
  /** Matchers of the alerts that feed it. */
  readonly fedBy: string | null;
  readonly status: Status;
  readonly isStarted: boolean;
  readonly pingCount: number;
  readonly lastPingAt: string | null;
  readonly lastDurationMs: number | null;
  readonly nextPingAt: string | null;
  readonly dueAt: string | null;
  /** Null for users who may not write. */
  readonly pingUrl: string | null;
  readonly pushUrl: string | null;
  readonly badgeUrl: string;
  readonly recentPings?: readonly RecentPing[];
}

export interface Ping extends RecentPing {
  readonly n: number;
  readonly exitStatus: number | null;
  /** `alert`: a report of an alert that feeds it. */
  readonly scheme: string;
  readonly method: string;
  readonly userAgent: string;
  readonly address: string | null;
  readonly hasBody: boolean;
}

export interface Flip {
  readonly id: string;
  readonly at: string;
  readonly from: Status;
  readonly to: Status;
  readonly reason: string;
}

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
    : `${schedule?.split("\n").join("; ")} in ${timezone}`;
}
