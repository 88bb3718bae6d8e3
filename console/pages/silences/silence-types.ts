import { type Labels, type Matcher, matcherText } from "../../app/matchers.ts";
import { formatDuration, fromWallClock, toWallClock } from "../../ui/index.ts";

export interface Span {
  readonly startsAt: string;
  readonly endsAt: string;
}

export interface Recurrence {
  readonly cron: string;
  readonly durationMs: number;
  readonly timezone: string;
}

export interface Silence {
  readonly id: string;
  readonly projectId: string;
  readonly kind: "silence" | "maintenance";
  readonly state: "pending" | "active" | "expired";
  readonly matchers: readonly Matcher[];
  readonly text: string;
  readonly startsAt: string;
  readonly endsAt: string | null;
  readonly recurrence: Recurrence | null;
  readonly window: Span | null;
  readonly comment: string;
  readonly createdBy: string;
  readonly hits: number;
  readonly lastHitAt: string | null;
  readonly version: number;
  readonly createdAt: string;
}

export interface SilenceDetail extends Silence {
  readonly withheld: readonly {
    readonly alertId: string;
    readonly incidentId: string;
    readonly at: string;
    readonly labels: Labels | null;
  }[];
}

export interface Preview {
  readonly projectId: string;
  readonly matchers: readonly Matcher[];
  readonly hits: number;
  readonly alerts: readonly { readonly id: string; readonly labels: Labels; readonly startsAt: string }[];
  readonly incidents: readonly {
    readonly id: string;
    readonly number: number;
    readonly title: string;
    readonly state: string;
  }[];
  readonly windows: readonly Span[];
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
  readonly needs: string | null;
}

export const STATES = {
  active: { tone: "warn", text: "active" },
  pending: { tone: "info", text: "pending" },
  expired: { tone: "plain", text: "expired" },
} as const;

export const MINUTE = 60_000;
export const HOUR = 3_600_000;

/** Tomorrow at 9:00 in a zone. */
export function tomorrowAtNine(zone: string, now = Date.now()): string {
  const day = toWallClock(now, zone).slice(0, 10);
  const next = new Date(Date.parse(`${day}T00:00:00Z`) + 24 * HOUR).toISOString().slice(0, 10);
  return new Date(fromWallClock(`${next}T09:00:00`, zone)).toISOString();
}

/** In words when a maintenance window occurs. */
export function rhythmOf({ cron, durationMs, timezone }: Recurrence): string {
  return `${cron} for ${formatDuration(durationMs)}, ${timezone}`;
}

/** The name of a silence: its comment, otherwise its matchers. */
export function nameOf({ comment, matchers }: Silence): string {
  const [line = ""] = comment.trim().split("\n");
  return line === "" ? matchers.map(matcherText).join(", ") : line;
}
