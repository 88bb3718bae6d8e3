import type { Tone } from "../../ui/index.ts";

export type State = "operational" | "maintenance" | "degraded" | "partial" | "outage";
export type Effect = "degraded" | "partial" | "outage";

export interface Source {
  readonly heartbeats?: readonly string[];
  readonly tag?: string;
  readonly matchers?: readonly string[];
  readonly effect: Effect;
}

export interface Component {
  readonly id?: string;
  readonly name: string;
  readonly description?: string;
  readonly sources?: readonly Source[];
}

export interface Group {
  readonly name: string;
  readonly components: readonly Component[];
}

/** The settings, as `PUT /status-page` takes them. */
export interface Document {
  readonly enabled: boolean;
  readonly title: string;
  readonly description: string;
  readonly timezone: string;
  readonly historyDays: number;
  readonly showIncidents: boolean;
  readonly showMaintenance: boolean;
  readonly subscriptions: boolean;
  readonly groups: readonly Group[];
}

export interface StatusPageView extends Document {
  readonly projectId: string;
  readonly url: string;
  readonly state: State;
  readonly states: Readonly<Record<string, State>>;
  readonly subscribers: { readonly confirmed: number; readonly pending: number };
  readonly canSubscribe: boolean;
  /** Settings that are missing for it. */
  readonly subscriptionsLack: readonly string[];
  readonly version: number;
}

export interface Notice {
  readonly id: string;
  readonly kind: "incident" | "maintenance";
  readonly title: string;
  readonly state: string;
  readonly startsAt: string;
  readonly endsAt: string | null;
  readonly updates: readonly { readonly at: string; readonly text: string }[];
}

export const STATES: Readonly<Record<State, { readonly text: string; readonly tone: Tone }>> = {
  operational: { text: "Operational", tone: "ok" },
  maintenance: { text: "Maintenance", tone: "info" },
  degraded: { text: "Degraded", tone: "warn" },
  partial: { text: "Partial outage", tone: "warn" },
  outage: { text: "Outage", tone: "bad" },
};

export const EFFECTS = (["degraded", "partial", "outage"] as const).map((value) => ({
  value,
  label: STATES[value].text,
}));

/** The members that a request takes. */
export function documentOf(view: StatusPageView): Document {
  const { enabled, title, description, timezone, historyDays, showIncidents, showMaintenance, subscriptions, groups } =
    view;
  return { enabled, title, description, timezone, historyDays, showIncidents, showMaintenance, subscriptions, groups };
}
