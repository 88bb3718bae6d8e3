/** A part of `GET /api/v1/stats`; null for users who may not see it. */
interface Figures {
  readonly series: Readonly<Record<string, readonly number[]>>;
  readonly totals: Readonly<Record<string, number>>;
  readonly previous: Readonly<Record<string, number>>;
  /** Some numbers are extrapolated from a sample. */
  readonly estimated: boolean;
}

export interface Stats {
  readonly from: string;
  readonly stepMs: number;
  readonly points: number;
  readonly events: Figures | null;
  readonly notifications: (Figures & { readonly scope: "all" | "own" }) | null;
  readonly deliveries: (Figures & { readonly now: { readonly waiting: number } }) | null;
  readonly jobs: (Figures & { readonly now: Readonly<Record<string, number>> }) | null;
}

export interface AttentionItem {
  readonly kind:
    | "incident"
    | "incidents"
    | "notification"
    | "notifications"
    | "way"
    | "unproven"
    | "channel"
    | "jobs"
    | "queue"
    | "approvals"
    | "heartbeats"
    | "module"
    | "events"
    | "storage"
    | "watch"
    | "audit"
    | "config";
  readonly severity: "critical" | "warning" | "info";
  readonly key: string;
  readonly title: string;
  readonly detail: string;
  /** Path of the console. */
  readonly link: string;
  readonly at: string | null;
  readonly ids: readonly string[];
  readonly counts: Readonly<Record<string, number>>;
  /** Next attempt of a paused channel. */
  readonly until: string | null;
  /** Severity of an incident, or its urgency. */
  readonly word: string | null;
  /** Name of the project of an incident. */
  readonly project: string | null;
}

export interface AttentionView {
  readonly items: readonly AttentionItem[];
  readonly watched: { readonly rules: number; readonly heartbeats: number; readonly receivers: number } | null;
}

export type Range = "1h" | "24h" | "7d";

export const RANGES: Readonly<Record<Range, { readonly ms: number; readonly label: string; readonly text: string }>> = {
  "1h": { ms: 3_600_000, label: "1 h", text: "last hour" },
  "24h": { ms: 86_400_000, label: "24 h", text: "last 24 hours" },
  "7d": { ms: 604_800_000, label: "7 d", text: "last 7 days" },
};
