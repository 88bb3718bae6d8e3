import type { PutStatusPage, StatusPage } from "../../../src/client/api-types.gen.ts";
import type { Tone } from "../../ui/index.ts";

export type State = StatusPage["state"];
export type Effect = Source["effect"];

export type Source = NonNullable<Component["sources"]>[number];

export type Component = Group["components"][number];

export type Group = StatusPage["groups"][number];

/** The settings, as `PUT /status-page` takes them. */
export type Document = Pick<StatusPage, keyof PutStatusPage>;

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
export function documentOf(view: StatusPage): Document {
  const { enabled, title, description, timezone, historyDays, showIncidents, showMaintenance, subscriptions, groups } =
    view;
  return { enabled, title, description, timezone, historyDays, showIncidents, showMaintenance, subscriptions, groups };
}
